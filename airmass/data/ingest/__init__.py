"""Archives and analyses of any origin, taken in: canonical names, units, sums, grids and levels."""
