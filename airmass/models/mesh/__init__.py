"""The icosahedral mesh, its graphs, and their layout in memory."""
