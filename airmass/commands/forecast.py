"""`airmass forecast --checkpoint X --initial FILE.nc|STORE --out F.zarr|F.nc`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True)
class Forecast:
    """Forecast from a checkpoint and an initial state."""

    checkpoint: Path
    """A run's folder, a model file, or a published GraphCast or GenCast `.npz`."""
    initial: str
    """Zarr store or NetCDF file with the initial frames and the static fields."""
    out: Path
    """Zarr store (`.zarr`) or NetCDF file (`.nc`) to write."""
    statistics: Path | None = None
    """Folder with mean_by_level.nc and the like; for published checkpoints."""
    init_time: tuple[str, ...] = ()
    """One or more initial times, UTC, such as 2001-01-05T06; may be left out where only one is meant."""
    lead_time: str | None = None
    """How far: 10d, 72h, 5d12h. By default 10d for GraphCast and 15d for GenCast."""
    members: int | None = None
    """How many, for an ensemble; by default 1."""
    seed: int | None = None
    """Of an ensemble's noise; by default 0."""
    initial_noise: Path | None = None
    """NetCDF file of noise of unit variance, for an ensemble, in place of drawn noise."""
    levels: tuple[int, ...] = ()
    """Pressure levels to write, hPa; by default all."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the network's arithmetic."""
    memory_limit: float | None = None
    """GB that the forecast may take; by default what is free. Refused before compiling where it would take more."""


def run(arguments: list[str]) -> None:
    options = vars(tyro.cli(Forecast, prog="airmass forecast", args=arguments))

    from rich.progress import Progress

    from airmass.forecast import forecast

    init_times = options.pop("init_time")
    try:
        with Progress() as shown:
            bar = shown.add_task("forecasting", total=None)
            forecast(
                init_times=init_times,
                progress=lambda done, total: shown.update(bar, completed=done, total=total),
                **options,
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped; nothing was written") from None
    print(f"forecast: {options['out']}")
