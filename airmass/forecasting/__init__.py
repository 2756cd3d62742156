"""From a checkpoint and an initial state to a forecast."""
