"""From examples to parameters: objective, optimiser, loop, checkpoints, monitor."""
