"""The page that shows forecasts in a browser: written whole into one file, or served on this machine."""
