"""Several runs of a deterministic model as one system: an ensemble of one member a run."""

import dataclasses

import numpy as np
import pytest

from airmass.commands.main import main
from airmass.data.formats.forecast_reader import open_forecast
from airmass.data.loading.frames import Frames
from airmass.forecasting.checkpoints.model_file import write_model
from tests.training.small import SMALL, small_saved

INIT = "2000-11-02T00"


@pytest.fixture(scope="module")
def runs(small_store, tmp_path_factory) -> list:
    """Folders of runs that differ in their seed."""
    folders = [tmp_path_factory.mktemp("runs") / f"seed{seed}" for seed in range(3)]
    for seed, folder in enumerate(folders):
        recipe = dataclasses.replace(SMALL, training=dataclasses.replace(SMALL.training, seed=seed))
        folder.mkdir()
        write_model(folder / "model.npz", small_saved(recipe, Frames(small_store, recipe.task)))
    return folders


def forecast(small_store, out, *checkpoints, more=()) -> int:
    given = ["--initial", str(small_store), "--init-time", INIT, "--lead-time", "12h", "--out", str(out), *more]
    return main(["forecast", "--checkpoint", *map(str, checkpoints), *given])


def test_a_member_is_the_forecast_of_its_run(small_store, runs, tmp_path):
    assert forecast(small_store, tmp_path / "all.zarr", *runs) == 0
    pool = open_forecast(tmp_path / "all.zarr", ensemble=True)
    assert pool.number.values.tolist() == [0, 1, 2]
    assert pool.attrs["airmass_models"] == ", ".join(str(run) for run in runs)
    for number, run in enumerate(runs[:2]):
        assert forecast(small_store, tmp_path / f"{number}.zarr", run) == 0
        alone = open_forecast(tmp_path / f"{number}.zarr")
        for name in alone.data_vars:
            np.testing.assert_array_equal(pool[name].sel(number=number).values, alone[name].values, err_msg=name)
    scores = ["--truth", str(small_store), "--out", str(tmp_path / "scores")]
    assert main(["evaluate", str(tmp_path / "all.zarr"), *scores]) == 0
    assert "crps" in (tmp_path / "scores" / "scores.json").read_text()


def test_there_are_no_more_members_than_runs(small_store, runs, tmp_path, capsys):
    assert forecast(small_store, tmp_path / "f.zarr", *runs[:2], more=["--members", "4"]) == 2
    assert "members" in (line := capsys.readouterr().err) and line.count("\n") == 1
    assert not (tmp_path / "f.zarr").exists()
