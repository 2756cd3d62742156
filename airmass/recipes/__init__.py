"""Recipes and all of their settings."""
