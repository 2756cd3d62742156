"""Diffusion models: noise processes, denoisers, samplers. Arrays only, no meteorology."""
