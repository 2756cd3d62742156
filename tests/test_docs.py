"""Code in the README and the docs: blocks marked to run are run as they stand, and links lead somewhere.

`<!-- run -->` on the line before a block marks it, `<!-- not run: why -->` says why another is not; lines of shell that
do not begin with `airmass` are left out. Blocks find what a reader would have by then: a demo's store and run, a
published checkpoint with its statistics and sample.
"""

import importlib.util
import itertools
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import airmass
from airmass.commands.completion import options_of
from airmass.commands.main import COMMANDS, main
from airmass.diffusion.samplers import known_samplers
from airmass.evaluation.metrics import known_metrics
from airmass.fields.variables import VARIABLES
from airmass.models.objectives.losses import loss_names
from airmass.recipes.recipes import RECIPES
from airmass.training.optimiser import OPTIMISERS, SCHEDULES
from tests.conftest import make_store
from tests.golden_case import GOLDEN, GOLDEN_GENCAST

ROOT = Path(__file__).parents[1]
# The reference is made from the code by `make docs`.
WRITTEN = [page for page in sorted((ROOT / "docs").rglob("*.md")) if not {"reference", "_build"} & set(page.parts)]
PAGES = [ROOT / "README.md", ROOT / "README.zh.md", *WRITTEN]
FIGURES = sorted((ROOT / "docs" / "explained").glob("*.py"))
_BLOCK = re.compile(r"^<!-- run -->\n```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [
    pytest.param(language, text, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    if "tutorials" not in page.parts
    for number, (language, text) in enumerate(_BLOCK.findall(page.read_text()), 1)
]
# A tutorial goes on from block to block, so its blocks run in one folder.
BLOCKS += [
    pytest.param("sh", "".join(text for _, text in found), id=page.stem, marks=pytest.mark.slow)
    for page in PAGES
    if "tutorials" in page.parts and (found := _BLOCK.findall(page.read_text()))
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_code_is_run_or_says_why_not(page):
    before = re.findall(r"^(.*)\n```(?:sh|python)\n", page.read_text(), re.MULTILINE)
    assert [line for line in before if not re.fullmatch(r"<!-- (run|not run: .+) -->", line)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page):
    links = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", page.read_text())
    links = [link for link in links if "reference/" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def of_readme(name: str) -> dict[str, list]:
    """Parts that are equal in all languages: headings by depth, tables by shape and code, code, addresses."""
    text = (ROOT / name).read_text()
    cells = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return {
        "headings": re.findall(r"^(#+) ", text, re.MULTILINE),
        "tables": [(len(row), [re.findall(r"`([^`]+)`", cell) for cell in row]) for row in cells],
        "code": [re.sub(r"#.*", "", line).strip() for block in blocks for line in block.splitlines()],
        "links": [link.replace(".zh", "") for link in re.findall(r"\]\(([^)]+)\)", text)],
        "paragraphs": [re.match(r"[-*#|`!<]*", part)[0] for part in re.split(r"\n\s*\n", text)],
    }


@pytest.mark.parametrize("part", ["headings", "tables", "code", "links", "paragraphs"])
def test_both_languages_of_the_readme_say_the_same(part):
    assert of_readme("README.md")[part] == of_readme("README.zh.md")[part]


def test_the_readme_names_only_commands_that_there_are():
    named = re.findall(r"`airmass ((?:data )?[a-z]+)", (ROOT / "README.md").read_text())
    assert set(named) <= set(COMMANDS) and len(set(named)) > 12


# Options of other programs that pages name: uv, pytest, TensorBoard and the benchmarks.
OTHERS = "--extra --from --inexact --spec --jaxtyping-packages --logdir".split()
OTHERS += "--gradient --recipe --rows --seconds --steps --width".split()


def test_options_that_pages_name_are_there(reference):
    known = {*OTHERS, *itertools.chain.from_iterable(options_of(name) for name in COMMANDS)}
    for recipe in RECIPES.values():
        for prefix, value in reference._settings(recipe, "--"):
            known |= {row[0].strip("`") for row in reference.options(prefix, value)}
    named = {
        (str(page.relative_to(ROOT)), option)
        for page in PAGES
        for option in re.findall(r"(?<![\w-])--[a-z][a-z0-9.-]*[a-z0-9](?!\.\*)\b", page.read_text())
    }
    assert sorted(one for one in named if one[1] not in known) == []


def test_the_citation_is_of_this_version():
    assert f"\nversion: {airmass.__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_every_explained_page_has_both_languages_and_its_figure():
    for script in FIGURES:
        assert all(script.with_suffix(suffix).exists() for suffix in (".md", ".zh.md", ".png")), script
    assert len(FIGURES) >= 4
    index = (ROOT / "docs" / "explained" / "index.md").read_text()
    assert [
        script.stem for script in FIGURES if not re.search(rf"\({script.stem}\.md\).*\({script.stem}\.zh\.md\)", index)
    ] == []


@pytest.mark.slow
@pytest.mark.parametrize("script", FIGURES, ids=lambda path: path.stem)
def test_the_figure_of_an_explained_page_is_drawn_by_its_code(script, tmp_path):
    subprocess.run([sys.executable, str(script)], cwd=tmp_path, check=True)
    assert (tmp_path / f"{script.stem}.png").stat().st_size > 10_000


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(page) -> list[list[str]]:
    return [line.strip("|").split(" | ") for text in page for line in text.splitlines() if line.startswith("| `")]


@pytest.mark.parametrize(
    ("page", "members"),
    [
        ("recipes", lambda: RECIPES),
        ("variables", lambda: VARIABLES),
        ("losses", loss_names),
        ("samplers", lambda: [*known_samplers(), *OPTIMISERS, *SCHEDULES]),
    ],
)
def test_every_member_is_in_the_reference_with_words(reference, page, members):
    found = {row[0].strip(" `"): row for row in rows(reference.PAGES[page][1]())}
    assert set(found) == set(members())
    assert [name for name, row in found.items() if not "".join(row[1:]).strip()] == []


def test_every_metric_is_in_the_reference_in_one_row_with_its_cases(reference):
    found = rows(reference.PAGES["metrics"][1]())
    cases = [(row[0].strip(" `"), case.strip()) for row in found for case in row[1].replace("`", "").split(",")]
    assert sorted("_".join(filter(None, case)) for case in cases) == sorted(known_metrics())
    assert len({row[0] for row in found}) == len(found) < len(known_metrics()) / 3
    assert [row[0] for row in found if not row[2].strip() or not row[3].strip(" |")] == []


def test_every_public_name_and_command_is_in_the_reference(reference):
    text = "\n".join(reference.api())
    assert [name for name in airmass.__all__ if f"## airmass.{name}\n" not in text] == []
    assert [name for name in COMMANDS if "usage" not in reference.help_of(name).lower()] == []


def test_every_setting_is_in_the_reference(reference):
    """Settings of every recipe have a row, and their class a docstring that says what they do."""
    text = "\n".join(reference.settings())
    for recipe in RECIPES.values():
        for prefix, value in reference._settings(recipe, "--"):
            assert len(type(value).__doc__ or "") > 20, type(value)
            for row in reference.options(prefix, value):
                assert f"{row[0]} |" in text, (prefix, row)


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("sphinx")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(ROOT / "docs")]
    done = subprocess.run([*command, str(tmp_path / "html")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "html" / "reference" / "python.html").read_text()
    assert "airmass.ForecastModel" in page
