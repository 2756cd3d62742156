"""Preparation of an archive for training: checks, conversion, statistics, climatology."""
