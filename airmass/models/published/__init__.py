"""DeepMind's published checkpoints: what their layouts share."""
