"""Training: optimiser, update, loop, checkpoints, validation, monitoring, planning."""
