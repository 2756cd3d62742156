"""Shared basics without meteorology: errors, files, memory, tables."""
