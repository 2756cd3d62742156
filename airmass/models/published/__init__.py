"""DeepMind's published checkpoints: their `.npz` layout to our task, settings and parameters, and back."""

from airmass.models.gencast.published import PublishedGenCast, read_gencast
from airmass.models.graphcast.published import PublishedGraphCast, read_graphcast

__all__ = ["PublishedGenCast", "PublishedGraphCast", "read_gencast", "read_graphcast"]
