"""Which noise, which denoiser, which sampler: knows arrays, no weather."""
