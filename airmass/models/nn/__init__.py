"""Layers: knows arrays, no weather."""
