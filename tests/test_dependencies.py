"""Every module that airmass imports is declared, so that an install is whole: nothing comes only through another."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DISTRIBUTIONS = packages_distributions()

# xarray finds these by name: engines of NetCDF 4 and 3, and lazy arrays.
BY_NAME = {"h5py": "airmass/data/formats", "scipy": "airmass/data/formats", "dask": "airmass/data/formats"}
# May only be imported by what needs the extra.
OPTIONAL = {
    "simulate": "airmass/data/simulate/", "grib": "airmass/data/", "cluster": "airmass/core/",
    "icechunk": "airmass/data/sources/", "clients": "airmass/data/services/",
}  # fmt: skip


def imports(path: Path) -> Iterator[str]:
    """Top-level names of all modules that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module).partition(".")[0]


def foreign() -> dict[str, set[str]]:
    """Files by the module of others that they import."""
    found: dict[str, set[str]] = {name: {place} for name, place in BY_NAME.items()}
    for path in sorted((ROOT / "airmass").rglob("*.py")):
        for name in imports(path):
            if name != "airmass" and name not in sys.stdlib_module_names:
                found.setdefault(name, set()).add(path.relative_to(ROOT).as_posix())
    return found


def names(requirements: list[str]) -> set[str]:
    """Names of distributions, as packages are compared (PEP 503)."""
    return {re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", text)[0]).lower() for text in requirements}


@pytest.mark.parametrize("module", sorted(foreign()))
def test_every_import_is_declared(module):
    distributions = names(DISTRIBUTIONS.get(module, [module]))
    if distributions & names(PROJECT["dependencies"]):
        return
    extras = [extra for extra, needs in PROJECT["optional-dependencies"].items() if distributions & names(needs)]
    assert extras, f"{module} ({', '.join(distributions)}) is imported by {foreign()[module]} and declared nowhere"
    strangers = [path for path in foreign()[module] if not path.startswith(OPTIONAL[extras[0]])]
    assert not strangers, f"{strangers} import {module}, which only the extra {extras[0]} brings"


def test_grib_and_maps_live_in_one_process():
    """Newer eccodeslib brings a PROJ of its own, with which pyproj fails here and the process aborts at its end."""
    both = "import eccodes, pyproj; print(eccodes.codes_get_api_version(), pyproj.CRS('EPSG:4326').name)"
    ended = subprocess.run([sys.executable, "-c", both], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "WGS 84" in ended.stdout
