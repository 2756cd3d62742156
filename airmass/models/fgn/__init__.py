"""Functional generative networks (WeatherNext 2): one network call a member and step, noise in the norms."""
