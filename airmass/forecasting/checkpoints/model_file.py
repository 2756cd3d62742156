"""A trained model as one file: parameters, settings, scales and grid, enough to forecast from an initial state.

The file is a numpy `.npz` without pickle: `params:<path>`, `scales:<name>`, `latitude`, `longitude`, one JSON text, and
`innovation:<name>` and `calibration:gain` where a model has them. Formats 3 and 4, which are still read, knew no
calibration, 3 no innovation either.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import jax
import numpy as np
from jaxtyping import Float, PyTree

import airmass
from airmass.core.errors import InputError
from airmass.core.files import new_output, write_arrays
from airmass.core.parameter_paths import path_name
from airmass.core.place import local_path
from airmass.fields.channels import Layout
from airmass.fields.grid import LatLonGrid
from airmass.fields.harmonics import Harmonics
from airmass.fields.innovation import Calibration, Innovation
from airmass.fields.normalise import Normaliser
from airmass.fields.variables import VARIABLES
from airmass.models.family import new_network
from airmass.models.model import Trained
from airmass.models.nn.attention_choice import Attend
from airmass.recipes.recipes import Recipe, as_settings, from_settings

MODEL_FILE = "model.npz"
_FORMAT, _READ = 5, (3, 4, 5)
_INNOVATION = ("mean", "persistence", "spread")
_GAIN = "gain"


@dataclass(frozen=True)
class SavedModel:
    """What a checkpoint holds.

    `about` says how it came to be: version, data fingerprint, updates, climatology. `fill` replaces missing values, one
    number a prognostic channel, NaN where none may be missing. `innovation` is there where the recipe asks for it,
    `calibration` where one has been measured.
    """

    recipe: Recipe
    grid: LatLonGrid
    normaliser: Normaliser
    network: PyTree
    about: Mapping[str, str | int]
    fill: Float[np.ndarray, " prognostic"]
    innovation: Innovation | None = None
    calibration: Calibration | None = None

    def model(
        self,
        static: Float[np.ndarray, "node static"],
        precision: str = "float32",
        parts: int = 1,
        attend: Attend | None = None,
    ) -> Any:
        """The forecast model over static fields of the grid, whole or for so many devices that share an example.

        `attend` is what the family's `attention` chose, by default plain JAX.
        """
        recipe = self.recipe
        trained = Trained(
            recipe.task, recipe.model, self.network, self.grid, self.normaliser, self.fill, self.innovation,
            self.calibration,
        )  # fmt: skip
        return recipe.family.build(trained, static, precision, parts, attend)


def write_model(path: str | Path, saved: SavedModel) -> None:
    """Write aside, then into place of any older one."""
    flat = {f"params:{name}": leaf for name, leaf in named_leaves(saved.network).items()}
    flat |= {f"scales:{name}": leaf for name, leaf in named_leaves(saved.normaliser).items()}
    flat |= {f"innovation:{name}": leaf for name, leaf in innovation_arrays(saved.innovation).items()}
    flat |= {} if saved.calibration is None else {f"calibration:{_GAIN}": np.asarray(saved.calibration.gain)}
    text = {
        "format": _FORMAT,
        "airmass": airmass.__version__,
        "recipe": as_settings(saved.recipe),
        "variables": {name: VARIABLES[name].attributes for name in saved.recipe.task.targets},
        "about": dict(saved.about),
    }
    with new_output(path, replace=True) as aside:
        flat |= {"latitude": saved.grid.latitude, "longitude": saved.grid.longitude, "fill": saved.fill}
        flat |= {"json": np.array(json.dumps(text))}
        write_arrays(aside, flat)


def read_model(path: str | Path) -> SavedModel:
    """Read a checkpoint file, or the one in a run's folder. Raises InputError naming what is wrong with it."""
    path = local_path(path, "checkpoint")
    if path.is_dir():
        path = path / MODEL_FILE
    if not path.exists():
        raise InputError(f"{path}: no such checkpoint")
    try:
        with np.load(path, allow_pickle=False) as stored:
            flat = {key: stored[key] for key in stored.files}
        text = json.loads(str(flat["json"]))
    except KeyError:
        raise InputError(f"{path}: not a checkpoint of airmass: it has no settings") from None
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise InputError(f"{path}: cannot be read as a checkpoint: {error}") from error
    if text["format"] not in _READ:
        raise InputError(f"{path}: checkpoint format {text['format']}, expected {_FORMAT}")
    recipe = from_settings(text["recipe"])
    grid = LatLonGrid(flat["latitude"], flat["longitude"])
    network = jax.eval_shape(lambda: new_network(recipe.task, recipe.model, jax.random.key(0)))
    normaliser = _normaliser_template(recipe)
    innovation = innovation_from(_under("innovation:", flat), recipe, grid, path)
    return SavedModel(
        recipe,
        grid,
        with_named_leaves(normaliser, _under("scales:", flat), path),
        with_named_leaves(network, _under("params:", flat), path),
        text["about"],
        flat["fill"],
        innovation,
        _calibration_from(_under("calibration:", flat), innovation, path),
    )


