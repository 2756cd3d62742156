"""Trackers, one file each; `TRACKERS` in `airmass/evaluation/features/tracking.py` names them."""
