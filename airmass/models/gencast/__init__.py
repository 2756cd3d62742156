"""GenCast (Price et al. 2024): conditional diffusion."""
