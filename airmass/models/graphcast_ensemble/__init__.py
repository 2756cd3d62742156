"""GraphCast with noise in its norms: ensembles out of a trained deterministic model."""
