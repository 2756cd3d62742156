"""Shapes in annotations of models, training and forecasting, checked at every call of their own tests.

Slow, because each call is checked while code is traced; `fields/` and `diffusion/` are checked in every run.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["models", "training", "forecasting"])
def test_annotations_are_true(folder):
    hook = f"--jaxtyping-packages=airmass.{folder},tests.shapes.check"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", hook, f"tests/{folder}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-10_000:]
