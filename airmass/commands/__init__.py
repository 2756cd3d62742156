"""One file a command: its options, and the one call they lead to."""
