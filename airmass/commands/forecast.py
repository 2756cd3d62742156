"""`airmass forecast --checkpoint X --initial FILE.nc|STORE --out F.zarr|F.nc`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from airmass.commands.options import MOST_SEED, parse, require_between, require_positive
from airmass.core.errors import one_line


@dataclass(frozen=True)
class Forecast:
    """Forecast from a checkpoint and an initial state."""

    checkpoint: Path
    """A run's folder, a model file, or a published GraphCast or GenCast `.npz`."""
    initial: str
    """Zarr store or NetCDF file with the initial frames and the static fields."""
    out: Path
    """Zarr store (`.zarr`) or NetCDF file (`.nc`) to write. A Zarr store grows in OUT.partial, and the same command
    goes on with one that was stopped; a NetCDF file is begun anew."""
    statistics: Path | None = None
    """Folder with mean_by_level.nc and the like; for published checkpoints."""
    init_time: tuple[str, ...] = ()
    """One or more initial times, UTC, such as 2001-01-05T06; may be left out where only one is meant."""
    lead_time: str | None = None
    """How far: 10d, 72h, 5d12h. By default 10d for GraphCast and 15d for GenCast."""
    members: int | None = None
    """How many, for an ensemble; by default 1. A member is made of seed, initial time and its number alone."""
    first_member: int = 0
    """The number of the first one, to spread an ensemble over machines."""
    add: bool = False
    """Add to a finished Zarr store the members that it lacks of --members; all else as it was made."""
    seed: int | None = None
    """Of an ensemble's noise; by default 0."""
    perturb: float | None = None
    """Make an ensemble of a GraphCast, or a wider one of a GenCast: perturb initial states by this many standard
    deviations of the change over one step, each variable and level by its own. Member 0 stays unperturbed."""
    perturb_length: float = 1200.0
    """Over how many km such a perturbation is correlated."""
    initial_noise: Path | None = None
    """NetCDF file of noise of unit variance, for an ensemble, in place of drawn noise."""
    sampler: str | None = None
    """How a GenCast draws: dpmpp-2s (the published one), dpmpp-2m, heun, ddim, ...; by default the checkpoint's."""
    noise_levels: int | None = None
    """Of the sampler, 2 or more: fewer are faster and less exact."""
    churn: float | None = None
    """Fresh noise between levels, for samplers that take it; 0 is none."""
    noise_memory: float | None = None
    """Correlation of a GenCast's noise with that for the frame before, at large scales, from 0 to below 1: what a
    model does not know acts for longer than a frame. By default the checkpoint's; published ones have 0."""
    noise_memory_degrees: int | None = None
    """Large scales, for --noise-memory: spherical harmonics of degrees below this."""
    levels: tuple[int, ...] = ()
    """Pressure levels to write, hPa; by default all."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the network's arithmetic."""
    memory_limit: float | None = None
    """GB that the forecast may take; by default what is free. Refused before compiling where it would take more."""


def run(arguments: list[str]) -> None:
    options = vars(parse(Forecast, "airmass forecast", arguments))
    require_between("--seed", options["seed"], 0, MOST_SEED)
    require_between("--first-member", options["first_member"], 0, MOST_SEED)
    require_between("--members", options["members"], 1, MOST_SEED)
    require_between("--churn", options["churn"], 0)
    require_positive("--memory-limit", options["memory_limit"])

    from rich.progress import Progress

    from airmass.forecasting.forecast import forecast

    init_times = options.pop("init_time")
    try:
        with Progress() as shown:
            bar = shown.add_task("forecasting", total=None)
            forecast(
                init_times=init_times,
                progress=lambda done, total: shown.update(bar, completed=done, total=total),
                **options,
            )
    except KeyboardInterrupt as stop:
        goes_on = options["out"].suffix == ".zarr"
        stop.args = (f"stopped; {'the same command goes on' if goes_on else 'nothing was written'}",)
        raise
    print(one_line(f"forecast: {options['out']}"))
