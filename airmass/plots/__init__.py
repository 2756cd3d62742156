"""Plots of forecasts and their scores; `airmass.plots.plot.plot` writes a folder of them."""
