"""Pictures of forecasts and of their scores: `airmass.plots.command.plot` draws a folder of them."""
