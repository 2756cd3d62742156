"""Neural network layers. Arrays only, no meteorology."""
