"""A run that starts from a checkpoint forecasts what the checkpoint forecasts, whatever is added around it."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.core.errors import InputError
from airmass.fields.channels import ChannelLayout
from airmass.fields.grid import LatLonGrid
from airmass.fields.normalise import Normaliser
from airmass.fields.task import Task
from airmass.forecasting.checkpoints.model_file import ModelFile, named_leaves, write_model
from airmass.models.gencast.model import DenoiserNetwork, GenCast, denoiser_sizes
from airmass.models.gencast.settings import GenCastSettings
from airmass.models.graphcast.model import GraphCast, GraphCastNetwork, network_sizes
from airmass.models.graphcast.settings import GraphCastSettings
from airmass.models.mesh.graph import build_graphs
from airmass.models.mesh.icosphere import icosphere
from airmass.models.mesh.neighbours import Neighbours
from airmass.models.mesh.tiles import Tiles
from airmass.models.state import State
from airmass.models.transfer import NetworkChannel, input_channels, output_channels
from airmass.recipes.recipes import RECIPES, Recipe
from airmass.training.warm_start import restored_fill, restored_scales, start_from
from tests.golden_case import GOLDEN, GOLDEN_GENCAST

TASK = Task(
    prognostic=("temperature", "2m_temperature", "specific_humidity"),
    diagnostic=("total_precipitation_6hr",),
    forcing=("year_progress_sin", "day_progress_cos"),
    static=("land_sea_mask",),
    levels=(500, 850),
)
SETTINGS = GraphCastSettings(mesh_level=1, width=8, steps=2, recompute=0)
FILL = np.array([np.nan, 1, 2, 3, 4], np.float32)
GRID = LatLonGrid.equiangular(8, 16, poles=False)


class Held(NamedTuple):
    """A checkpoint and what is in it."""

    path: Path
    statistics: Path | None
    task: Task
    settings: GraphCastSettings | GenCastSettings
    network: GraphCastNetwork | DenoiserNetwork
    normaliser: Normaliser


def _fresh(task: Task, settings, seed: int = 9):
    """A random network of a recipe, with biases and scales that show where they go."""
    graphcast = isinstance(settings, GraphCastSettings)
    kind, sizes = (GraphCastNetwork, network_sizes) if graphcast else (DenoiserNetwork, denoiser_sizes)
    network = jax.eval_shape(lambda: kind(settings, *sizes(task), key=jax.random.key(0)))
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: 0.3 * rng.standard_normal(leaf.shape, np.float32), network)


def _scales(task: Task, seed: int) -> Normaliser:
    rng = np.random.default_rng(seed)
    history, static = (len(ChannelLayout.of(names, task.levels)) for names in (task.prognostic, task.static))
    sizes = [n for n in (history, len(task.forcing), static, len(output_channels(task))) for _ in range(2)]
    return Normaliser(*(rng.uniform(1, 2, n).astype(np.float32) for n in sizes), Normaliser.columns(task))


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Held:
    path = tmp_path_factory.mktemp("run") / "model.npz"
    recipe = Recipe(task=TASK, model=SETTINGS, training=RECIPES["demo"].training)
    held = Held(path, None, TASK, SETTINGS, _fresh(TASK, SETTINGS, 5), _scales(TASK, 1))
    write_model(path, ModelFile(recipe, GRID, held.normaliser, held.network, {}, FILL))
    return held


def _published(case) -> Held:
    published = case.published
    checkpoint = case.folder / "checkpoint.npz"
    return Held(checkpoint, case.folder, published.task, published.settings, published.network, case.normaliser)


@pytest.fixture(params=["saved", "graphcast", "gencast"])
def held(request, saved) -> Held:
    return {"saved": saved, "graphcast": _published(GOLDEN), "gencast": _published(GOLDEN_GENCAST)}[request.param]


def _wider(held: Held):
    """A task with a variable, a forcing and a level more, all among the others, and a deeper, finer network."""
    task = dataclasses.replace(
        held.task,
        prognostic=("surface_pressure", *held.task.prognostic),
        forcing=("day_progress_sin", *(name for name in held.task.forcing if name != "day_progress_sin")),
        levels=tuple(sorted((*held.task.levels, 775))),
    )
    depth = "steps" if isinstance(held.settings, GraphCastSettings) else "layers"
    deeper = {depth: getattr(held.settings, depth) + 2}
    return task, dataclasses.replace(held.settings, mesh_level=held.settings.mesh_level + 1, **deeper)


def _fields(channels, *shape: int) -> np.ndarray:
    """A random field for each channel, the same in whichever task it stands."""
    seeds = ([*str(channel).encode()] for channel in channels)
    return np.stack(
        [np.random.default_rng(seed).standard_normal((*shape, GRID.size), np.float32) for seed in seeds], -1
    )


def _output(task: Task, settings, network, normaliser) -> np.ndarray:
    """Scaled outputs on mesh level 1, for weather that depends on the names of channels alone."""
    history, static, targets = (
        ChannelLayout.of(names, task.levels).channels for names in (task.prognostic, task.static, task.targets)
    )
    state = State(_fields(history, task.history), np.int32(0))
    forcing, noisy, static = _fields(task.forcing, task.history + 1), _fields(targets), _fields(static)
    tiles = Tiles.of(build_graphs(GRID, 1, cache=False))
    if isinstance(settings, GraphCastSettings):
        model = GraphCast(network, tiles, normaliser, static, task.step)
        return _predict(*jax.tree.map(jnp.asarray, (model, state, forcing)))
    neighbours, fill = Neighbours.within(icosphere(1), settings.hops), np.zeros(len(history), np.float32)
    model = GenCast(network, tiles, neighbours, normaliser, static, fill, task.step)
    return _denoise(*jax.tree.map(jnp.asarray, (model, state, forcing, noisy)))


@jax.jit
def _predict(model, state, forcing):
    return model.predict(state, forcing)


@jax.jit
def _denoise(model, state, forcing, noisy):
    return model.denoise(model.prepare(state, forcing), noisy, jnp.float32(1.5))


def test_the_forecast_of_what_was_there_before_is_unchanged(held):
    task, settings = _wider(held)
    network, about = start_from(_fresh(task, settings), task, settings, held.path)
    scales = restored_scales(_scales(task, 2), task, held.path, held.statistics)
    before = _output(held.task, held.settings, held.network, held.normaliser)
    after = _output(task, settings, network, scales)
    old = [output_channels(task).index(slot) for slot in output_channels(held.task)]
    np.testing.assert_allclose(after[:, old], before, atol=2e-6 * np.abs(before).max())
    assert set(about.new_columns) == set(range(after.shape[1])) - set(old)
    if isinstance(settings, GraphCastSettings):
        np.testing.assert_array_equal(after[:, about.new_columns], 0)
    assert "surface_pressure" in str(about) and "temperature at 775 hPa" in str(about) and "left out" not in str(about)


def test_the_same_task_takes_every_parameter_as_it_is(held):
    network, about = start_from(_fresh(held.task, held.settings), held.task, held.settings, held.path)
    for name, leaf in named_leaves(held.network).items():
        np.testing.assert_array_equal(named_leaves(network)[name], leaf, err_msg=name)
    n, m = (
        len(input_channels(held.task, not isinstance(held.settings, GraphCastSettings))),
        len(output_channels(held.task)),
    )
    assert str(about) == f"{held.path}: transferred {n} of {n} inputs and {m} of {m} outputs"


def test_what_starts_at_zero_learns(saved):
    """New rows, new columns and the ends of added steps have a gradient."""
    task, settings = _wider(saved)
    network, about = start_from(_fresh(task, settings), task, settings, saved.path)
    tiles = jax.tree.map(jnp.asarray, Tiles.of(build_graphs(GRID, 1, cache=False)))
    x = _fields(range(network_sizes(task)[0]))
    y = _fields(range(len(output_channels(task))))
    gradient = jax.jit(jax.grad(lambda network: jnp.square(network(tiles, lambda tile: x) - y).mean()))(network)
    assert np.all(np.any(gradient.encoder.embed_grid.layers[0].weight[np.array(about.new_rows)] != 0, axis=1))
    assert np.all(np.any(gradient.decoder.output.layers[-1].weight[:, np.array(about.new_columns)] != 0, axis=0))
    assert np.all(np.any(gradient.processor.node_mlp.norm.scale != 0, axis=1))


def test_rows_and_columns_go_by_name(saved):
    """What is dropped is left out and lags are counted from the last frame."""
    task = dataclasses.replace(TASK, prognostic=("temperature", "2m_temperature"), levels=(850,), history=3)
    network, about = start_from(_fresh(task, SETTINGS), task, SETTINGS, saved.path)
    new, old = network.encoder.embed_grid.layers[0].weight, saved.network.encoder.embed_grid.layers[0].weight
    rows, old_rows = input_channels(task, False), input_channels(TASK, False)
    for row, slot in enumerate(rows):
        expected = old[old_rows.index(slot)] if slot.lag > -2 else np.zeros(8)
        np.testing.assert_array_equal(new[row], expected, err_msg=str(slot))
    assert {rows[row].lag for row in about.new_rows} == {-2}
    last, old_last = network.decoder.output.layers[-1], saved.network.decoder.output.layers[-1]
    kept = [output_channels(TASK).index(slot) for slot in output_channels(task)]
    np.testing.assert_array_equal(last.weight, old_last.weight[:, kept])
    np.testing.assert_array_equal(last.bias, old_last.bias[kept])
    assert "left out: specific_humidity at 500 850 hPa, temperature at 500 hPa" in str(about)


def test_slots_are_the_order_of_normalised_inputs():
    """Each input channel, marked by a number of its own, comes out of the normaliser where its slot says."""
    numbers = {slot: float(n) for n, slot in enumerate(input_channels(TASK, False))}
    history, static = (ChannelLayout.of(names, TASK.levels).channels for names in (TASK.prognostic, TASK.static))
    frames = [[numbers[NetworkChannel("input", *channel, lag)] for channel in history] for lag in (-1, 0)]
    forcing = [[numbers[NetworkChannel("input", name, None, lag)] for name in TASK.forcing] for lag in (-1, 0, 1)]
    fixed = [numbers[NetworkChannel("input", *channel, 0)] for channel in static]
    plain = jax.tree.map(jnp.ones_like, _scales(TASK, 0))
    parts = (np.expand_dims(np.array(part), -2) for part in (frames, forcing, fixed))
    np.testing.assert_array_equal(plain.inputs(*parts)[0] + 1, np.arange(len(numbers) - 3))


def test_a_change_of_role_starts_anew(saved):
    """A whole field and a change since the last frame are not the same output."""
    task = dataclasses.replace(TASK, prognostic=(*TASK.prognostic, *TASK.diagnostic), diagnostic=())
    network, about = start_from(_fresh(task, SETTINGS), task, SETTINGS, saved.path)
    (column,) = about.new_columns
    assert output_channels(task)[column] == NetworkChannel("change", "total_precipitation_6hr", None, 1)
    assert not np.any(network.decoder.output.layers[-1].weight[:, column])
    assert "total_precipitation_6hr was diagnostic and is prognostic" in str(about)
    own = _scales(task, 2)
    assert restored_scales(own, task, saved.path).target_scale[column] == own.target_scale[column]


def test_scales_are_the_checkpoints_where_it_has_them(held):
    task, _ = _wider(held)
    own = _scales(task, 2)
    merged = restored_scales(own, task, held.path, held.statistics)
    here, there = (ChannelLayout.of(t.prognostic, t.levels).channels for t in (task, held.task))
    for i, channel in enumerate(here):
        source, place = (held.normaliser, there.index(channel)) if channel in there else (own, i)
        assert merged.history_mean[i] == source.history_mean[place], channel
    for i, name in enumerate(task.forcing):
        known = name in held.task.forcing
        source, place = (held.normaliser, held.task.forcing.index(name)) if known else (own, i)
        assert merged.forcing_std[i] == source.forcing_std[place], name
    assert merged.prognostic_columns == own.prognostic_columns


def test_what_fills_missing_values_goes_with_its_channel(saved):
    task, _ = _wider(saved)
    fill = restored_fill(np.full(8, 9, np.float32), task, saved.path)
    by_channel = dict(zip(ChannelLayout.of(task.prognostic, task.levels).channels, fill, strict=True))
    assert by_channel["specific_humidity", 500] == 1 and by_channel["temperature", 850] == 4
    assert by_channel["surface_pressure", None] == 9 and np.isnan(by_channel["2m_temperature", None])
    gencast = _published(GOLDEN_GENCAST)
    own = np.zeros_like(GOLDEN_GENCAST.model.fill)
    restored = restored_fill(own, gencast.task, gencast.path, gencast.statistics)
    np.testing.assert_array_equal(restored, GOLDEN_GENCAST.model.fill)
    assert restored_fill(own, GOLDEN.published.task, GOLDEN.folder / "checkpoint.npz") is own


@pytest.mark.parametrize(
    ("task", "settings", "message"),
    [
        ({}, {"width": 16}, "model.npz: width is 8, expected 16"),
        ({}, {"hidden_layers": 2}, "hidden_layers is 1, expected 2"),
        ({}, {"steps": 1}, "steps is 2, expected at most 1: it can only grow"),
        ({"step": 12}, {}, "was trained for steps of 6 h, expected 12 h"),
    ],
)
def test_what_does_not_fit_is_refused(saved, task, settings, message):
    task, settings = dataclasses.replace(TASK, **task), dataclasses.replace(SETTINGS, **settings)
    with pytest.raises(InputError, match=message):
        start_from(saved.network, task, settings, saved.path)


def test_another_kind_of_model_is_refused(saved):
    source = GOLDEN_GENCAST.folder / "checkpoint.npz"
    with pytest.raises(InputError, match=r"checkpoint.npz: holds a GenCast, expected a GraphCast"):
        start_from(saved.network, TASK, SETTINGS, source)


def test_statistics_go_with_published_files_only(saved):
    with pytest.raises(InputError, match="contains its statistics; leave out --statistics here"):
        restored_scales(saved.normaliser, TASK, saved.path, "here")
    with pytest.raises(InputError, match="has no statistics; give the folder"):
        restored_scales(GOLDEN.normaliser, GOLDEN.published.task, GOLDEN.folder / "checkpoint.npz")
