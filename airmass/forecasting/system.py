"""What a checkpoint can forecast, whoever made it: a run of ours or a published file, behind one interface."""

import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, tee
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Float, PRNGKeyArray

from airmass.core.errors import InputError
from airmass.core.place import local_path
from airmass.core.types import Array
from airmass.data.plausible import Usual, usual
from airmass.data.preparation.statistics import MEAN, MINIMUM, STDDEV, load_statistics, load_table, require_statistics
from airmass.diffusion.noise_levels import SamplerSettings
from airmass.fields.channels import Layout
from airmass.fields.forcing import forcing_windows
from airmass.fields.grid import LatLonGrid
from airmass.fields.innovation import Calibration, Innovation
from airmass.fields.normalise import Normaliser
from airmass.fields.task import Task
from airmass.fields.variables import VARIABLES
from airmass.forecasting.checkpoints.model_file import MODEL_FILE, SavedModel, read_model
from airmass.models.assemble import attention_here, gencast, graphcast
from airmass.models.footprint import fitting
from airmass.models.gencast.model import DenoiserNetwork
from airmass.models.gencast.runner import GenCastRunner
from airmass.models.gencast.settings import GenCastSettings
from airmass.models.graphcast.model import GraphCast, Network
from airmass.models.graphcast.settings import GraphCastSettings
from airmass.models.nn.attention_choice import PLAIN
from airmass.models.published import PublishedGenCast, PublishedGraphCast, read_gencast, read_graphcast
from airmass.models.rollout import serve
from airmass.models.runner import NOTHING, History, Made, MakeRunner, Runner, whole_hours
from airmass.models.state import State

Checkpoint = SavedModel | PublishedGraphCast | PublishedGenCast


@dataclass(frozen=True)
class System:
    """A forecasting system.

    `grid` is None where any global grid of `spacing` degrees will do, or of any spacing where that is 0. `about` goes
    into the forecast's attributes. An `ensemble` has members; other systems know one future. `lead_time` is how far it
    is meant to look. `residual_std` is the spread of prognostic channels' changes over a step, None where initial
    states are perturbed already. `sampler` is how a frame is drawn, None where none is. `attention` names what computes
    it here. `usual` are means and spreads that initial states are held against. `fingerprint` tells checkpoint and
    statistics from others.
    """

    name: str
    title: str
    task: Task
    grid: LatLonGrid | None
    spacing: float
    about: Mapping[str, str | int | float]
    ensemble: bool
    lead_time: str
    runner: MakeRunner
    residual_std: Float[np.ndarray, " prognostic"] | None = None
    sampler: SamplerSettings | None = None
    attention: str = PLAIN
    usual: Usual | None = None
    fingerprint: str = ""


def load_system(
    checkpoint: str | Path,
    statistics: str | Path | None = None,
    precision: str = "float32",
    memory_limit: float | None = None,
) -> System:
    """Read a run's folder, a model file of ours or a published `.npz`; the latter needs the folder of its statistics.

    `precision` is that of the network's arithmetic, `memory_limit` in GB. Raises InputError for a file that is none of
    these or does not hold together, and for statistics that lack a variable or level of the task.
    """
    if memory_limit is not None and not memory_limit > 0:
        raise InputError(f"memory limit is {memory_limit:g} GB, expected above 0")
    path, kind = find_checkpoint(checkpoint)
    load = {SavedModel: _saved, PublishedGenCast: _published_gencast, PublishedGraphCast: _published_graphcast}[kind]
    with _whole(path):
        system = load(path, statistics, precision, memory_limit)
    return replace(system, fingerprint=_fingerprint(path, statistics))


def _fingerprint(path: Path, statistics: str | Path | None) -> str:
    """16 hex digits of all bytes that a system was read from."""
    digest = hashlib.sha256()
    for file in (path, *(sorted(Path(statistics).glob("*_by_level.nc")) if statistics else ())):
        with file.open("rb") as held:
            digest.update(hashlib.file_digest(held, "sha256").digest())
    return digest.hexdigest()[:16]


def read_checkpoint(checkpoint: str | Path) -> Checkpoint:
    """What a checkpoint holds, without the statistics that a published one needs to run."""
    path, kind = find_checkpoint(checkpoint)
    with _whole(path):
        if kind is SavedModel:
            return read_model(path)
        return read_gencast(path) if kind is PublishedGenCast else read_graphcast(path)


