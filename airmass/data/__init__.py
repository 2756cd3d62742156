"""Stores of fields: formats, checks, conversion, statistics, climatology, and loading for training."""
