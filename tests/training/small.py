"""A recipe so small that its whole training takes seconds."""

import dataclasses

import jax
import numpy as np
import xarray as xr

from airmass.data.loading.frames import Frames
from airmass.fields.channels import ChannelLayout
from airmass.fields.normalise import Normaliser
from airmass.forecasting.checkpoints.model_file import ModelFile
from airmass.models.family import new_network
from airmass.models.graphcast.model import GraphCast
from airmass.models.graphcast.settings import GraphCastSettings
from airmass.recipes.recipes import RECIPES
from airmass.recipes.settings import OptimiserSettings, SafetySettings, TrainingSettings

TASK = dataclasses.replace(RECIPES["graphcast-small"].task, levels=(500, 850))
TASK = dataclasses.replace(
    TASK,
    prognostic=("geopotential", "temperature", "2m_temperature"),
    diagnostic=("total_precipitation_6hr",),
)
SMALL = dataclasses.replace(
    RECIPES["demo"],
    task=TASK,
    model=GraphCastSettings(mesh_level=1, width=8, steps=2, recompute=0),
    training=TrainingSettings(updates=(12, 4), rollout=(1, 2), batch=2),
    optimiser=OptimiserSettings(warmup=5),
    safety=SafetySettings(save_updates=8, window=4),
)
# As options of `airmass train demo`.
OPTIONS = (
    "--task.prognostic geopotential temperature 2m_temperature --task.levels 500 850 "
    "--model.mesh-level 1 --model.width 8 --model.steps 2 --optimiser.kind adamw"
).split()


def small_model(recipe, frames: Frames) -> GraphCast:
    """The model of a recipe over its frames, scaled by plain numpy statistics."""
    return small_saved(recipe, frames).model(frames.static())


def small_saved(recipe, frames: Frames) -> ModelFile:
    """The same before it is built, of random parameters."""
    frames.hold()
    values = frames.at(frames.times)
    static = frames.static()
    mean, std = _table(frames.layout, values, np.mean), _table(frames.layout, values, np.std)
    change = _table(frames.layout, np.diff(values, axis=0), np.std)
    for column, (name, _) in enumerate(ChannelLayout.of(recipe.task.static, recipe.task.levels).channels):
        mean[name], std[name] = static[:, column].mean(), static[:, column].std()
    for name, column in zip(recipe.task.stored_forcing, _stored(recipe, frames), strict=True):
        mean[name], std[name] = np.nanmean(column), np.nanstd(column)
    scales = Normaliser.from_statistics(recipe.task, mean, std, change)
    network = new_network(recipe.task, recipe.model, jax.random.key(recipe.training.seed))
    fill = np.full(len(ChannelLayout.of(recipe.task.prognostic, recipe.task.levels)), np.nan, np.float32)
    return ModelFile(recipe, frames.grid, scales, network, {}, fill)


def _stored(recipe, frames: Frames) -> np.ndarray:
    """Values of each stored forcing."""
    return np.moveaxis(frames.stored_forcing(frames.times), -1, 0) if recipe.task.stored_forcing else np.empty(0)


def _table(layout: ChannelLayout, values: np.ndarray, statistic) -> xr.Dataset:
    by_channel, fields = statistic(values, axis=(0, 1)), {}
    for name in layout.variables:
        column = by_channel[layout.columns(name)]
        fields[name] = ("level", column) if layout.levels(name) else ((), column[0])
    levels = next(layout.levels(name) for name in layout.variables if layout.levels(name))
    return xr.Dataset(fields, {"level": list(levels)})
