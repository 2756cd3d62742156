"""Code in the README and the docs: blocks marked to run are run as they stand, and links lead somewhere.

`<!-- run -->` on the line before a block marks it; lines of shell that do not begin with `airmass` are left out. Blocks
find what a reader would have by then: a demo's store and run, a published checkpoint with its statistics and sample.
"""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from airmass.commands.main import main
from tests.conftest import make_store
from tests.golden_case import GOLDEN, GOLDEN_GENCAST

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "README.zh.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^<!-- run -->\n```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [
    pytest.param(language, text, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, (language, text) in enumerate(_BLOCK.findall(page.read_text()), 1)
]
LEVELS = (100, 200, 300, 500, 700, 850, 1000)
TINY = "--model.mesh-level 1 --model.width 8 --model.steps 2 --training.updates 2"


@pytest.fixture(scope="session")
def at_hand(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("reader")
    make_store(folder / "demo" / "simulated.zarr", days=14, levels=LEVELS, start="2000-12-20")
    run, store = folder / "demo" / "run", folder / "demo" / "simulated.zarr"
    dates = "--training.dates 2000-12-20 2000-12-30"
    assert main(shlex.split(f"train demo --data {store} --run {run} {TINY} {dates}")) == 0
    shutil.copy(GOLDEN.folder / "checkpoint.npz", folder / "GraphCast_small.npz")
    shutil.copy(GOLDEN_GENCAST.folder / "checkpoint.npz", folder / "GenCast_Mini.npz")
    for case, name in ((GOLDEN, "stats"), (GOLDEN_GENCAST, "stats-gencast")):
        (folder / name).mkdir()
        for table in case.folder.glob("*_by_level.nc"):
            shutil.copy(table, folder / name)
    shutil.copy(GOLDEN.folder / "dataset.nc", folder / "sample.nc")
    shutil.copy(GOLDEN_GENCAST.folder / "dataset.nc", folder / "sample-gencast.nc")
    return folder


@pytest.mark.parametrize(("language", "text"), BLOCKS)
def test_a_marked_block_runs(language, text, at_hand, tmp_path, monkeypatch):
    for found in at_hand.iterdir():
        (tmp_path / found.name).symlink_to(found)
    monkeypatch.chdir(tmp_path)
    if language == "python":
        exec(compile(text, "block", "exec"), {"__name__": "__main__"})
        return
    assert language == "sh", f"no way to run {language}"
    commands = [shlex.split(line, comments=True) for line in text.replace("\\\n", " ").splitlines()]
    ran = [words[1:] for words in commands if words[:1] == ["airmass"]]
    assert ran, "nothing to run in a block that is marked to run"
    for words in ran:
        assert main(words) == 0, words


def test_some_blocks_are_marked():
    assert len(BLOCKS) >= 4


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page):
    links = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
