"""The committed bundle is what `make viewer` makes from its source."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
BUNDLE = [ROOT / "airmass" / "plots" / "viewer" / name for name in ("viewer.js", "viewer.css", "LICENCES.txt")]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="no npm here")
def test_the_bundle_is_that_of_the_source(tmp_path):
    """In a copy, with packages from the lock file."""
    for path in ("viewer", "airmass/plots/viewer"):
        shutil.copytree(ROOT / path, tmp_path / path, ignore=shutil.ignore_patterns("node_modules", "*.pyc"))
    shutil.copy(ROOT / "Makefile", tmp_path)
    subprocess.run(["make", "-C", str(tmp_path), "viewer"], check=True, capture_output=True)
    for path in BUNDLE:
        assert (tmp_path / path.relative_to(ROOT)).read_bytes() == path.read_bytes(), path.name
