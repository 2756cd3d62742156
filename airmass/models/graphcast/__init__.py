"""GraphCast (Lam et al. 2023): a deterministic graph network."""
