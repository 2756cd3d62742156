"""Pictures of forecasts and of their scores: `airmass.plots.plot.plot` draws a folder of them."""
