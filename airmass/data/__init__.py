"""Stores of fields: their statistics, climatology, checks and rewriting. Stands on rooms 1 and 2 only."""
