"""`airmass inspect`: what a checkpoint is, in words that are not cut, and bad input refused in one line."""

import dataclasses

import jax
import numpy as np
import pytest

from airmass.commands.main import main
from airmass.fields.grid import LatLonGrid
from airmass.fields.normalise import Normaliser
from airmass.forecasting.checkpoints.model_file import ModelFile, _normaliser_template, write_model
from airmass.forecasting.inspection import inspection
from airmass.models.family import new_network
from tests.golden_case import GOLDEN, GOLDEN_GENCAST
from tests.training.small import SMALL


@pytest.fixture
def shown(capsys):
    """The lines that `airmass inspect` prints for arguments."""

    def inspect(*arguments) -> str:
        assert main(["inspect", *map(str, arguments)]) == 0
        return " ".join(capsys.readouterr().out.split())

    return inspect


def test_a_published_graphcast(shown):
    text = shown(GOLDEN.folder / "checkpoint.npz")
    count = sum(leaf.size for leaf in jax.tree.leaves(GOLDEN.published.network))
    assert "published GraphCast" in text and "random weights" in text
    assert f"parameters {count:,}" in text
    assert "36 x 19 (10 degrees)" in text and "mesh_level 2" in text
    assert "toa_incident_solar_radiation" in text and "step 6 h" in text
    assert "mean_by_level.nc, stddev_by_level.nc, diffs_stddev_by_level.nc" in text and "min_by_level" not in text
    assert "a 10 day forecast" in text and "Gflop/s measured on" in text
    assert text.endswith("licence none")


def test_a_published_gencast(shown):
    text = shown(GOLDEN_GENCAST.folder / "checkpoint.npz", "--members", 3, "--precision", "bfloat16")
    assert "published GenCast" in text and "1 degree, assumed: the checkpoint has no grid" in text
    assert "360 x 181" in text and "min_by_level.nc" in text and "hops 2" in text
    assert "levels 6" in text and "max_noise 88" in text
    assert "11 evaluations" in text and "a 15 day forecast of 3 members" in text


def test_every_variable_and_level_is_there_on_one_line(capsys):
    main(["inspect", str(GOLDEN.folder / "checkpoint.npz")])
    lines = capsys.readouterr().out.splitlines()
    task = GOLDEN.published.task
    line = next(line for line in lines if line.strip().startswith("prognostic"))
    assert all(name in line for name in task.prognostic)
    assert any(", ".join(map(str, task.levels)) in line for line in lines)


def test_the_grid_can_be_chosen(shown):
    path = GOLDEN_GENCAST.folder / "checkpoint.npz"
    assert "36 x 18 (--grid)" in shown(path, "--grid", "18x36")
    assert "36 x 19 (--grid)" in shown(path, "--grid", GOLDEN_GENCAST.folder / "dataset.nc")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    recipe = dataclasses.replace(SMALL, cost="seconds")
    normaliser: Normaliser = jax.tree.map(np.ones_like, _normaliser_template(recipe.task))
    network = new_network(recipe.task, recipe.model, jax.random.key(0))
    about = {"updates": 16, "data": "store [1]"}
    write_model(
        folder / "model.npz", ModelFile(recipe, LatLonGrid.equiangular(8, 16), normaliser, network, about, np.empty(5))
    )
    return folder


def test_a_run_of_ours(shown, run):
    text = shown(run)
    assert "GraphCast trained by airmass" in text and "updates 16" in text and "cost seconds" in text
    assert "16 x 8 (the checkpoint's)" in text and "store [1]" in text


def test_bad_input_is_refused_in_one_line(tmp_path, run, capsys):
    whole = (GOLDEN.folder / "checkpoint.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    np.savez(tmp_path / "other.npz", weights=np.ones(3))
    cases = {
        "absent.npz: no such checkpoint": [tmp_path / "absent.npz"],
        "cut.npz: cannot be read as a file of arrays": [tmp_path / "cut.npz"],
        "other.npz: not a checkpoint of airmass": [tmp_path / "other.npz"],
        "was trained on a grid of 8x16, but --grid 9x16 is 9x16": [run, "--grid", "9x16"],
        "grid 1x1: expected rows x columns": [GOLDEN.folder / "checkpoint.npz", "--grid", "1x1"],
        "members is 2, expected 1 for GraphCast": [run, "--members", "2"],
    }
    for words, arguments in cases.items():
        assert main(["inspect", *map(str, arguments)]) == 2
        error = capsys.readouterr().err
        assert words in error and error.count("\n") == 1


def test_graphcast_in_bfloat16_takes_less_memory():
    whole, low = (
        inspection(GOLDEN.folder / "checkpoint.npz", "181x360", precision, 1).needed.parts["grid latents"]
        for precision in ("float32", "bfloat16")
    )
    assert low == pytest.approx(whole / 2)
