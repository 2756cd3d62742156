"""Training of WeatherNext 2's recipes: fields of cyclones in the loss, and bad settings in one line each."""

import dataclasses
import json

import numpy as np
import pytest
import xarray as xr

from airmass.commands.main import main
from airmass.core.errors import InputError
from airmass.data.loading.frames import Frames
from airmass.fields.variables import CYCLONE_EXISTS
from airmass.forecasting.checkpoints.model_file import read_model
from airmass.recipes.recipes import RECIPES
from airmass.training.loggers import LOG_FILE
from airmass.training.run_folder import initial_model
from airmass.training.train import train
from tests.conftest import make_store, synthetic_dataset
from tests.models.test_family_contract import small_recipe

WIND = "cyclone_usa_wind_disc"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Six days, with one cyclone that moves east from the third day on."""
    dataset = synthetic_dataset(days=6)
    latitude, longitude, count = dataset.latitude.values, dataset.longitude.values, dataset.sizes["time"]
    centre = 40 + 5.0 * np.arange(count)
    away = np.hypot(longitude - centre[:, None, None], 2 * (latitude[:, None] - 15))
    there = (np.arange(count) >= 8)[:, None, None]
    dims = ("time", "latitude", "longitude")
    near = np.where(there, np.exp(-((away / 30) ** 2)), 0).astype(np.float32)
    wind = np.where(there & (away < 60), 80 - away, np.nan).astype(np.float32)
    fields = {CYCLONE_EXISTS: (dims, near, {"units": "1"}), WIND: (dims, wind, {"units": "knot"})}
    return make_store(tmp_path_factory.mktemp("cyclones") / "s.zarr", dataset.assign(fields))


@pytest.fixture(scope="module")
def recipe():
    made = small_recipe("fgn")
    diagnostic, forcing = (*made.task.diagnostic, CYCLONE_EXISTS, WIND), RECIPES["demo"].task.forcing
    task = dataclasses.replace(made.task, diagnostic=diagnostic, forcing=forcing, nonnegative=(WIND,))
    return dataclasses.replace(made, task=task, loss=RECIPES["weathernext2-mini"].loss)


@pytest.mark.slow
def test_an_ensemble_that_starts_from_squared_errors_has_no_spread_before_its_score_begins(store, tmp_path):
    recipe = small_recipe("fgn", calibrated=True, forced=())
    training = dataclasses.replace(recipe.training, updates=(3, 3), rollout=(1, 1))
    loss = dataclasses.replace(recipe.loss, stages=("squared_error",))
    recipe = dataclasses.replace(recipe, training=training, loss=loss)
    train(recipe, store, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / LOG_FILE).read_text().splitlines()]
    reported = [line.keys() & {"rmse", "crps"} for line in lines]
    assert [names for names in reported if names] == 3 * [{"rmse"}] + 3 * [{"crps"}]
    start = initial_model(tmp_path / "run", recipe, Frames(store, recipe.task).grid).network
    end = read_model(tmp_path / "run").network
    assert not np.array_equal(start.condition_encoder, end.condition_encoder)


@pytest.mark.slow
def test_fields_of_cyclones_are_learned_where_there_are_some(store, recipe, tmp_path):
    train(recipe, store, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / LOG_FILE).read_text().splitlines()]
    assert "NaN" not in json.dumps(lines) and any(WIND in json.dumps(line) for line in lines)
    saved = read_model(tmp_path / "run")
    channels = [name for name, _ in Frames(store, recipe.task, missing=True, sparse=True).layout.channels]
    exists, wind = channels.index(CYCLONE_EXISTS), channels.index(WIND)
    assert (saved.normaliser.target_offset[exists], saved.normaliser.target_scale[exists]) == (0, 1)
    held = xr.open_zarr(store)[WIND].sel(time=slice(*recipe.training.dates)).values
    np.testing.assert_allclose(saved.normaliser.target_offset[wind], np.nanmean(held), rtol=1e-4)
    options = [
        "--init-time",
        "2000-11-05T00",
        "--lead-time",
        "12h",
        "--members",
        "2",
        "--out",
        str(tmp_path / "f.zarr"),
    ]
    assert main(["forecast", "--checkpoint", str(tmp_path / "run"), "--initial", str(store), *options]) == 0
    made = xr.open_zarr(tmp_path / "f.zarr")
    assert made[CYCLONE_EXISTS].min() > 0 and made[CYCLONE_EXISTS].max() < 1 and made[WIND].min() >= 0


def test_other_models_and_inputs_cannot_have_them(store, recipe):
    with pytest.raises(InputError, match=f"{WIND} exists only around cyclones; this kind of model cannot learn it"):
        Frames(store, recipe.task, missing=True)
    task = dataclasses.replace(recipe.task, diagnostic=(), prognostic=(*recipe.task.prognostic, WIND))
    with pytest.raises(InputError, match=f"{WIND} exists only around cyclones and cannot be prognostic"):
        Frames(store, task, missing=True, sparse=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("demo --loss.kind fair_crps", "loss.kind is fair_crps, for members: 2 or more, but GraphCast trains with 1"),
        ("fgn-demo --model.members 1", "model.members is 1, expected"),
        ("fgn-demo --loss.alpha 0.9", "loss.alpha is 0.9, but fair_crps has no settings of its own"),
        ("fgn-demo --loss.kind squared_error", "squared_error, for members: 1, but FGN trains with 2"),
        ("demo --loss.stages huber huber", "loss.stages names 2 losses, but training.updates has 1"),
        (
            "fgn-demo --training.updates 9 --training.rollout 1",
            "loss.stages names squared_error for stage 1 of 1, but the last stage trains 2 members by loss.kind",
        ),
        (
            "fgn-demo --loss.stages squared_error fair_crps fair_crps squared_error",
            "loss.stages names squared_error for stage 4 of 4",
        ),
        ("gencast-demo --loss.stages huber", "loss.kind is huber, expected squared_error"),
        ("fgn-demo --devices.member 3", "devices: member is 3, expected a divisor of model.members, 2"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_a_line(store, tmp_path, capsys, options, words):
    assert main(["train", *options.split(), "--data", str(store), "--run", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert words in error and error.strip().count("\n") == 0 and not (tmp_path / "run").exists()
