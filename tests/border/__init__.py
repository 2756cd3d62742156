"""Bad inputs by kind, and one test that runs every command that could meet each."""
