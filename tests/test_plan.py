"""Training's memory and time before anything is compiled: what they must follow, and words for a person."""

import dataclasses

import jax
import pytest

from airmass.cli import main
from airmass.errors import InputError
from airmass.footprint import parameter_count
from airmass.models.gencast import GenCastSettings
from airmass.models.graphcast import Network, network_sizes
from airmass.plan import Where, proposals
from airmass.recipes import RECIPES
from airmass.training.optimiser import optimiser
from airmass.training.settings import DiffusionSettings
from airmass.training_footprint import axes, training_footprint

DEMO, SMALL = RECIPES["demo"], RECIPES["graphcast-small"]
SHAPE = (181, 360)


def _with(recipe, part, **fields):
    return dataclasses.replace(recipe, **{part: dataclasses.replace(getattr(recipe, part), **fields)})


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_moments_are_as_many_as_the_optimiser_makes(kind):
    recipe = _with(DEMO, "optimiser", kind=kind)
    network = jax.eval_shape(lambda: Network(recipe.model, *network_sizes(recipe.task), key=jax.random.key(0)))
    transform = optimiser(recipe.optimiser, recipe.training.updates)
    state = jax.eval_shape(transform.init, network)
    made = sum(leaf.size for leaf in jax.tree.leaves(state))
    assert training_footprint(recipe, (32, 64)).parts[f"moments of {kind}"] == pytest.approx(4 * made, rel=0.001)


def test_arithmetic_is_three_forward_passes_and_more_where_they_are_made_again():
    once = _with(_with(SMALL, "training", batch=1, recompute=False), "model", recompute=0)
    forward = training_footprint(once, SHAPE, rollout=1).flops / 3
    assert training_footprint(once, SHAPE, rollout=4).flops == pytest.approx(12 * forward)
    again = _with(once, "training", recompute=True)
    assert training_footprint(again, SHAPE, rollout=1).flops == pytest.approx(3 * forward)
    assert training_footprint(again, SHAPE, rollout=4).flops == pytest.approx(16 * forward)
    assert training_footprint(_with(once, "training", batch=8), SHAPE, rollout=1).flops == pytest.approx(24 * forward)


def test_memory_follows_what_it_must():
    def peak(devices=1, rollout=2, recipe=SMALL, **training):
        return training_footprint(_with(recipe, "training", **training), SHAPE, rollout, devices).peak

    assert peak(batch=4) > peak(batch=4, accumulate=2) > peak(batch=4, accumulate=4)
    assert peak(batch=4, precision="float32") > peak(batch=4, precision="bfloat16")
    assert peak(batch=4, rollout=4, recompute=False) > peak(batch=4, rollout=4, recompute=True) > peak(batch=4)
    assert peak(batch=4) > peak(batch=4, devices=2) > peak(batch=4, devices=4)
    deep = [_with(SMALL, "model", recompute=k) for k in (0, 1, 4)]
    assert peak(batch=1, recipe=deep[0]) > peak(batch=1, recipe=deep[1]) > peak(batch=1, recipe=deep[2])
    split = _with(SMALL, "devices", space=2)
    assert peak(batch=1) > peak(batch=1, devices=2, recipe=split)


def test_frames_count_on_the_host_and_not_on_an_accelerator():
    name = "examples read ahead and frames held"
    parts = training_footprint(DEMO, (32, 64), times=240).parts
    assert parts[name] - training_footprint(DEMO, (32, 64)).parts[name] == 240 * 32 * 64 * 40 * 4
    on_device = training_footprint(DEMO, (32, 64), times=240, accelerator=True)
    assert name not in on_device.parts and "Python, JAX and compiling" not in on_device.parts


def test_devices_share_out_evenly_or_are_refused():
    assert axes(_with(SMALL, "devices", space=4), 32) == (8, 4)
    with pytest.raises(InputError, match="space 4 do not make 6"):
        axes(_with(SMALL, "devices", space=4), 6)
    with pytest.raises(InputError, match="1 examples at once do not share out over 2 devices"):
        axes(DEMO, 2)


def test_gencast_is_refused():
    recipe = dataclasses.replace(
        SMALL,
        model=GenCastSettings(),
        training=dataclasses.replace(SMALL.training, updates=(1,), rollout=(1,)),
        diffusion=DiffusionSettings(),
    )
    with pytest.raises(InputError, match="GenCast takes to train is not known"):
        training_footprint(recipe, SHAPE)


def _where(gigabytes, devices=1):
    rate = {"float32": 1e12, "bfloat16": 2e12}
    return Where(SHAPE, 0, devices, gigabytes * 1e9, "given", rate, True)


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


def test_the_curriculum_takes_its_stages():
    where = _where(30)
    stages = zip(SMALL.training.updates, SMALL.training.rollout, strict=True)
    assert where.curriculum(SMALL) == pytest.approx(sum(n * where.seconds(SMALL, r) for n, r in stages))


def test_the_command_says_it_all_and_options_are_those_of_train(capsys):
    assert main(["plan", "graphcast-small", "--memory", "20", "--training.batch", "1"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"parameters {parameter_count(SMALL.task, SMALL.model):,}" in text
    assert "grid 360 x 181" in text and "given by --memory 20.00 GB" in text
    assert "an update, rollout 12" in text and "to the end of the curriculum" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["demo", "--training.bacth", "3"], "unknown option --training.bacth; the nearest known is --training.batch"),
        (["demo", "--model.widht=3"], "the nearest known is --model.width"),
        (["demo", "--grid", "1x360"], "grid 1x360: expected rows x columns"),
        (["demo", "--count", "0"], "count is 0, expected 1 device or more"),
        (["demmo"], "unknown recipe 'demmo'"),
    ],
)
def test_what_is_not_known_is_refused_in_one_line(arguments, words, capsys):
    assert main(["plan", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
