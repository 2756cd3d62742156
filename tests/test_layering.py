"""Imports go up the list of rooms only: a module imports from lower rooms or its own. Read from the source, not run."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "airmass"

# The first part of a module's name inside the package: its room.
ROOMS = {
    1: ("variables", "grid", "mesh", "harmonics", "solar", "clock", "errors", "files", "arrays", "memory"),
    2: (
        "task", "layout", "normalise", "innovation", "graph", "store", "forcing", "scores", "forecast_file", "tiles",
        "neighbours", "kvstore", "climatology_file",
    ),
    3: ("nn", "diffusion", "losses"),
    4: ("models", "rollout"),
    5: (
        "training", "published", "forecast", "recipes", "evaluate", "demo", "saved", "forecast_writer", "judged",
        "ensemble", "system", "runner", "perturbed", "partial", "trajectories", "compile_cache", "footprint",
        "training_footprint", "inspection", "plan", "judged_systems", "judging", "spectra",
    ),
    6: ("cli", "commands", "__main__"),
}  # fmt: skip
# These stand beside the rooms, on 1 and 2 only and not on one another; rooms from 4 on may use them.
BESIDE = ("data", "metrics", "tracks", "plots", "web")
_ROOM = {name: room for room, names in ROOMS.items() for name in names}


def imports(path: Path, package: Path) -> Iterator[str]:
    """First parts of the package's own modules that a file imports, at the top or inside a function."""
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
        yield from (p[1] for p in parts if p[0] == package.name and len(p) > 1)


def breaches(package: Path) -> list[str]:
    """Files in no room, and imports that a room may not make."""
    found = []
    modules = {p.stem if p.suffix else p.name for p in package.iterdir() if p.suffix == ".py" or p.is_dir()}
    for path in sorted(package.rglob("*.py")):
        where = path.relative_to(package)
        own = where.with_suffix("").parts[0]
        if own == "__init__":
            own_room = 0
        elif own in BESIDE:
            own_room = 2
        elif own in _ROOM:
            own_room = _ROOM[own]
        else:
            found.append(f"{where} is in no room")
            continue
        for name in dict.fromkeys(imports(path, package)):
            if name not in modules or name == own:  # a name of the package itself, as __version__
                continue
            beside = name in BESIDE and own_room > 3
            if not beside and not _ROOM.get(name, 99) <= own_room:
                found.append(f"{where} imports {name}")
    return found


def test_imports_go_up_the_list_only():
    assert breaches(PACKAGE) == []


BAD = {
    "grid.py": ("from airmass.store import open_store", "grid.py imports store"),
    "layout.py": ("import airmass.models.graphcast", "layout.py imports models"),
    "nn/mlp.py": ("def late():\n    from airmass import rollout", "nn/mlp.py imports rollout"),
    "nn/attention.py": ("from ..data import loader", "nn/attention.py imports data"),
    "data/loader.py": ("from airmass.training.train import train", "data/loader.py imports training"),
    "metrics/rmse.py": ("from airmass.plots import maps", "metrics/rmse.py imports plots"),
    "helpers.py": ("", "helpers.py is in no room"),
    "clock.py": ("from .cli import main", "clock.py imports cli"),
}
GOOD = {
    "__init__.py": "__version__ = '0'",
    "store.py": "from airmass import __version__, errors\nfrom airmass.grid import LatLonGrid\nimport numpy",
    "models/graphcast.py": "from airmass.models import state\nfrom ..nn.mlp import MLP\nimport airmass.layout",
    "training/loop.py": "import airmass.data.loader\nfrom airmass.rollout import rollout",
    "cli.py": "from airmass import evaluate, plots",
    "errors.py": "", "rollout.py": "", "evaluate.py": "", "plots/maps.py": "",
}  # fmt: skip


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
