"""What every room needs and no weather: errors, files, memory, tables."""