def innovation_arrays(innovation: Innovation | None) -> dict[str, np.ndarray]:
    """What a file holds of innovations: their statistics; the harmonics follow from the grid."""
    return {} if innovation is None else {name: np.asarray(getattr(innovation, name)) for name in _INNOVATION}


def innovation_from(
    arrays: Mapping[str, np.ndarray], recipe: Recipe, grid: LatLonGrid, source: str | Path
) -> Innovation | None:
    """Those that `innovation_arrays` took apart; None where the recipe has none. Raises InputError for other arrays."""
    if not recipe.needs_innovation:
        return None
    channels, degrees = len(Layout.of(recipe.task.prognostic, recipe.task.levels)), grid.shape[1] // 2
    by_harmonic = np.empty((degrees, degrees, channels), np.float32)
    by_lag = np.empty((recipe.task.history, *by_harmonic.shape), np.complex64)
    shapes = np.empty((grid.size, channels), np.float32), by_lag, by_harmonic
    held = with_named_leaves(dict(zip(_INNOVATION, shapes, strict=True)), arrays, source)
    return Innovation(**held, harmonics=Harmonics.build(grid.latitude, grid.longitude))


def _calibration_from(
    arrays: Mapping[str, np.ndarray], innovation: Innovation | None, source: str | Path
) -> Calibration | None:
    """None where there is none yet, as before the first update."""
    if innovation is None or not arrays:
        return None
    held = with_named_leaves({_GAIN: np.empty(innovation.spread.shape, np.float32)}, arrays, source)
    return Calibration(innovation, held[_GAIN])


def named_leaves(tree) -> dict[str, np.ndarray]:
    """Arrays of a tree by the path of their names."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {path_name(path): np.asarray(leaf) for path, leaf in leaves}


def with_named_leaves(template, leaves: Mapping[str, np.ndarray], source: str | Path):
    """A tree like `template` with the given arrays; raises InputError for a missing, left-over or misshapen one."""
    wanted = {path_name(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(template)[0]}
    if missing := sorted(wanted.keys() - leaves.keys()):
        raise InputError(f"{source}: {len(missing)} arrays missing, first {missing[0]}")
    if left_over := sorted(leaves.keys() - wanted.keys()):
        raise InputError(f"{source}: {len(left_over)} arrays that nothing uses, first {left_over[0]}")
    for name, leaf in wanted.items():
        if leaves[name].shape != leaf.shape:
            raise InputError(f"{source}: {name} has shape {leaves[name].shape}, expected {leaf.shape}")
    return jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(template), [leaves[name] for name in wanted])


def _normaliser_template(recipe: Recipe) -> Normaliser:
    task = recipe.task
    history, targets = Layout.of(task.prognostic, task.levels), Layout.of(task.targets, task.levels)
    static, forcing = Layout.of(task.static, task.levels), task.forcing
    h, f, s, t = (np.empty(len(x), np.float32) for x in (history, forcing, static, targets))
    return Normaliser(h, h, f, f, s, s, t, t, Normaliser.columns(task))


def _under(prefix: str, flat: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {key.removeprefix(prefix): value for key, value in flat.items() if key.startswith(prefix)}
