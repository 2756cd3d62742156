"""Command line: one file per command, with its options and one call into the library."""
