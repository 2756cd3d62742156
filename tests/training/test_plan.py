"""Training's memory and time before anything is compiled: what they must follow, and words for a person."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.commands.main import main
from airmass.core.errors import InputError
from airmass.fields.channels import ChannelLayout
from airmass.fields.grid import LatLonGrid
from airmass.fields.normalise import Normaliser
from airmass.models.family import families, new_network
from airmass.models.footprint import parameter_count
from airmass.models.graphcast.model import GraphCastNetwork, network_sizes
from airmass.models.model import Trained
from airmass.models.objectives.base import Example
from airmass.recipes.recipes import RECIPES
from airmass.recipes.settings import DeviceSettings
from airmass.training.footprint import axes, training_footprint
from airmass.training.optimiser import optimiser
from airmass.training.plan import Resources, proposals
from airmass.training.program import update_program
from airmass.training.sharding import one_device
from airmass.training.update import TrainingBatch, TrainingState

DEMO, SMALL = RECIPES["demo"], RECIPES["graphcast-small"]
GENCAST_DEMO, MINI = RECIPES["gencast-demo"], RECIPES["gencast-mini"]
SHAPE = (181, 360)


def _with(recipe, part, **fields):
    return dataclasses.replace(recipe, **{part: dataclasses.replace(getattr(recipe, part), **fields)})


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_moments_are_as_many_as_the_optimiser_makes(kind):
    recipe = _with(DEMO, "optimiser", kind=kind)
    network = jax.eval_shape(lambda: GraphCastNetwork(recipe.model, *network_sizes(recipe.task), key=jax.random.key(0)))
    transform = optimiser(recipe.optimiser, recipe.training.updates)
    state = jax.eval_shape(transform.init, network)
    made = sum(leaf.size for leaf in jax.tree.leaves(state))
    assert training_footprint(recipe, (32, 64)).parts[f"moments of {kind}"] == pytest.approx(4 * made, rel=0.001)


def test_memory_follows_what_it_must():
    def peak(devices=1, rollout=2, recipe=SMALL, **training):
        return training_footprint(_with(recipe, "training", **training), SHAPE, rollout, devices).peak

    assert peak(batch=4) > peak(batch=4, accumulate=2) > peak(batch=4, accumulate=4)
    assert peak(batch=4, rollout=4, recompute=False) > peak(batch=4, rollout=4, recompute=True) > peak(batch=4)
    assert peak(batch=4) > peak(batch=4, devices=2) > peak(batch=4, devices=4)
    deep = [_with(SMALL, "model", recompute=k) for k in (0, 1, 4)]
    assert peak(batch=1, recipe=deep[0]) > peak(batch=1, recipe=deep[1]) > peak(batch=1, recipe=deep[2])
    split = _with(SMALL, "devices", space=2)
    assert peak(batch=1) > peak(batch=1, devices=2, recipe=split)


def test_bfloat16_is_half_of_it_on_an_accelerator_and_besides_it_on_a_cpu():
    def edges(precision, accelerator):
        recipe = _with(_with(SMALL, "training", precision=precision, batch=1), "model", recompute=1)
        return training_footprint(recipe, SHAPE, 1, accelerator=accelerator).parts["activations on mesh edges"]

    wide = edges("float32", False)
    assert edges("float32", True) == wide
    assert edges("bfloat16", True) == pytest.approx(wide / 2)
    assert edges("bfloat16", False) == pytest.approx(1.5 * wide)


def test_frames_count_on_the_host_and_not_on_an_accelerator():
    name = "examples read ahead and frames in memory"
    parts = training_footprint(DEMO, (32, 64), times=240).parts
    assert parts[name] - training_footprint(DEMO, (32, 64)).parts[name] == 240 * 32 * 64 * 40 * 4
    on_device = training_footprint(DEMO, (32, 64), times=240, accelerator=True)
    assert name not in on_device.parts and "Python, JAX and compiling" not in on_device.parts


def test_of_a_longer_period_the_frames_of_near_windows_count_in_blocks_alone():
    """Windows of three frames, two blocks of four: 15 frames, or all where there are fewer."""
    name, frame = "examples read ahead and frames in memory", 32 * 64 * 40 * 4
    ahead = training_footprint(DEMO, (32, 64)).parts[name]
    for order, times, kept in (("epoch", 240, 0), ("blocks", 240, 15), ("blocks", 9, 9)):
        recipe = _with(DEMO, "loader", order=order, block=4, blocks_at_once=2, hold_gib=0)
        assert training_footprint(recipe, (32, 64), times=times).parts[name] - ahead == kept * frame


def test_devices_share_out_evenly_or_are_refused():
    by_space = DeviceSettings(space=4)
    assert axes(by_space, SMALL.training, 1, 32) == (8, 1, 4)
    with pytest.raises(InputError, match="space 4 do not make 6"):
        axes(by_space, SMALL.training, 1, 6)
    with pytest.raises(InputError, match="1 examples in parallel do not divide over 2 devices"):
        axes(DEMO.devices, DEMO.training, 1, 2)


def test_memory_of_gencast_follows_what_it_must():
    def peak(devices=1, model=None, **training):
        recipe = _with(_with(MINI, "training", **{"batch": 2} | training), "model", **model or {})
        return training_footprint(recipe, SHAPE, devices=devices).peak

    assert peak(batch=4) > peak() > peak(accumulate=2) > peak(batch=1)
    assert peak(precision="float32") > peak(precision="bfloat16")
    assert peak() > peak(devices=2)
    assert peak(model={"recompute": 0}) > peak(model={"recompute": 4}) > peak(model={"recompute": 1})
    assert peak(model={"mesh_level": 5}) > peak()


def _compiled_update(recipe, shape):
    """The update of a recipe on a grid, compiled from shapes alone."""
    grid = LatLonGrid.equiangular(*shape, poles=bool(shape[0] % 2))
    task, training = recipe.task, recipe.training
    targets, history, static = (
        ChannelLayout.of(names, task.levels) for names in (task.targets, task.prognostic, task.static)
    )
    lengths = map(len, (history, task.forcing, static, targets))
    scales = Normaliser(*(np.full(n, x, np.float32) for n in lengths for x in (0, 1)), Normaliser.columns(task))
    fields, fill = np.zeros((grid.size, len(static)), np.float32), np.zeros(len(history), np.float32)
    model = recipe.family.build(Trained(task, recipe.model, None, grid, scales, fill), fields)
    network = jax.eval_shape(lambda: new_network(task, recipe.model, jax.random.key(0)))
    held = jax.tree.map(lambda _: None, network)
    update, (fixed, *_) = update_program(recipe, model, held, grid, one_device())
    state = jax.eval_shape(
        lambda trained: TrainingState.start(recipe.optimiser, recipe.training.updates, trained), network
    )
    lead = training.batch, 1
    frames, forcings = (
        jax.ShapeDtypeStruct((*lead, task.history + 1, grid.size, n), jnp.float32)
        for n in (len(targets), len(task.forcing))
    )
    numbers = jax.ShapeDtypeStruct(lead, jnp.int32)
    return update.lower(state, TrainingBatch(Example(frames, forcings, numbers), numbers), fixed).compile()


@pytest.mark.parametrize(
    "family", [pytest.param(one, marks=() if one == "graphcast" else pytest.mark.slow) for one in families()]
)
def test_an_update_takes_as_much_as_its_compiler_says(family):
    """Arguments and temporaries of the update, of settings that the counts were not taken from."""
    shape, recipe = (45, 96), next(r for n, r in RECIPES.items() if r.family.name == family and n.endswith("demo"))
    larger = {"mesh_level": 3, "width": 128, "recompute": 1 if family == "graphcast" else 0}
    larger = {name: value for name, value in larger.items() if name in dataclasses.asdict(recipe.model)}
    recipe = _with(_with(recipe, "model", **larger), "training", batch=2)
    recipe = _with(recipe, "optimiser", kind="adamw")  # compiles faster
    found = _compiled_update(recipe, shape).memory_analysis()
    planned = training_footprint(recipe, shape, accelerator=True)
    begun_with = 4 * parameter_count(recipe.task, recipe.model)
    taken = found.argument_size_in_bytes + found.temp_size_in_bytes + begun_with
    assert planned.peak == pytest.approx(taken, rel=0.2)


def _where(gigabytes, devices=1):
    rate = {"float32": 1e12, "bfloat16": 2e12}
    return Resources(SHAPE, 0, devices, gigabytes * 1e9, "given", rate, True)


def test_proposals_fit_and_say_what_they_cost():
    where = _where(30)
    assert not where.fits(SMALL)
    found = proposals(SMALL, where)
    assert found and all(p.fits for p in found)
    assert any("--training.accumulate 32" in p.options for p in found)
    more = [p for p in found if "--count" in p.options]
    assert more and all(p.where.devices > 1 for p in more)


def test_where_nothing_fits_the_nearest_is_proposed():
    (nearest,) = proposals(SMALL, _where(0.1))
    assert not nearest.fits
    assert nearest.where.needed(nearest.recipe).peak < _where(0.1).needed(SMALL).peak


def test_the_command_says_it_all_and_options_are_those_of_train(capsys):
    assert main(["plan", "graphcast-small", "--memory", "20", "--training.batch", "1"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"parameters {parameter_count(SMALL.task, SMALL.model):,}" in text
    assert "grid 360 x 181" in text and "given by --memory 20.00 GB" in text
    assert "an update, rollout 12" in text and "to the end of the curriculum" in text


def test_the_command_knows_gencast(capsys):
    assert main(["plan", "gencast-mini", "--memory", "20", "--training.batch", "1"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"parameters {parameter_count(MINI.task, MINI.model):,}" in text
    assert "activations of the transformer" in text and "an update, rollout 1" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["demo", "--training.bacth", "3"], "unknown option --training.bacth; the nearest known is --training.batch"),
        (["demo", "--model.widht=3"], "the nearest known is --model.width"),
        (["demo", "--grid", "1x360"], "grid 1x360: expected rows x columns"),
        (["demo", "--count", "0"], "--count is 0, expected 1 or more"),
        (["demmo"], "unknown recipe 'demmo'"),
    ],
)
def test_what_is_not_known_is_refused_in_one_line(arguments, words, capsys):
    assert main(["plan", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
