"""One self-contained page that shows what a forecast is worth."""
