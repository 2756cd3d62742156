"""Fields of the atmosphere: variables, grid, time, forcings, channels."""
