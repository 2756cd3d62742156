"""Checkpoints on disk: model files of airmass and published files."""
