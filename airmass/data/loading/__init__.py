"""What training reads: windows of frames, fast."""
