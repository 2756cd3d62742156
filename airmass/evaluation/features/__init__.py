"""Weather features in gridded fields: tracks of cyclones and atmospheric rivers, best tracks, verification of tracks."""
