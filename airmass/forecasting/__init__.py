"""Forecasts from a checkpoint and an initial state."""
