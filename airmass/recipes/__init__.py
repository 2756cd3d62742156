"""Recipes, and all settings of a training run."""
