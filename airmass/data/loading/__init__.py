"""Loading for training: batches of windows of frames, read fast."""
