"""What a store or file is, and reading and writing it."""
