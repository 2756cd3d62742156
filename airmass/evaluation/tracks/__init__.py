"""Weather features that move: tracks of cyclones, best tracks, verification; atmospheric rivers."""
