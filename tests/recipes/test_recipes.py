"""What every recipe must be; a new one joins by being in the table."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import pytest

from airmass.commands.main import main
from airmass.core.errors import InputError
from airmass.core.parameter_paths import path_name
from airmass.core.strict_json import read_json
from airmass.diffusion.samplers import known_samplers
from airmass.diffusion.samplers.dpmpp_2s import DPMSolver2S
from airmass.fields.channels import ChannelLayout
from airmass.fields.variables import VARIABLES
from airmass.models.family import new_network
from airmass.models.gencast.settings import CalibrationSettings
from airmass.models.objectives.weights import variable_weights
from airmass.recipes.recipes import RECIPES, recipe
from airmass.recipes.saved import as_settings, from_settings
from airmass.recipes.settings import TrainingSettings
from airmass.training.optimiser import optimiser, schedule

every_recipe = pytest.mark.parametrize("name", RECIPES)


@every_recipe
def test_its_parts_fit_together(name):
    made = recipe(name)
    network = jax.eval_shape(lambda: new_network(made.task, made.model, jax.random.key(0)))
    jax.eval_shape(optimiser(made.optimiser, made.training.updates).init, network)
    layout = ChannelLayout.of(made.task.targets, made.task.levels)
    last = made.family.parameter_layout(made.task, made.model).last
    closing = [leaf for path, leaf in jax.tree_util.tree_leaves_with_path(network) if path_name(path).startswith(last)]
    assert {leaf.shape[-1] for leaf in closing} == {len(layout)}
    assert len(variable_weights(made.loss, layout)) == len(layout.variables)
    assert all(VARIABLES[name].static for name in made.task.static)


@every_recipe
def test_its_rate_peaks_after_the_warm_up_and_ends_low(name):
    made = recipe(name)
    rate = schedule(made.optimiser, made.training.updates)
    peak = made.optimiser.stage_rates[0][0] if made.optimiser.stage_rates else made.optimiser.peak_rate
    assert float(rate(made.optimiser.warmup)) == pytest.approx(peak, rel=1e-5)
    assert float(rate(made.training.total)) < 0.1 * peak


@every_recipe
def test_it_survives_json(name):
    import json

    text = json.dumps(as_settings(recipe(name)))
    assert from_settings(json.loads(text)) == recipe(name)


@every_recipe
def test_its_family_is_saved_by_name_and_found_where_older_versions_did_not_name_it(name):
    settings = as_settings(recipe(name))
    assert settings.pop("family") == recipe(name).family.name
    if recipe(name).family.name in ("graphcast", "gencast"):  # the only ones that there were
        assert from_settings(settings) == recipe(name)


def test_settings_of_an_unknown_family_are_refused():
    with pytest.raises(InputError, match=r"unknown family of models 'graphcst'; known are .*gencast, graphcast"):
        from_settings(as_settings(recipe("demo")) | {"family": "graphcst"})


def test_recipes_are_listed_and_read_without_jax_or_xarray():
    lines = (
        "import sys",
        "from airmass.recipes.recipes import RECIPES",
        "from airmass.recipes.saved import as_settings, from_settings",
        "[from_settings(as_settings(recipe)) for recipe in RECIPES.values()]",
        "assert not {'jax', 'xarray', 'equinox'} & sys.modules.keys()",
    )
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)


@every_recipe
def test_it_says_what_it_costs_and_what_to_expect(name):
    assert recipe(name).cost and recipe(name).expect


@every_recipe
def test_its_options_are_listed(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["train", name, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "--model.width" in shown and "--optimiser.peak-rate" in shown and "--loss.latitude" in shown


def test_an_unknown_recipe_is_refused():
    with pytest.raises(InputError, match=r"'graphcst'; known are demo, demo-curriculum, simulated-year"):
        recipe("graphcst")


@pytest.mark.parametrize("settings", [{"rollout": (1,)}, {"updates": (0, 1)}, {"batch": 0}])
def test_a_curriculum_that_cannot_be_is_refused(settings):
    with pytest.raises(InputError):
        TrainingSettings(**{"updates": (1, 1), "rollout": (1, 2)} | settings)


@pytest.mark.parametrize("name", ["demo-curriculum", "simulated-year"])
def test_a_curriculum_trains_the_network_of_the_demo_on_a_finer_mesh(name):
    plain, curriculum = recipe("demo"), recipe(name)
    assert (curriculum.task, curriculum.model) == (plain.task, replace(plain.model, mesh_level=3))


# Recipes as model files of formats 5 and 3 hold them, written by airmass before it was called by families.
SAVED = Path(__file__).with_name("saved_recipes.json")


@pytest.mark.parametrize("name", ["demo", "gencast-demo"])
@pytest.mark.parametrize("format", [3, 5])
def test_what_older_versions_saved_is_read(name, format):
    held = read_json(SAVED, dict[str, dict], infinity=True)[f"{name} ({format})"]
    read, now = from_settings(held), recipe(name)
    if format == 3 and now.diffusion is not None:  # it knew no calibration and no noise correlated in time
        plain = replace(now.diffusion, sampling=DPMSolver2S(), calibration=CalibrationSettings())
        now = replace(now, diffusion=plain)
    assert read == replace(now, cost=read.cost, expect=read.expect)


@pytest.mark.parametrize("kind", known_samplers())
def test_samplers_that_older_versions_saved_are_read(kind):
    """Every kind had the settings of churn, and none had settings of its own."""
    held = as_settings(recipe("gencast-demo"))
    held["diffusion"]["sampling"] |= {"kind": kind, "levels": 7, "churn": 1.5}
    sampling = from_settings(held).diffusion.sampling
    assert (sampling.kind, sampling.levels, getattr(sampling, "churn", 1.5)) == (kind, 7, 1.5)


@pytest.mark.parametrize("part, name", [("model", "mesh_level"), ("task", "history"), ("optimiser", "beta2")])
def test_a_saved_field_that_is_gone_is_not_taken_for_its_default(part, name):
    held = as_settings(recipe("demo"))
    del held[part][name]
    with pytest.raises(InputError, match=rf"m.npz: {part}.{name} is missing"):
        from_settings(held, "m.npz")
