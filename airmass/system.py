"""What a checkpoint can forecast, whoever made it: a run of ours or a published file, behind one interface."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Protocol
from zipfile import BadZipFile, ZipFile

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Float, PRNGKeyArray

from airmass.arrays import Array
from airmass.data.statistics import MEAN, STDDEV, load_statistics, require_statistics
from airmass.errors import InputError
from airmass.forcing import forcings
from airmass.graph import build_graphs
from airmass.grid import LatLonGrid
from airmass.models.graphcast import GraphCast, GraphCastSettings, Network
from airmass.models.state import State
from airmass.normalise import Normaliser
from airmass.published import read_graphcast
from airmass.rollout import serve
from airmass.saved import MODEL_FILE, read_model
from airmass.task import Task
from airmass.tiles import Tiles

_HOUR = np.timedelta64(1, "h")


class Runner(Protocol):
    """A model that is ready to run on one grid."""

    def frames(
        self, history: Float[np.ndarray, "time node prognostic"], init: np.datetime64, members: Sequence[int]
    ) -> Iterator[Iterator[Float[Array, "node target"]]]:
        """For each lead time, without end, the frame of each of `members`, in physical units.

        `history` ends at `init`. Members are numbered from 0; a number gives the same forecast whichever others are
        asked for. Where a field is missing over land, so is the frame.
        """


class MakeRunner(Protocol):
    """Builds a runner from static fields; `seed` and `noise` are for systems that draw."""

    def __call__(
        self,
        grid: LatLonGrid,
        static: Float[np.ndarray, "node static"],
        seed: int = 0,
        noise: Float[np.ndarray, "node target"] | None = None,
    ) -> Runner: ...


@dataclass(frozen=True)
class System:
    """A forecasting system.

    `grid` is None where any global grid of `spacing` degrees will do, or of any spacing where that is 0. `about` goes
    into the forecast's attributes. An `ensemble` has members; other systems know one future. `lead_time` is how far it
    is meant to look.
    """

    name: str
    title: str
    task: Task
    grid: LatLonGrid | None
    spacing: float
    about: Mapping[str, str | int]
    ensemble: bool
    lead_time: str
    runner: MakeRunner


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
    path = Path(checkpoint)
    path = path / MODEL_FILE if path.is_dir() else path
    keys = _keys(path)
    try:
        if "json" in keys:
            return _saved(path, statistics, precision, memory_limit)
        if any(key.startswith("denoiser_architecture_config:") for key in keys):
            return _published_gencast(path, statistics, precision, memory_limit)
        if any(key.startswith("model_config:") for key in keys):
            return _published_graphcast(path, statistics, precision, memory_limit)
    except (EOFError, zlib.error, BadZipFile) as error:
        raise InputError(f"{path}: cannot be read as a checkpoint: {error}") from error
    found = ", ".join(keys[:5]) or "none"
    raise InputError(f"{path}: not a checkpoint of airmass nor a published GraphCast or GenCast; keys found: {found}")


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
    return _graphcast(
        saved.recipe.task, saved.grid, 0, about, saved.network, saved.recipe.model, saved.normaliser,
        precision, memory_limit,
    )  # fmt: skip


def _published_graphcast(
    path: Path, statistics: str | Path | None, precision: str, memory_limit: float | None
) -> System:
    published = read_graphcast(path)
    mean, std, residual_std = published_statistics(path, statistics, published.task)
    normaliser = Normaliser.from_statistics(published.task, mean, std, residual_std, str(statistics))
    about = {
        "checkpoint": str(path),
        "statistics": str(statistics),
        "description": published.description,
        "license": published.license,
    }
    with np.load(path, allow_pickle=False) as stored:
        spacing = float(stored["model_config:resolution"]) if "model_config:resolution" in stored else 0.0
    return _graphcast(
        published.task, None, spacing, about, published.network, published.settings, normaliser,
        precision, memory_limit,
    )  # fmt: skip


def _published_gencast(path: Path, statistics: str | Path | None, precision: str, memory_limit: float | None) -> System:
    # GenCast is plugged in here: a System with ensemble=True and lead_time="15d", whose `runner` makes its Runner.
    raise InputError(f"{path}: GenCast checkpoints cannot be run yet")


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
    task: Task,
    grid: LatLonGrid | None,
    spacing: float,
    about: Mapping[str, str | int],
    network: Network,
    settings: GraphCastSettings,
    normaliser: Normaliser,
    precision: str,
    memory_limit: float | None,
) -> System:
    def runner(grid: LatLonGrid, static, seed: int = 0, noise=None) -> Runner:
        tiles = Tiles.of(build_graphs(grid, settings.mesh_level, settings.radius_fraction))
        arrays = jax.tree.map(jnp.asarray, GraphCast(network, tiles, normaliser, static, task.step))
        return GraphCastRunner(arrays, task, grid)

    if precision != "float32":
        raise InputError(f"precision {precision}: GraphCast runs in float32 only")
    return System("graphcast", "GraphCast", task, grid, spacing, about, False, "10d", runner)


class GraphCastRunner:
    """GraphCast with all that no weather enters computed once."""

    def __init__(self, model: GraphCast, task: Task, grid: LatLonGrid):
        self._model = jax.jit(lambda model: model.ready())(model)
        self._task, self._grid = task, grid

    def frames(
        self, history: Float[np.ndarray, "time node prognostic"], init: np.datetime64, members: Sequence[int] = (0,)
    ) -> Iterator[Iterator[Float[Array, "node target"]]]:
        """The same frame for every member: it knows one future."""
        state = State(jnp.asarray(history), jnp.int32(init.astype("datetime64[h]").astype(int)))
        windows = forcing_windows(self._task, self._grid, init)
        for frame in serve(partial(compiled_step, self._model), state, windows, key=jax.random.key(0)):
            yield (frame for _ in members)


@jax.jit
def compiled_step(
    model: GraphCast, state: State, window: Float[Array, "window node forcing"], *, key: PRNGKeyArray
) -> tuple[State, Float[Array, "node target"]]:
    """One forecast step; graphs, scales and static fields are arguments, so one compilation serves every date."""
    return model.step(state, window, key=key)


def forcing_windows(
    task: Task, grid: LatLonGrid, init: np.datetime64
) -> Iterator[Float[np.ndarray, "window node forcing"]]:
    """For each step, the forcings at its history's times and at its target time; each time is computed once."""
    step = task.step * _HOUR
    window = forcings(task.forcing, init + np.arange(1 - task.history, 1) * step, grid)
    for number in count(1):
        newest = forcings(task.forcing, np.array([init + number * step]), grid)
        window = np.concatenate([window[-task.history :], newest])
        yield window
