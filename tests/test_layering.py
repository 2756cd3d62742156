"""A folder imports from those below it only. Read from the source, not run; CONTRIBUTING lists the same folders."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "airmass"

# From the lowest up; CONTRIBUTING.md is held to the same order and words.
ROOMS = {
    "core": "errors, files, memory, tables; nothing about weather",
    "fields": "variables, grid, time, forcing, normalising, and fields as channels",
    "data": "formats and their sources (Zarr, NetCDF, GRIB), ingest, preparation, loading, the simulated climate",
    "diffusion": "noise levels, processes, samplers; nothing about weather",
    "models": "one folder per model; the mesh, layers and objectives that they share",
    "evaluation": "scores of forecasts, one file per metric",
    "plots": "one file per kind of plot, and the report",
    "recipes": "all settings, and recipes: named values of them",
    "forecasting": "forecasts from a checkpoint and an initial state; checkpoints on disk",
    "training": "training from a recipe and a store; estimates of memory and time",
    "commands": "one file per command, and the demo",
}
ENTRIES = {*ROOMS, "__init__.py", "__main__.py"}


def imports(path: Path, package: Path) -> Iterator[str]:
    """Rooms that a file imports from, at the top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            here = path.relative_to(package.parent).with_suffix("").parts[: -node.level or None]
            base = ".".join([*(here if node.level else ()), *([node.module] if node.module else [])])
            names = [base if base != package.name else f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        parts = [name.split(".") for name in names]
        yield from (p[1] for p in parts if p[0] == package.name and len(p) > 1 and p[1] in ROOMS)


def breaches(package: Path) -> list[str]:
    """Entries that are no room, and imports of rooms above a file's own."""
    order = list(ROOMS)
    found = [f"{entry.name} is no room" for entry in sorted(package.iterdir()) if entry.name not in ENTRIES]
    for room in ROOMS:
        for path in sorted((package / room).rglob("*.py")):
            above = [name for name in dict.fromkeys(imports(path, package)) if order.index(name) > order.index(room)]
            found += [f"{path.relative_to(package)} imports {name}" for name in above]
    return found


def test_imports_go_down_the_list_only():
    assert [found for found in breaches(PACKAGE) if not found.startswith("__pycache__")] == []


def test_contributing_lists_the_same_rooms():
    listed = "\n".join(f"{number}. `{room}/`: {what}" for number, (room, what) in enumerate(ROOMS.items(), 1))
    assert listed in (ROOT / "CONTRIBUTING.md").read_text(), f"CONTRIBUTING.md should say:\n{listed}"


BAD = {
    "fields/grid.py": ("from airmass.data.formats.store import open_store", "fields/grid.py imports data"),
    "models/nn/mlp.py": ("def late():\n    from airmass import training", "models/nn/mlp.py imports training"),
    "models/nn/attention.py": ("from ...recipes import recipes", "models/nn/attention.py imports recipes"),
    "evaluation/metrics/rmse.py": ("from airmass.plots import maps", "evaluation/metrics/rmse.py imports plots"),
    "core/files.py": ("import airmass.commands.main", "core/files.py imports commands"),
    "helpers.py": ("", "helpers.py is no room"),
}
GOOD = {
    "__init__.py": "__version__ = '0'",
    "data/formats/store.py": "from airmass import __version__\nfrom airmass.fields.grid import x\nimport numpy",
    "models/graphcast/model.py": "from airmass.models import state\nfrom ..nn import mlp\nimport airmass.fields.task",
    "training/loop.py": "import airmass.data.loading.frames\nfrom airmass.models.rollout import rollout",
    "commands/main.py": "from airmass import evaluation, plots",
}


def write(package: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize("name", BAD)
def test_each_kind_of_breach_is_found(tmp_path, name):
    package = tmp_path / "airmass"
    write(package, {**{bad: "" for bad in BAD if bad != "helpers.py"}, **GOOD})
    assert breaches(package) == []
    write(package, {name: BAD[name][0]})
    assert breaches(package) == [BAD[name][1]]
