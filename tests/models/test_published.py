"""Published checkpoints to our parameters and back, and what is refused."""

import numpy as np
import pytest

from airmass.core.errors import InputError
from airmass.forecasting.checkpoints.read import read_checkpoint
from airmass.models.gencast import published as gencast
from airmass.models.gencast.published import read_gencast
from airmass.models.graphcast import published as graphcast
from airmass.models.graphcast.published import read_graphcast
from tests.golden_case import GOLDEN, GOLDEN_GENCAST, Case

BOTH = pytest.mark.parametrize(
    ("case", "read", "layout"), [(GOLDEN, read_graphcast, graphcast), (GOLDEN_GENCAST, read_gencast, gencast)]
)


def _stored(case: Case) -> dict[str, np.ndarray]:
    with np.load(case.folder / "checkpoint.npz", allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


@BOTH
def test_there_and_back(case, read, layout):
    flat = layout.to_published(case.published.network, case.published.task)
    stored = {k.removeprefix("params:"): v for k, v in _stored(case).items() if k.startswith("params:")}
    assert flat.keys() == stored.keys()
    for name, value in stored.items():
        np.testing.assert_array_equal(flat[name], value, err_msg=name)


def test_task_and_settings():
    task, settings = GOLDEN.published.task, GOLDEN.published.settings
    assert len(task.prognostic) == 11 and task.diagnostic == () and len(task.levels) == 13 and task.step == 6
    assert (settings.mesh_level, settings.width, settings.steps) == (2, 16, 2)
    assert GOLDEN.published.resolution == 10


def test_task_settings_and_noise_of_gencast():
    published = GOLDEN_GENCAST.published
    task, settings = published.task, published.settings
    assert len(task.prognostic) == 11 and task.diagnostic == ("total_precipitation_12hr",) and task.step == 12
    assert (settings.mesh_level, settings.width, settings.layers, settings.heads, settings.hops) == (2, 32, 2, 4, 2)
    assert (published.sampler.levels, published.sampler.churn, published.training_noise.max_noise) == (6, 0, 88)


# The first map of the encoder's edges has one name in both.
FIRST = "params:grid2mesh_gnn/~_networks_builder/encoder_edges_grid2mesh_mlp/~/linear_0:w"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda flat: flat.pop(FIRST), "1 parameters missing, first grid2mesh_gnn"),
        (lambda flat: flat.update({"params:other:w": np.ones(1)}), "nothing uses, first other:w"),
        (lambda flat: flat.update({FIRST: np.ones((5, 16))}), r"shape \(5, 16\), expected \(4, "),
        (lambda flat: [flat.pop(key) for key in list(flat) if key.endswith(":mesh_size")], "no .*_config:mesh_size"),
    ],
)
@BOTH
def test_keys_are_used_exactly_once(tmp_path, case, read, layout, change, words):
    flat = _stored(case)
    change(flat)
    np.savez(tmp_path / "x.npz", **flat)
    with pytest.raises(InputError, match=words):
        read(tmp_path / "x.npz")


@BOTH
def test_a_truncated_file_is_refused(tmp_path, case, read, layout):
    whole = (case.folder / "checkpoint.npz").read_bytes()
    (tmp_path / "x.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "x.npz")


def _put(end: str, value):
    """Another value at the keys that end so."""
    return lambda flat: flat.update({key: np.array(value) for key in flat if key.endswith(end)})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda flat: flat.update({FIRST: flat[FIRST] * np.nan}), r"linear_0:w holds NaN or infinity"),
        (lambda flat: flat.update({FIRST: flat[FIRST].astype(np.float64)}), "linear_0:w is float64, expected float32"),
        (lambda flat: flat.update({FIRST: flat[FIRST].astype(np.complex64)}), "linear_0:w is complex64"),
        (
            _put("levels:0", "50"),
            "levels:0 is '50', expected an int",
        ),
        (lambda flat: flat.update({"task_config:pressure_levels:x": np.array(50)}), "levels:x is in a published list"),
        (
            _put(":input_duration", "half a day"),
            "'half a day', expected an even",
        ),
        (lambda flat: flat.update({"license": np.zeros(3)}), "license is float64 of shape .3,., expected one number"),
        (
            _put(":mesh_size", 99),
            "mesh_level is 99, expected",
        ),
        (
            _put(":mesh_size", 2.5),
            "mesh_level is 2.5, expected",
        ),
        (
            _put(":hidden_layers", "1"),
            "hidden_layers is '1'",
        ),
    ],
)
@BOTH
def test_spoilt_arrays_and_settings_are_refused(tmp_path, case, read, layout, change, words):
    flat = _stored(case)
    change(flat)
    np.savez(tmp_path / "x.npz", **flat)
    with pytest.raises(InputError, match=words) as raised:
        read_checkpoint(tmp_path / "x.npz")
    assert str(raised.value).startswith(f"{tmp_path / 'x.npz'}: ") and "\n" not in str(raised.value)
