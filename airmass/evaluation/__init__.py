"""Scores of forecasts against truth, persistence and climatology."""
