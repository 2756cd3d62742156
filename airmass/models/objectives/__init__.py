"""One file a loss. Each turns scaled errors into one number and named terms."""
