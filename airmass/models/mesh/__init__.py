"""The icosahedral mesh, its graphs, and their order in memory."""
