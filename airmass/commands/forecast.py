"""`airmass forecast --checkpoint X --initial FILE.nc|STORE --out F.zarr|F.nc`."""

from airmass.commands.options import parse
from airmass.core.errors import one_line
from airmass.forecasting.request import ForecastRequest


def run(arguments: list[str]) -> None:
    request = parse(ForecastRequest, "airmass forecast", arguments)

    from rich.console import Console

    from airmass.core.tables import counted, say
    from airmass.forecasting.forecast import forecast

    if request.score_against is not None:
        from airmass.forecasting.scored import forecast_and_score

        forecast_and_score(request, Console())
        print(one_line(f"scores: {request.output / 'scores.json'}"))
        return
    try:
        with counted("forecasting") as tell:
            forecast(request, tell, lambda words: say(Console(stderr=True), words, soft_wrap=True))
    except KeyboardInterrupt as stop:
        stop.args = (f"stopped; {'run the same command to resume' if request.resumable else 'nothing was written'}",)
        raise
    print(one_line(f"forecast: {request.out}"))
