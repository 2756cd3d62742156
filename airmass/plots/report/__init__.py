"""Self-contained HTML report of an evaluation."""
