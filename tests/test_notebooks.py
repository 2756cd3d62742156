"""The notebooks: their cells run in order, and no output is kept in the files."""

import json
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pytest

from tests.test_docs import at_hand  # noqa: F401 - a fixture

NOTEBOOKS = sorted((Path(__file__).parents[1] / "docs" / "notebooks").glob("*.ipynb"))


def cells(path: Path) -> list[dict]:
    return json.loads(path.read_text())["cells"]


def test_there_are_four():
    assert len(NOTEBOOKS) == 4


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_stripped(path):
    code = [cell for cell in cells(path) if cell["cell_type"] == "code"]
    assert len(code) >= 3 and all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert len({cell["id"] for cell in cells(path)}) == len(cells(path))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, at_hand, tmp_path, monkeypatch):  # noqa: F811
    matplotlib.use("Agg")
    for found in at_hand.iterdir():
        (tmp_path / found.name).symlink_to(found)
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": "__main__"}
    for cell in cells(path):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"{path.name}, cell {cell['id']}", "exec"), names)
    for number in plt.get_fignums():
        plt.figure(number).savefig(tmp_path / f"{path.stem}-{number}.png", dpi=60)
    assert plt.get_fignums()
    plt.close("all")
