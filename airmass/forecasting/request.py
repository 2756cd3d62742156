"""Options of a forecast: those of the command and of `airmass.forecast`. Importing this module needs no JAX."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from airmass.core.errors import InputError
from airmass.core.place import local_path
from airmass.core.typed import MOST_SEED, Range, check_options

SUFFIXES = (".zarr", ".nc")
# Options that change no value of a forecast, and files, which are recorded by their contents.
_NOT_RECORDED = (
    "checkpoint",
    "statistics",
    "config",
    "initial",
    "forcings",
    "initial_noise",
    "init_time",
    "out",
    "score_against",
    "add",
    "memory_limit",
)
# Option -> field of the sampler's settings that it changes.
_SAMPLER = {
    "sampler": "kind",
    "noise_levels": "levels",
    "churn": "churn",
    "noise_memory": "memory",
    "noise_memory_degrees": "memory_degrees",
}
# Options that need random members, and those that need members.
_DRAWING = ("seed", "initial_noise", "noise_scale", *_SAMPLER)
_OF_ENSEMBLES = ("members", "first_member", "add", "perturb", "perturb_length", *_DRAWING)


@dataclass(frozen=True)
class ForecastRequest:
    """Run a forecast from a checkpoint and an initial state."""

    checkpoint: tuple[str | Path, ...] | str | Path
    """A run's folder, a model file, a published `.npz` of GraphCast, GenCast or WeatherNext 2, or `demo`, the model in
    the package. Several are one system, to which members are dealt out in turn."""
    initial: str | Path
    """Zarr store or NetCDF file with the initial frames and the static fields."""
    out: str | Path
    """Zarr store (`.zarr`) or NetCDF file (`.nc`) to write. A stopped Zarr forecast stays in OUT.partial and is resumed
    by the same command; a NetCDF file starts over."""
    statistics: str | Path | None = None
    """Folder with the published statistics (mean_by_level.nc, ...); needed for published GraphCast and GenCast."""
    init_time: tuple[str, ...] = ()
    """One or more initial times, UTC, such as 2001-01-05T06; optional if the input has only one."""
    lead_time: str | None = None
    """Length of the forecast, such as 10d, 72h or 5d12h; by default 10d for GraphCast and 15d for ensemble models."""
    config: str | Path | None = None
    """Published configuration, such as WeatherNext2.json; needed for published WeatherNext 2 weights."""
    members: Annotated[int, Range(1, MOST_SEED)] | None = None
    """Ensemble size; by default one for each checkpoint. A member depends only on the checkpoints, the seed, the
    initial time and its number."""
    first_member: Annotated[int, Range(0, MOST_SEED)] = 0
    """Number of the first member, to split an ensemble over several machines."""
    add: bool = False
    """Add the missing members, up to --members, to a finished Zarr store; all other options must be unchanged."""
    seed: Annotated[int, Range(0, MOST_SEED)] | None = None
    """Seed of the ensemble's random noise; by default 0."""
    perturb: Annotated[float, Range(0, above=True)] | None = None
    """Perturb the initial states: makes an ensemble with GraphCast, and a wider one with GenCast. In standard
    deviations of the change over one step, per variable and level. Member 0 stays unperturbed."""
    perturb_length: Annotated[float, Range(0, above=True)] = 1200.0
    """Correlation length of the perturbations, km."""
    initial_noise: str | Path | None = None
    """NetCDF file with noise of unit variance, used in place of random noise: for GenCast one field, the same for every
    member; for FGN `noise` (sample, time, noise_channels)."""
    noise_scale: Annotated[float, Range(0, 100)] | None = None
    """Standard deviation of the noise of FGN and other models whose members differ by noise in the norms: above 1
    members spread more. By default the checkpoint's; 1 in published ones."""
    sampler: str | None = None
    """Sampler of GenCast: dpmpp-2s (as published), dpmpp-2m, heun, ddim, ...; by default the checkpoint's."""
    noise_levels: int | None = None
    """Number of noise levels of the sampler, 2 or more; fewer are faster and less accurate."""
    churn: Annotated[float, Range(0)] | None = None
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
    memory_limit: Annotated[float, Range(0, above=True)] | None = None
    """Memory limit, GB; by default the free memory. A forecast that needs more is refused before it compiles."""
    score_against: str | None = None
    """Store of truth: the forecast is scored one initial time after another and not kept; OUT becomes the folder of
    scores, as of `airmass evaluate`."""
    forcings: str | Path | None = None
    """Zarr store or NetCDF file with the forcings that a checkpoint reads at every time of the forecast (sea surface
    temperature, sea ice, ...), and the land-sea mask if they are missing over land; by default the initial one."""

    def __post_init__(self):
        check_options(self)
        if not self.checkpoints:
            raise InputError("no checkpoint, expected one or more")
        if len(set(map(Path, self.checkpoints))) < len(self.checkpoints):
            raise InputError(f"checkpoints {', '.join(map(str, self.checkpoints))}: each may be given once")
        out = local_path(self.out, "output")
        if self.score_against is not None and out.suffix in SUFFIXES:
            raise InputError(f"{out}: expected the name of a folder of scores, as --score-against keeps no forecast")
        if self.score_against is None and out.suffix not in SUFFIXES:
            raise InputError(f"{out}: expected a name that ends in {' or '.join(SUFFIXES)}")
        if self.add and not self.resumable:
            raise InputError(f"{out}: members can be added only to a Zarr store")
        if self.perturb is None and self.perturb_length != type(self).perturb_length:
            raise InputError(f"--perturb-length {self.perturb_length:g} has no effect without --perturb")
        if self.initial_noise is not None and self.noise_memory:
            raise InputError(f"--initial-noise fixes the noise, so --noise-memory {self.noise_memory:g} has no effect")
        if self.initial_noise is not None and self.noise_scale is not None:
            raise InputError(f"--initial-noise fixes the noise, so --noise-scale {self.noise_scale:g} has no effect")

    @property
    def checkpoints(self) -> tuple[str | Path, ...]:
        return (self.checkpoint,) if isinstance(self.checkpoint, str | Path) else self.checkpoint

    @property
    def checkpoint_name(self) -> str:
        """The checkpoints in messages."""
        first, *others = self.checkpoints
        return f"{first} and {len(others)} more" if others else str(first)

    @property
    def output(self) -> Path:
        return local_path(self.out, "output")

    @property
    def resumable(self) -> bool:
        """True if a stopped forecast can be resumed."""
        return self.output.suffix == ".zarr"

    @property
    def sampler_changes(self) -> dict[str, Any]:
        """Fields of the sampler's settings to replace."""
        given = {field: getattr(self, option) for option, field in _SAMPLER.items()}
        return {field: value for field, value in given.items() if value is not None}

    def numbers(self, models: int = 1) -> range:
        """Numbers of the members of an ensemble to run, by default one for each model."""
        return range(self.first_member, self.first_member + (self.members or models))

    def require_members(self, most: int, title: str) -> None:
        """Raise InputError for options that make no sense for an ensemble of `most` deterministic models."""
        asked = self.numbers(most)
        if asked.stop > most:
            raise InputError(
                f"{title} are deterministic: members {asked.start} to {asked.stop - 1} are asked for, expected 0 to "
                f"{most - 1}; --perturb makes more"
            )
        for option, value in self._given():
            if option in _DRAWING:
                raise InputError(f"{title} are deterministic: --{option.replace('_', '-')} {value} has no effect")

    def refuse_ensemble_options(self, title: str) -> None:
        """Raise InputError for an option of ensembles, which has no effect on the deterministic system `title`."""
        for option, value in self._given():
            if option in _OF_ENSEMBLES and (option, value) != ("members", 1):
                raise InputError(f"{title} is deterministic: --{option.replace('_', '-')} {value} has no effect")

    def record(self, ensemble: bool) -> dict[str, Any]:
        """Options that determine a forecast's values, as in JSON. Options of ensembles only for an `ensemble`."""
        unset = [] if self.perturb is not None else ["perturb_length"]
        unset += [] if self.noise_scale is not None else ["noise_scale"]  # as before there was this option
        left_out = {*_NOT_RECORDED, *_SAMPLER, *unset, *(() if ensemble else _OF_ENSEMBLES)}
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in left_out}
        sampler = {"sampler": self.sampler_changes} if self.sampler_changes else {}
        return sampler | {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def _given(self) -> Iterator[tuple[str, Any]]:
        """Yield the options that differ from their defaults."""
        for field in fields(self):
            if (value := getattr(self, field.name)) != field.default:
                yield field.name, value
