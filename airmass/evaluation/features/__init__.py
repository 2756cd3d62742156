"""Weather features in gridded fields: tracks of cyclones, best tracks, verification; atmospheric rivers."""
