"""Model file: parameters, settings, scales and grid of a trained model in one file.

The file is a numpy `.npz` without pickle: `params:<path>`, `scales:<name>`, `latitude`, `longitude`, `fill`, one JSON
text, and `innovation:<name>` and `calibration:gain` if the model has them. Formats 3 and 4 are still read; they had no
calibration, format 3 no linear residual either.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
from jaxtyping import Float, PyTree

import airmass
from airmass.core.arrays import ArrayFile, NpzArray, as_declared
from airmass.core.errors import InputError
from airmass.core.files import new_output, write_arrays
from airmass.core.parameter_paths import path_name
from airmass.core.strict_json import from_source, parse_json
from airmass.core.typed import Range
from airmass.fields.channels import ChannelLayout
from airmass.fields.grid import LatLonGrid
from airmass.fields.harmonics import Harmonics
from airmass.fields.linear_residual import Calibration, LinearResidual
from airmass.fields.normalise import Normaliser
from airmass.fields.task import Task
from airmass.fields.variables import VARIABLES
from airmass.forecasting.checkpoints.location import checkpoint_file
from airmass.models.family import new_network
from airmass.models.model import Trained
from airmass.models.nn.attention_choice import Attend
from airmass.recipes.recipes import Recipe
from airmass.recipes.saved import as_settings, from_settings

_FORMAT, _READ = 5, (3, 4, 5)
_RESIDUAL = ("mean", "persistence", "spread")
_GAIN = "gain"
_MOST_ROWS = 100_000


@dataclass(frozen=True)
class ModelFile:
    """Contents of a model file.

    `about` is its provenance: version, data fingerprint, updates, climatology. `fill` has the value that replaces
    missing ones for each prognostic channel, NaN if none may be missing. `linear_residual` is None unless the recipe
    needs it, `calibration` unless it has been measured.
    """

    recipe: Recipe
    grid: LatLonGrid
    normaliser: Normaliser
    network: PyTree
    about: Mapping[str, str | int]
    fill: Float[np.ndarray, " prognostic"]
    linear_residual: LinearResidual | None = None
    calibration: Calibration | None = None

    def model(
        self,
        static: Float[np.ndarray, "node static"],
        precision: str = "float32",
        parts: int = 1,
        attend: Attend | None = None,
    ) -> Any:
        """Forecast model for static fields [node, static]; for `parts` devices that share an example.

        `attend` is the implementation of attention chosen by the family's `attention`, by default plain JAX.
        """
        recipe = self.recipe
        trained = Trained(
            recipe.task, recipe.model, self.network, self.grid, self.normaliser, self.fill, self.linear_residual,
            self.calibration,
        )  # fmt: skip
        return recipe.family.build(trained, static, precision, parts, attend)


def write_model(path: str | Path, saved: ModelFile) -> None:
    """Write a model file aside, then rename it over any older one."""
    flat = {f"params:{name}": leaf for name, leaf in named_leaves(saved.network).items()}
    flat |= {f"scales:{name}": leaf for name, leaf in named_leaves(saved.normaliser).items()}
    flat |= {f"innovation:{name}": leaf for name, leaf in residual_arrays(saved.linear_residual).items()}
    flat |= {} if saved.calibration is None else {f"calibration:{_GAIN}": np.asarray(saved.calibration.gain)}
    text = {
        "format": _FORMAT,
        "airmass": airmass.__version__,
        "recipe": as_settings(saved.recipe),
        "variables": {name: VARIABLES[name].attributes for name in saved.recipe.task.targets},
        "about": dict(saved.about),
    }
    with new_output(path, replace=True) as aside:
        flat |= {
            "latitude": saved.grid.latitude,
            "longitude": saved.grid.longitude,
            "fill": np.asarray(saved.fill, np.float32),
        }
        flat |= {"json": np.array(json.dumps(text))}
        write_arrays(aside, flat)


@dataclass(frozen=True)
class _Text:
    """JSON text of a model file. `variables`, which documents the file's names, is not read back."""

    format: Annotated[int, Range(0)]
    airmass: str
    recipe: dict[str, Any]
    variables: dict[str, dict[str, Any]]
    about: dict[str, str | int]


def read_model(path: str | Path) -> ModelFile:
    """Read a model file, or the one in a run's folder.

    The recipe determines which arrays must be there, before any is read. Raises InputError for an invalid file.
    """
    path = checkpoint_file(path)
    flat = ArrayFile(path)
    if "json" not in flat:
        raise InputError(f"{path}: not a checkpoint of airmass: it has no settings")
    text = parse_json(flat.text("json"), dict, path, infinity=True)
    if text.get("format") not in _READ:
        raise InputError(f"{path}: checkpoint format {text.get('format')!r}, expected {_FORMAT}")
    held = from_source(text, _Text, path)
    recipe = from_settings(held.recipe, path)
    _require_names(path, flat)
    grid = _grid(flat, path)
    network = jax.eval_shape(lambda: new_network(recipe.task, recipe.model, jax.random.key(0)))
    scales = with_named_leaves(_normaliser_template(recipe.task), flat.under("scales:"), path)
    _require_positive(path, scales)
    linear_residual = residual_from(flat.under("innovation:"), recipe, grid, path)
    return ModelFile(
        recipe,
        grid,
        scales,
        with_named_leaves(network, flat.under("params:"), path),
        held.about,
        _fill(flat, recipe.task, path),
        linear_residual,
        _calibration_from(flat.under("calibration:"), linear_residual, path),
    )


