"""Functional generative networks (WeatherNext 2): one network call a member and step, noise in the norms.

A library so far: `published` reads DeepMind's files, `model` steps, `objective` trains. Without a `family` module,
commands do not know it.
"""
