"""Published checkpoints to our parameters and back, and what is refused."""

import numpy as np
import pytest

from airmass.errors import InputError
from airmass.published import read_graphcast, to_published
from tests.golden_case import FOLDER, GOLDEN


def _stored() -> dict[str, np.ndarray]:
    with np.load(FOLDER / "checkpoint.npz", allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


def test_there_and_back():
    flat = to_published(GOLDEN.published.network, GOLDEN.published.task)
    stored = {k.removeprefix("params:"): v for k, v in _stored().items() if k.startswith("params:")}
    assert flat.keys() == stored.keys()
    for name, value in stored.items():
        np.testing.assert_array_equal(flat[name], value, err_msg=name)


def test_task_and_settings():
    task, settings = GOLDEN.published.task, GOLDEN.published.settings
    assert len(task.prognostic) == 11 and task.diagnostic == () and len(task.levels) == 13 and task.step == 6
    assert (settings.mesh_level, settings.width, settings.steps) == (2, 16, 2)


FIRST = "params:grid2mesh_gnn/~_networks_builder/encoder_edges_grid2mesh_mlp/~/linear_0:w"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda flat: flat.pop(FIRST), "1 parameters missing, first grid2mesh_gnn"),
        (lambda flat: flat.update({"params:other:w": np.ones(1)}), "nothing uses, first other:w"),
        (lambda flat: flat.update({FIRST: np.ones((5, 16))}), r"shape \(5, 16\), expected \(4, 16\)"),
        (lambda flat: flat.pop("model_config:mesh_size"), "no model_config:mesh_size"),
    ],
)
def test_keys_are_used_exactly_once(tmp_path, change, words):
    flat = _stored()
    change(flat)
    np.savez(tmp_path / "x.npz", **flat)
    with pytest.raises(InputError, match=words):
        read_graphcast(tmp_path / "x.npz")


def test_a_truncated_file_is_refused(tmp_path):
    whole = (FOLDER / "checkpoint.npz").read_bytes()
    (tmp_path / "x.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cannot be read"):
        read_graphcast(tmp_path / "x.npz")
