"""What every family of models must do; a new one joins by having a folder and a recipe whose name ends in "demo"."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from airmass.commands.main import main
from airmass.core.errors import InputError
from airmass.data.loading.examples import Examples
from airmass.data.loading.frames import Frames
from airmass.data.preparation.linear_residuals import linear_residual_of
from airmass.fields.channels import ChannelLayout
from airmass.fields.normalise import Normaliser
from airmass.fields.variables import VARIABLES
from airmass.forecasting.checkpoints.model_file import ModelFile, named_leaves, read_model, write_model
from airmass.models.family import families, family_of
from airmass.models.footprint import footprint
from airmass.models.objectives.base import Example
from airmass.models.objectives.losses.base import WeightedLoss
from airmass.models.settings import ModelSettings
from airmass.models.state import State
from airmass.recipes.monitoring import MonitoringSettings
from airmass.recipes.recipes import RECIPES, Recipe
from airmass.recipes.saved import as_settings, from_settings
from airmass.recipes.settings import OptimiserSettings, SafetySettings, TrainingSettings
from airmass.training.calibration import calibration_of
from airmass.training.loggers import LOG_FILE
from airmass.training.train import train
from tests.conftest import NAMES, make_store, synthetic_dataset
from tests.training.small import small_saved

FAMILIES = tuple(families())
LAND = "sea_surface_temperature"
FORCED = "sea_ice_cover"
# What makes a model small, where it has such a setting.
_SMALL = {"mesh_level": 1, "width": 8, "steps": 2, "layers": 2, "heads": 2, "hops": 2, "feedforward": 16}
DATES, HELD_OUT = ("2000-11-01", "2000-11-04"), ("2000-11-05", "2000-11-06")
UPDATES = 4


def demo_recipe(family: str) -> tuple[str, Recipe]:
    """The recipe that is for trying a family out."""
    return next((n, r) for n, r in RECIPES.items() if r.family.name == family and n.endswith("demo"))


def small(settings: ModelSettings) -> ModelSettings:
    return dataclasses.replace(settings, **{k: v for k, v in _SMALL.items() if k in dataclasses.asdict(settings)})


def small_recipe(family: str, calibrated: bool = False, forced: tuple[str, ...] = (FORCED,)) -> Recipe:
    """A recipe that trains in seconds, with a field that is missing over land where the family takes one."""
    _, recipe = demo_recipe(family)
    masked = recipe.family.may_be_missing and not calibrated
    names = ("geopotential", "temperature", "2m_temperature", *([LAND] if masked else []))
    task = dataclasses.replace(
        recipe.task,
        prognostic=names,
        diagnostic=(f"total_precipitation_{recipe.task.step}hr",),
        forcing=(*RECIPES["graphcast-small"].task.forcing, *forced),
        levels=(500, 850),
    )
    watch = MonitoringSettings(
        every=1, validate_every=2, validation_dates=HELD_OUT, validation_starts=2, validation_lead_hours=24
    )
    diffusion = recipe.diffusion
    if diffusion is not None:
        calibration = dataclasses.replace(diffusion.calibration, starts=2 if calibrated else 0, frames=2)
        sampling = dataclasses.replace(diffusion.sampling, levels=3, memory=0.0)
        diffusion = dataclasses.replace(diffusion, sampling=sampling, calibration=calibration)
    return dataclasses.replace(
        recipe,
        task=task,
        model=small(recipe.model),
        training=TrainingSettings(updates=(UPDATES,), rollout=(1,), batch=2, dates=DATES),
        optimiser=OptimiserSettings(warmup=2),
        loss=dataclasses.replace(recipe.loss, stages=()),
        safety=SafetySettings(save_updates=UPDATES, window=2),
        diffusion=diffusion,
        watch=watch,
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return make_store(tmp_path_factory.mktemp("data") / "store.zarr", days=6, names=(*NAMES, FORCED))


# The ensemble of GraphCasts is made of what FGN and GraphCast are made of.
SLOW = {"graphcast_ensemble": pytest.mark.slow}


@pytest.fixture(scope="module", params=[pytest.param(name, marks=SLOW.get(name, ())) for name in FAMILIES])
def family(request):
    return families()[request.param]


@pytest.fixture(scope="module")
def run(family, data, tmp_path_factory) -> Path:
    """A few updates with validation, stopped after the first of them and gone on with."""
    recipe, folder = small_recipe(family.name), tmp_path_factory.mktemp(family.name) / "run"
    hurried = dataclasses.replace(recipe.safety, time_limit_minutes=1.0, margin_minutes=1.0)
    with pytest.raises(KeyboardInterrupt, match="stopped after update 1;"):
        train(dataclasses.replace(recipe, safety=hurried), data, folder)
    train(recipe, data, folder)
    return folder


@pytest.fixture(scope="module")
def saved(run) -> ModelFile:
    return read_model(run)


@pytest.fixture(scope="module")
def frames(saved, family, data) -> Frames:
    return Frames(data, saved.recipe.task, DATES, missing=family.may_be_missing)


def _parameters(run: Path) -> dict[str, bytes]:
    with np.load(run / "model.npz", allow_pickle=False) as stored:
        return {key: stored[key].tobytes() for key in stored.files if key.startswith("params:")}


def _lines(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / LOG_FILE).read_text().splitlines()]


def test_it_is_found_by_its_name_and_by_its_settings(family):
    assert family_of(family.settings()) is family
    recipe = small_recipe(family.name)
    assert as_settings(recipe)["family"] == family.name
    assert from_settings(json.loads(json.dumps(as_settings(recipe)))) == recipe


def test_what_it_trained_is_finite_and_reported(family, run, saved):
    assert all(np.isfinite(leaf).all() for leaf in named_leaves(saved.network).values())
    lines = [line for line in _lines(run) if "loss" in line]
    assert [line["update"] for line in lines] == list(range(1, UPDATES + 1))
    assert all(np.isfinite(line["loss"]) for line in lines)


def test_validation_scores_every_channel_that_there_is(family, run, saved):
    task, scored = saved.recipe.task, [line for line in _lines(run) if any("validation" in key for key in line)]
    assert scored
    text = json.dumps(scored)
    assert "NaN" not in text and all(name in text for name in task.targets)


def test_a_state_moves_on_by_a_step(saved, frames):
    model, task = saved.model(frames.static()), saved.recipe.task
    window = jnp.asarray(frames.window(0, task.history + 1))
    columns = list(model.normaliser.prognostic_columns)
    state = State(window[: task.history][..., columns], jnp.int32(7))
    moved = model.advance(state, window[-1])
    assert int(moved.valid_time) == 7 + task.step
    np.testing.assert_array_equal(moved.history, window[1:][..., columns])


def test_a_field_that_cannot_be_negative_is_kept_at_zero(family, saved, frames):
    """Rain of a model whose mean of it is taken to be minus one metre."""
    recipe, rain = saved.recipe, f"total_precipitation_{saved.recipe.task.step}hr"
    columns = Normaliser.nonnegative(dataclasses.replace(recipe.task, nonnegative=(rain,)))
    offset = np.array(saved.normaliser.target_offset)
    offset[list(columns)] = -1
    scales = dataclasses.replace(saved.normaliser, target_offset=offset, nonnegative_columns=columns)
    model = dataclasses.replace(saved, normaliser=scales).model(frames.static())
    forced = {"sampler": family.sampler(recipe), "stored": frames.stored_forcing}
    runner = family.runner(model, recipe.task, frames.grid, **forced)
    history = frames.window(0, recipe.task.history)[..., list(scales.prognostic_columns)]
    init = frames.times[(recipe.task.history - 1) * recipe.task.step // 6].astype("datetime64[ns]")
    frame = np.asarray(next(next(runner.frames(history, init, (0,)))))
    assert columns and (frame[:, list(columns)] == 0).all() and (np.delete(frame, columns, axis=1) != 0).any()


def test_what_is_computed_beforehand_changes_nothing(family, saved, frames):
    recipe, model = saved.recipe, saved.model(frames.static())
    loss = WeightedLoss(recipe.loss, ChannelLayout.of(recipe.task.targets, recipe.task.levels), frames.grid)
    objective = jax.tree.map(jnp.asarray, family.objective(recipe, loss, frames.grid))
    example = Example(*(leaf[0] for leaf in Examples(frames, recipe.loader, 0, 1).read(0, 1)))
    one, other = (
        jax.jit(lambda m: objective(m, example, jax.random.key(3))[0])(m)
        for m in (model, jax.jit(lambda m: m.ready())(model))
    )
    np.testing.assert_allclose(one, other, rtol=1e-5)


def test_saved_and_read_it_is_the_same(saved, tmp_path):
    write_model(tmp_path / "again.npz", saved)
    again = read_model(tmp_path / "again.npz")
    assert again.recipe == saved.recipe and again.grid == saved.grid
    for name, leaf in named_leaves(saved.network).items():
        np.testing.assert_array_equal(named_leaves(again.network)[name], leaf)


def test_inspect_names_it_and_takes_members_of_an_ensemble_alone(family, run, capsys):
    assert main(["inspect", str(run)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"{family.title} trained by airmass" in shown and f"updates {UPDATES}" in shown
    others = [other.title for other in families().values() if other is not family]
    assert not any(f"{title} trained by airmass" in shown for title in others)
    assert main(["inspect", str(run), "--members", "4"]) == (0 if family.ensemble else 2)
    told = capsys.readouterr()
    if family.ensemble:
        assert "forecast of 4 members" in " ".join(told.out.split())
    else:
        assert f"members is 4, expected 1 for {family.title}" in told.err


def test_plan_takes_a_store_with_what_the_family_reads(family, data, capsys):
    name, recipe = demo_recipe(family.name)
    names = ["geopotential", *([LAND] if family.may_be_missing else [])]
    options = ["--task.prognostic", *names, "--task.diagnostic", "--task.levels", "500", "--memory", "20"]
    if recipe.calibrated:
        options += ["--diffusion.calibration.starts", "0"]
    assert main(["plan", name, "--data", str(data), *options]) == 0, capsys.readouterr().err
    assert "grid 16 x 8" in " ".join(capsys.readouterr().out.split())


def test_a_forecast_has_every_frame_and_is_missing_where_its_start_is(family, run, saved, data, tmp_path):
    step = saved.recipe.task.step
    options = ["--init-time", "2000-11-05T00", "--lead-time", f"{2 * step}h", "--out", str(tmp_path / "f.zarr")]
    options += ["--members", "2"] if family.ensemble else []
    assert main(["forecast", "--checkpoint", str(run), "--initial", str(data), *options]) == 0
    made, start = xr.open_zarr(tmp_path / "f.zarr"), xr.open_zarr(data)
    assert made.sizes["lead_time"] == 2 and ("number" in made.dims) == family.ensemble
    for name in saved.recipe.task.targets:
        gaps = np.isnan(start[name].isel(time=0)).values if VARIABLES[name].missing_over_land else False
        np.testing.assert_array_equal(np.isnan(made[name].values), np.broadcast_to(gaps, made[name].shape))
    if family.ensemble:
        assert float(made["2m_temperature"].std("number").max()) > 0


def test_forcings_of_a_forecast_come_from_a_store_at_every_time(family, run, saved, data, tmp_path, capsys):
    """From the initial store, or one that is named; a missing time is refused; other values make another forecast."""
    step = saved.recipe.task.step
    ice = synthetic_dataset(days=6, names=(FORCED, "land_sea_mask"))
    make_store(tmp_path / "same.zarr", ice)
    make_store(tmp_path / "other.zarr", ice.assign({FORCED: (1 - ice[FORCED]).assign_attrs(ice[FORCED].attrs)}))
    make_store(tmp_path / "short.zarr", ice.sel(time=slice("2000-11-05T06")))
    made = {}
    for name in ("initial", "same", "other", "short"):
        out = tmp_path / f"{name}-forecast.zarr"
        options = [] if name == "initial" else ["--forcings", str(tmp_path / f"{name}.zarr")]
        options += ["--init-time", "2000-11-05T00", "--lead-time", f"{2 * step}h", "--out", str(out)]
        if main(["forecast", "--checkpoint", str(run), "--initial", str(data), *options]) == 0:
            made[name] = xr.open_zarr(out)["temperature"].values
    assert "short.zarr: missing time 2000-11-05T12:00" in capsys.readouterr().err
    assert sorted(made) == ["initial", "other", "same"]
    np.testing.assert_array_equal(made["same"], made["initial"])
    assert np.abs(made["other"] - made["initial"]).max() > 0


def test_a_forecast_takes_more_memory_on_a_finer_grid(saved):
    recipe = saved.recipe
    coarse, fine = (footprint(recipe.task, recipe.model, shape) for shape in ((181, 360), (721, 1440)))
    assert fine.peak > 2 * coarse.peak - 700e6 and fine.flops > 2 * coarse.flops


def test_it_is_calibrated_where_it_can_be(family, data):
    """Training does the same at its end (tests/training/test_calibration.py)."""
    recipe = small_recipe(family.name, calibrated=True)
    if not recipe.calibrated:
        pytest.skip(f"{family.title} draws nothing that could be calibrated")
    frames = Frames(data, recipe.task, DATES)
    saved = small_saved(recipe, frames)
    linear_residual = linear_residual_of(frames, np.asarray(saved.normaliser.target_scale))
    gain = np.asarray(calibration_of(dataclasses.replace(saved, linear_residual=linear_residual), frames).gain)
    assert np.isfinite(gain).all() and (gain > 0).all() and (gain <= 1).all() and (gain < 1).any()


def test_a_field_missing_over_land_is_taken_or_refused(family, data):
    task = dataclasses.replace(small_recipe(family.name).task, prognostic=("geopotential", LAND))
    if family.may_be_missing:
        assert np.isnan(Frames(data, task, missing=True).window(0, 1)).any()
    else:
        with pytest.raises(InputError, match="NaN over land, which this kind of model cannot read"):
            Frames(data, task, missing=family.may_be_missing)


_TRAIN = """
import sys
from tests.models.test_family_contract import small_recipe, often_saved
from airmass.training.train import train
train(often_saved(small_recipe(sys.argv[1])), sys.argv[2], sys.argv[3])
"""


def often_saved(recipe: Recipe) -> Recipe:
    """The same for longer, saved after every update."""
    safety = dataclasses.replace(recipe.safety, save_minutes=0.0)
    training = dataclasses.replace(recipe.training, updates=(40,))
    return dataclasses.replace(recipe, safety=safety, training=training, watch=MonitoringSettings(every=1))


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_bit(family, data, tmp_path):
    recipe = often_saved(small_recipe(family.name))
    train(recipe, data, tmp_path / "undisturbed")
    child = subprocess.Popen([sys.executable, "-c", _TRAIN, family.name, str(data), str(tmp_path / "run")])
    for _ in range(30_000):
        if any(path.name.isdigit() for path in (tmp_path / "run" / "checkpoints").glob("*")):
            break
        assert child.poll() is None
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL and not (tmp_path / "run" / "model.npz").exists()
    train(recipe, data, tmp_path / "run")
    assert _parameters(tmp_path / "run") == _parameters(tmp_path / "undisturbed")
