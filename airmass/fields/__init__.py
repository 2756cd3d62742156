"""Fields of the atmosphere: variables, grid, time, forcing, and how they become channels."""