def find_checkpoint(checkpoint: str | Path) -> tuple[Path, type[Checkpoint]]:
    """The file that a path means, and its kind; raises InputError for a file that is no checkpoint."""
    path = local_path(checkpoint, "checkpoint")
    path = path / MODEL_FILE if path.is_dir() else path
    keys = _keys(path)
    if "json" in keys:
        return path, SavedModel
    if any(key.startswith("denoiser_architecture_config:") for key in keys):
        return path, PublishedGenCast
    if any(key.startswith("model_config:") for key in keys):
        return path, PublishedGraphCast
    found = ", ".join(keys[:5]) or "none"
    raise InputError(f"{path}: not a checkpoint of airmass nor a published GraphCast or GenCast; keys found: {found}")


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Turn what a broken archive raises as it is read into an InputError."""
    try:
        yield
    except (EOFError, zlib.error, BadZipFile) as error:
        raise InputError(f"{path}: cannot be read as a checkpoint: {error}") from error


def _keys(path: Path) -> list[str]:
    if not path.exists():
        raise InputError(f"{path}: no such checkpoint")
    try:
        with ZipFile(path) as stored:
            return [name.removesuffix(".npy") for name in stored.namelist()]
    except (OSError, BadZipFile) as error:
        raise InputError(f"{path}: cannot be read as a checkpoint: {error}") from error


def _saved(path: Path, statistics: str | Path | None, precision: str, memory_limit: float | None) -> System:
    if statistics is not None:
        raise InputError(f"{path}: carries its own statistics; leave out --statistics {statistics}")
    saved = read_model(path)
    about = {name: value for name, value in saved.about.items() if name != "airmass"}
    task, settings, normaliser = saved.recipe.task, saved.recipe.model, saved.normaliser
    if isinstance(settings, GenCastSettings):
        assert isinstance(saved.network, DenoiserNetwork) and saved.recipe.diffusion is not None
        return _gencast(
            path, task, saved.grid, about, saved.network, settings, normaliser, saved.fill,
            saved.recipe.diffusion.sampling, precision, memory_limit, saved.innovation, saved.calibration,
        )  # fmt: skip
    assert isinstance(saved.network, Network)
    return _graphcast(
        path, task, saved.grid, 0, about, saved.network, settings, normaliser, precision, memory_limit
    )  # fmt: skip


def _published_graphcast(
    path: Path, statistics: str | Path | None, precision: str, memory_limit: float | None
) -> System:
    published = read_graphcast(path)
    mean, std, residual_std = published_statistics(path, statistics, published.task)
    normaliser = Normaliser.from_statistics(published.task, mean, std, residual_std, str(statistics))
    about = _published_about(path, statistics, published)
    return _graphcast(
        path, published.task, None, published.resolution, about, published.network, published.settings, normaliser,
        precision, memory_limit,
    )  # fmt: skip


def _published_about(path: Path, statistics, published: PublishedGraphCast | PublishedGenCast) -> dict[str, str | int]:
    return {
        "checkpoint": str(path),
        "statistics": str(statistics),
        "description": published.description,
        "license": published.license,
    }


def _published_gencast(path: Path, statistics: str | Path | None, precision: str, memory_limit: float | None) -> System:
    published = read_gencast(path)
    task = published.task
    mean, std, residual_std = published_statistics(path, statistics, task)
    normaliser = Normaliser.from_statistics(task, mean, std, residual_std, str(statistics))
    fill = missing_fill(task, str(statistics))
    about = _published_about(path, statistics, published)
    return _gencast(
        path, task, None, about, published.network, published.settings, normaliser, fill, published.sampler,
        precision, memory_limit,
    )  # fmt: skip


def _gencast(
    path: Path,
    task: Task,
    grid: LatLonGrid | None,
    about: Mapping[str, str | int | float],
    network: DenoiserNetwork,
    settings: GenCastSettings,
    normaliser: Normaliser,
    fill: Float[np.ndarray, " prognostic"],
    sampler: SamplerSettings,
    precision: str,
    memory_limit: float | None,
    innovation: Innovation | None = None,
    calibration: Calibration | None = None,
) -> System:
    attention = attention_here(settings, precision)
    if attention.report:
        about = {**about, "attention": attention.report}

    def runner(grid: LatLonGrid, static, seed: int = 0, noise=None, sampler: SamplerSettings = sampler) -> Runner:
        together = fitting(path, task, settings, grid.shape, precision, memory_limit)
        given = network, settings, grid, normaliser, static, fill, task.step, precision
        model = gencast(*given, attend=attention.attend, innovation=innovation, calibration=calibration)
        return GenCastRunner(model, task, grid, sampler, seed, noise, together)

    residual_std = np.asarray(normaliser.prognostic(normaliser.target_scale))
    return System(
        "gencast", "GenCast", task, grid, 0, about, True, "15d", runner, residual_std, sampler, attention.name,
        usual_of(task, normaliser),
    )  # fmt: skip


def usual_of(task: Task, normaliser: Normaliser) -> Usual:
    """Means and spreads that fields for a model are held against."""
    channels = Layout.of(task.prognostic, task.levels).channels
    return usual(channels, normaliser.history_mean, normaliser.history_std)


def with_sampler(system: System, changes: Mapping[str, Any]) -> System:
    """`system` with fields of its sampler's settings changed; raises InputError where it has none, or none such."""
    if system.sampler is None:
        raise InputError(f"{system.title} draws no frames, so a sampler's {', '.join(changes)} mean nothing to it")
    chosen = replace(system.sampler, **changes)
    about = dict(system.about) | {f"sampler_{name}": value for name, value in changes.items()}
    runner: Any = system.runner  # one that samples takes its sampler besides
    return replace(system, sampler=chosen, about=about, runner=partial(runner, sampler=chosen))


