"""`airmass forecast --checkpoint X --initial FILE.nc|STORE --out F.zarr|F.nc`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from airmass.commands.options import MOST_SEED, parse, require_between, require_positive
from airmass.core.errors import one_line


@dataclass(frozen=True)
class Forecast:
    """Run a forecast from a checkpoint and an initial state."""

    checkpoint: tuple[Path, ...]
    """A run's folder, a model file, or a published `.npz` of GraphCast, GenCast or WeatherNext 2. Several are one
    system, to which members are dealt out in turn."""
    initial: str
    """Zarr store or NetCDF file with the initial frames and the static fields."""
    out: Path
    """Zarr store (`.zarr`) or NetCDF file (`.nc`) to write. A stopped Zarr forecast stays in OUT.partial and is resumed
    by the same command; a NetCDF file starts over."""
    statistics: Path | None = None
    """Folder with the published statistics (mean_by_level.nc, ...); needed for published GraphCast and GenCast."""
    config: Path | None = None
    """Published configuration, such as WeatherNext2.json; needed for published WeatherNext 2 weights."""
    init_time: tuple[str, ...] = ()
    """One or more initial times, UTC, such as 2001-01-05T06; optional if the input has only one."""
    lead_time: str | None = None
    """Length of the forecast, such as 10d, 72h or 5d12h; by default 10d for GraphCast and 15d for ensemble models."""
    members: int | None = None
    """Ensemble size; by default one for each checkpoint. A member depends only on the checkpoints, the seed, the
    initial time and its number."""
    first_member: int = 0
    """Number of the first member, to split an ensemble over several machines."""
    add: bool = False
    """Add the missing members, up to --members, to a finished Zarr store; all other options must be unchanged."""
    seed: int | None = None
    """Seed of the ensemble's random noise; by default 0."""
    perturb: float | None = None
    """Perturb the initial states: makes an ensemble with GraphCast, and a wider one with GenCast. In standard
    deviations of the change over one step, per variable and level. Member 0 stays unperturbed."""
    perturb_length: float = 1200.0
    """Correlation length of the perturbations, km."""
    initial_noise: Path | None = None
    """NetCDF file with noise of unit variance, used in place of random noise: a field for GenCast, `noise` (sample,
    time, noise_channels) for FGN."""
    sampler: str | None = None
    """Sampler of GenCast: dpmpp-2s (as published), dpmpp-2m, heun, ddim, ...; by default the checkpoint's."""
    noise_levels: int | None = None
    """Number of noise levels of the sampler, 2 or more; fewer are faster and less accurate."""
    churn: float | None = None
    """Noise added between levels, for samplers with churn; 0 adds none."""
    noise_memory: float | None = None
    """Correlation of GenCast's large-scale noise between successive frames, from 0 to below 1: errors of a model
    persist for longer than one frame. By default the checkpoint's; 0 in published ones."""
    noise_memory_degrees: int | None = None
    """Spherical harmonics of degrees below this count as large scales, for --noise-memory."""
    levels: tuple[int, ...] = ()
    """Pressure levels to write, hPa; by default all."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Precision of the network's arithmetic."""
    memory_limit: float | None = None
    """Memory limit, GB; by default the free memory. A forecast that needs more is refused before it compiles."""


def run(arguments: list[str]) -> None:
    options = vars(parse(Forecast, "airmass forecast", arguments))
    require_between("--seed", options["seed"], 0, MOST_SEED)
    require_between("--first-member", options["first_member"], 0, MOST_SEED)
    require_between("--members", options["members"], 1, MOST_SEED)
    require_between("--churn", options["churn"], 0)
    require_positive("--memory-limit", options["memory_limit"])

    from rich.console import Console

    from airmass.core.tables import progress, say
    from airmass.forecasting.forecast import forecast

    init_times = options.pop("init_time")
    try:
        with progress() as shown:
            bar = shown.add_task("forecasting", total=None)
            forecast(
                init_times=init_times,
                progress=lambda done, total: shown.update(bar, completed=done, total=total),
                say=lambda words: say(Console(stderr=True), words, soft_wrap=True),
                **options,
            )
    except KeyboardInterrupt as stop:
        resumable = options["out"].suffix == ".zarr"
        stop.args = (f"stopped; {'run the same command to resume' if resumable else 'nothing was written'}",)
        raise
    print(one_line(f"forecast: {options['out']}"))
