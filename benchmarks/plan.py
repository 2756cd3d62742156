"""Peak memory of training as `airmass plan` says it beforehand, beside that of real `airmass train` processes.

    python -m benchmarks.plan [CASE ...] [--updates 2]

Each case trains for a few updates in a process of its own, on a store of random numbers written for it, and prints what
was planned, what was measured and their ratio. The first two cases are what the plan's own constants were fitted to;
none of the others was used for fitting.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from airmass.commands.recipe_options import parse_recipe
from airmass.fields.grid import LatLonGrid
from airmass.recipes.recipes import Recipe
from airmass.training.footprint import training_footprint
from benchmarks.made import write_store

_POLL = 0.05
_DEMO, _COARSE, _ONE_DEGREE = (32, 64), (64, 128), (181, 360)


class Case(NamedTuple):
    """A recipe, rows and columns of its grid, and what is changed in it; one example in float32 otherwise."""

    recipe: str
    shape: tuple[int, int]
    options: str = ""


CASES = {
    "demo": Case("demo", _DEMO),
    "gencast-demo": Case("gencast-demo", _DEMO),
    "demo-batch": Case("demo", _COARSE, "--training.batch 4"),
    "gencast-demo-bf16": Case("gencast-demo", _COARSE, "--training.batch 2 --training.precision bfloat16"),
    "gencast-demo-batch": Case("gencast-demo", _COARSE, "--training.batch 2"),
    "small-256": Case("graphcast-small", _COARSE, "--model.width 256"),
    "small-256-kept": Case("graphcast-small", _COARSE, "--model.width 256 --model.recompute 0"),
    "small-256-four": Case("graphcast-small", _COARSE, "--model.width 256 --model.recompute 4"),
    "small-256-batch": Case("graphcast-small", _COARSE, "--model.width 256 --training.batch 2"),
    "small-256-parts": Case(
        "graphcast-small", _COARSE, "--model.width 256 --training.batch 2 --training.accumulate 2 --optimiser.kind muon"
    ),
    "small-256-rollout": Case("graphcast-small", _COARSE, "--model.width 256 --training.rollout 2"),
    "small-256-rollout-kept": Case(
        "graphcast-small", _COARSE, "--model.width 256 --training.rollout 2 --training.no-recompute"
    ),
    "small-256-bf16": Case(
        "graphcast-small", _COARSE, "--model.width 256 --training.precision bfloat16 --model.recompute 0"
    ),
    "mini-256-kept": Case("gencast-mini", _COARSE, "--model.width 256 --model.recompute 0 --training.batch 2"),
    "mini-256-bf16": Case("gencast-mini", _COARSE, "--model.width 256 --training.precision bfloat16"),
    "small": Case("graphcast-small", _ONE_DEGREE),
    "mini": Case("gencast-mini", _ONE_DEGREE),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("cases", nargs="*", choices=[[], *CASES])
    parser.add_argument("--updates", type=int, default=2)
    options = parser.parse_args()
    for name in options.cases or CASES:
        with tempfile.TemporaryDirectory() as folder:
            print(_line(name, *_compared(CASES[name], options.updates, Path(folder))), flush=True)


def _line(name: str, planned: float, measured: float, seconds: float) -> str:
    ratio = planned / measured
    return f"{name}: planned {planned / 1e9:.2f} GB, measured {measured / 1e9:.2f} GB, {ratio:.2f}; {seconds:.0f} s"


def _compared(case: Case, updates: int, folder: Path) -> tuple[float, float, float]:
    """Bytes planned, bytes measured, and seconds of the run."""
    recipe, arguments = _recipe(case, updates)
    rows, columns = case.shape
    times = recipe.task.history + max(recipe.training.rollout)
    store = folder / "store.zarr"
    write_store(store, recipe.task, LatLonGrid.equiangular(rows, columns, poles=rows % 2 == 1), times)
    planned = training_footprint(recipe, case.shape, times=times).peak
    command = [sys.executable, "-m", "airmass", "train", *arguments, "--data", str(store), "--run", str(folder / "run")]
    begun = time.perf_counter()
    # Compiled anew, as on the day that a recipe is first run: the program from the cache takes some 500 MB less.
    measured = _peak(command, os.environ | {"AIRMASS_CACHE": str(folder / "cache")})
    return planned, measured, time.perf_counter() - begun


def _recipe(case: Case, updates: int) -> tuple[Recipe, list[str]]:
    """The recipe and the arguments that say it, what `options` of the case say last."""
    given = f"--training.updates {updates} --training.rollout 1 --training.batch 1 --training.precision float32"
    arguments = [case.recipe, *_last(f"{given} {case.options}".split()), "--training.dates", "None"]
    own = {"data": (str, "", "store"), "run": (str, "", "folder")}
    return parse_recipe("train", "", arguments, own)[0], arguments


def _last(arguments: list[str]) -> list[str]:
    """Options without those that are given again later."""
    values: dict[str, list[str]] = {}
    for word in arguments:
        if word.startswith("--"):
            values[name := word] = []
        else:
            values[name].append(word)
    return [word for name, words in values.items() for word in (name, *words)]


def _peak(command: list[str], environment: dict[str, str]) -> float:
    """Largest resident memory of a process, bytes; asked again and again, as nobody knows it once it is gone."""
    peak = 0.0
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=environment)
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            # A process that has ended, but that nobody has waited for, has a status without memory.
            _, found, rest = status.read_text().partition("VmHWM:")
            peak = max(peak, 1024.0 * int(rest.split()[0])) if found else peak
            time.sleep(_POLL)
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{said.read()[-2000:]}")
    return peak


if __name__ == "__main__":
    main()