def _require_names(path: Path, flat: ArrayFile) -> None:
    for name in ("latitude", "longitude", "fill"):
        if name not in flat:
            raise InputError(f"{path}: {name} is missing")
    known = ("params:", "scales:", "innovation:", "calibration:")
    alone = {"json", "latitude", "longitude", "fill"}
    if unknown := [name for name in flat if name not in alone and not name.startswith(known)]:
        raise InputError(f"{path}: {unknown[0]} is an array that nothing uses")


def _grid(flat: ArrayFile, path: Path) -> LatLonGrid:
    vectors = []
    for name in ("latitude", "longitude"):
        like = np.broadcast_to(np.float64(0), (min(flat[name].size, _MOST_ROWS),))
        vectors.append(as_declared(flat[name], like, path, name))
    try:
        return LatLonGrid(*vectors)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _fill(flat: ArrayFile, task: Task, path: Path) -> Float[np.ndarray, " prognostic"]:
    """Read `fill`: NaN for channels that may not be missing, else finite."""
    channels = ChannelLayout.of(task.prognostic, task.levels).channels
    fill = as_declared(flat["fill"], np.empty(len(channels), np.float32), path, "fill", finite=False)
    for value, (name, _) in zip(fill, channels, strict=True):
        if np.isinf(value) or (np.isnan(value) and VARIABLES[name].missing_over_land):
            raise InputError(f"{path}: fill of {name} is {value}, expected a finite number")
    return fill


def _require_positive(path: Path, scales: Normaliser) -> None:
    for name in ("history_std", "forcing_std", "static_std", "target_scale"):
        if not (np.asarray(getattr(scales, name)) > 0).all():
            raise InputError(f"{path}: {name} holds a number that is not above 0")


def residual_arrays(linear_residual: LinearResidual | None) -> dict[str, np.ndarray]:
    """Arrays to save of a linear residual: their statistics, without the harmonics, which follow from the grid."""
    return {} if linear_residual is None else {name: np.asarray(getattr(linear_residual, name)) for name in _RESIDUAL}


def residual_from(
    arrays: Mapping[str, NpzArray] | Mapping[str, np.ndarray], recipe: Recipe, grid: LatLonGrid, source: str | Path
) -> LinearResidual | None:
    """Rebuild from `residual_arrays`; None if the recipe needs none. Raises InputError for other arrays."""
    if not recipe.needs_linear_residual:
        return None
    channels, degrees = len(ChannelLayout.of(recipe.task.prognostic, recipe.task.levels)), grid.shape[1] // 2
    by_harmonic = np.empty((degrees, degrees, channels), np.float32)
    by_lag = np.empty((recipe.task.history, *by_harmonic.shape), np.complex64)
    shapes = np.empty((grid.size, channels), np.float32), by_lag, by_harmonic
    held = with_named_leaves(dict(zip(_RESIDUAL, shapes, strict=True)), arrays, source)
    return LinearResidual(**held, harmonics=Harmonics.build(grid.latitude, grid.longitude))


def _calibration_from(
    arrays: Mapping[str, NpzArray], linear_residual: LinearResidual | None, source: str | Path
) -> Calibration | None:
    """Calibration of a model file; None before it has been measured."""
    if linear_residual is None or not arrays:
        return None
    held = with_named_leaves({_GAIN: np.empty(linear_residual.spread.shape, np.float32)}, arrays, source)
    return Calibration(linear_residual, held[_GAIN])


def named_leaves(tree) -> dict[str, np.ndarray]:
    """Arrays of a tree by the path of their names."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {path_name(path): np.asarray(leaf) for path, leaf in leaves}


def with_named_leaves(template, leaves: Mapping[str, NpzArray] | Mapping[str, np.ndarray], source: str | Path):
    """A tree like `template` with the given arrays; raises InputError for one that is missing,
    left over, of another shape or dtype, or not finite."""
    wanted = {path_name(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(template)[0]}
    if missing := sorted(wanted.keys() - leaves.keys()):
        raise InputError(f"{source}: {len(missing)} arrays missing, first {missing[0]}")
    if left_over := sorted(leaves.keys() - wanted.keys()):
        raise InputError(f"{source}: {len(left_over)} arrays that nothing uses, first {left_over[0]}")
    read = [as_declared(leaves[name], leaf, source, name) for name, leaf in wanted.items()]
    return jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(template), read)


def _normaliser_template(task: Task) -> Normaliser:
    history, targets = ChannelLayout.of(task.prognostic, task.levels), ChannelLayout.of(task.targets, task.levels)
    static, forcing = ChannelLayout.of(task.static, task.levels), task.forcing
    h, f, s, t = (np.empty(len(x), np.float32) for x in (history, forcing, static, targets))
    chosen = Normaliser.columns(task), Normaliser.nonnegative(task), Normaliser.masked(task)
    return Normaliser(h, h, f, f, s, s, t, t, *chosen)
