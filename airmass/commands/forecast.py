"""`airmass forecast --checkpoint DIR|FILE --initial STORE --init-time T --lead-time 10d --out F.zarr`."""

from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.progress import Progress


@dataclass(frozen=True)
class Forecast:
    """Forecast from a checkpoint and an initial state."""

    checkpoint: Path
    """A run's folder or a model file."""
    initial: str
    """Store with the initial frames and the static fields."""
    init_time: tuple[str, ...]
    """One or more initial times, UTC, such as 2001-01-05T06."""
    out: Path
    """Zarr store to write."""
    lead_time: str = "10d"
    """How far: 10d, 72h, 5d12h."""


def run(arguments: list[str]) -> None:
    options = tyro.cli(Forecast, prog="airmass forecast", args=arguments)

    from airmass.forecast import forecast

    with Progress() as shown:
        bar = shown.add_task("forecasting", total=None)
        forecast(
            options.checkpoint,
            options.initial,
            options.init_time,
            options.lead_time,
            options.out,
            lambda done, total: shown.update(bar, completed=done, total=total),
        )
    print(f"forecast: {options.out}")