def missing_fill(task: Task, folder: str) -> Float[np.ndarray, " prognostic"]:
    """What replaces missing values: the least value of each channel that may be missing, NaN for all others."""
    names = [name for name in task.prognostic if VARIABLES[name].missing_over_land]
    minimum = load_table(folder, MINIMUM) if names else xr.Dataset()
    require_statistics(minimum, Path(folder) / f"{MINIMUM}.nc", names)
    channels = Layout.of(task.prognostic, task.levels).channels
    return np.array([float(minimum[name]) if name in names else np.nan for name, _ in channels], np.float32)


def published_statistics(
    path: Path, folder: str | Path | None, task: Task
) -> tuple[xr.Dataset, xr.Dataset, xr.Dataset]:
    """Mean, standard deviation and standard deviation of changes for a published checkpoint, which holds none itself.

    Those of forcings are needed too: the fixed scales that runs of ours fall back on are not the published ones.
    """
    if folder is None:
        raise InputError(
            f"{path}: a published checkpoint holds no statistics; name the folder with {MEAN}.nc with --statistics"
        )
    mean, std, residual_std = load_statistics(folder, (*task.targets, *task.static), task.levels)
    for dataset, kind in ((mean, MEAN), (std, STDDEV)):
        require_statistics(dataset, Path(folder) / f"{kind}.nc", task.forcing)
    return mean, std, residual_std


def _graphcast(
    path: Path,
    task: Task,
    grid: LatLonGrid | None,
    spacing: float,
    about: Mapping[str, str | int | float],
    network: Network,
    settings: GraphCastSettings,
    normaliser: Normaliser,
    precision: str,
    memory_limit: float | None,
) -> System:
    def runner(grid: LatLonGrid, static, seed: int = 0, noise=None) -> Runner:
        fitting(path, task, settings, grid.shape, precision, memory_limit)
        model = graphcast(network, settings, grid, normaliser, static, task.step, precision)
        return GraphCastRunner(model, task, grid)

    residual_std = np.asarray(normaliser.prognostic(normaliser.target_scale))
    return System(
        "graphcast", "GraphCast", task, grid, spacing, about, False, "10d", runner, residual_std,
        usual=usual_of(task, normaliser),
    )  # fmt: skip


class GraphCastRunner:
    """GraphCast with all that no weather enters computed once."""

    at_once = 1

    def __init__(self, model: GraphCast, task: Task, grid: LatLonGrid):
        self._model = jax.jit(lambda model: model.ready(serving=True))(model)
        self._task, self._grid = task, grid

    def frames(
        self, history: History, init: np.datetime64, members: Sequence[int] = (0,), made: Made = NOTHING
    ) -> Iterator[Iterator[Float[Array, "node target"]]]:
        """The same frame for every member: it knows one future."""
        for frames in self.trajectories(made.histories([history])[:1], init, members[:1], made.count):
            frame = next(frames)
            yield (frame for _ in members)

    def trajectories(
        self, histories: Sequence[History], init: np.datetime64, members: Sequence[int], count: int
    ) -> Iterator[Iterator[Float[Array, "node target"]]]:
        """For each lead time after the first `count`, without end, the frame that follows each of `histories`.

        It draws nothing, so which `members` have them does not matter.
        """
        hours = jnp.int32(whole_hours(init) + count * self._task.step)
        windows = tee(islice(forcing_windows(self._task, self._grid, init), count, None), len(histories))
        states = [State(jnp.asarray(history), hours) for history in histories]
        step = partial(compiled_step, self._model)
        runs = [serve(step, state, own, key=None) for state, own in zip(states, windows, strict=True)]
        while True:
            yield (next(run) for run in runs)


@jax.jit
def compiled_step(
    model: GraphCast, state: State, window: Float[Array, "window node forcing"], *, key: PRNGKeyArray | None
) -> tuple[State, Float[Array, "node target"]]:
    """One forecast step; graphs, scales and static fields are arguments, so one compilation serves every date."""
    return model.step(state, window, key=key)
