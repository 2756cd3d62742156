"""A long ensemble forecast from random weights, killed on its way: it goes on to the same bits, and memory stays flat.

    python -m benchmarks.fgn_ensemble [--recipe weathernext2-mini --rows 181 --width 64] [--members 8] [--steps 60]

By default at the sizes of `fgn-demo`. Runs the command twice, undisturbed and killed by SIGKILL at even distances
(`--kills`). Prints the greatest resident memory of the undisturbed run's second and last third and of each killed one,
and whether the two stores are equal. Where calls are slow, a narrower network (`--width`) or fewer members help; a
member depends on its number alone, so the first few (`--undisturbed`) can stand for all.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import numpy as np
import xarray as xr

from airmass.fields.channels import ChannelLayout
from airmass.fields.grid import LatLonGrid
from airmass.fields.normalise import Normaliser
from airmass.forecasting.checkpoints.model_file import ModelFile, write_model
from airmass.models.family import new_network
from airmass.recipes.recipes import RECIPES, Recipe
from benchmarks.made import usual, write_store

_EVERY = 0.2  # seconds between looks at the process


@dataclass(frozen=True)
class Found:
    """Of the undisturbed run its time, memory in its second and last third; memory of the killed runs; equality."""

    seconds: float
    early_gib: float
    late_gib: float
    killed_gib: tuple[float, ...]
    equal: bool


def measure(
    folder: Path, recipe: Recipe, grid: LatLonGrid, members: int, steps: int, kills: int, undisturbed: int | None = None
) -> Found:
    """Run the forecast undisturbed (its first members alone, where their number is given) and killed."""
    first = undisturbed or members
    write_store(folder / "initial.zarr", recipe.task, grid, recipe.task.history)
    write_model(folder / "model.npz", random_model(recipe, grid))
    began = time.monotonic()
    memory = _run(folder, "whole.zarr", recipe, first, steps)
    seconds, third = time.monotonic() - began, len(memory) // 3
    print(f"undisturbed, {first} members: {seconds:.0f} s", flush=True)
    peaks = []
    for number in range(1, kills + 1):
        # What is done is not done again, so later runs are shorter.
        after = seconds * members / first / (number + 1)
        peaks.append(max(_run(folder, "killed.zarr", recipe, members, steps, after=after)))
        print(f"killed after {after:.0f} s", flush=True)
    peaks.append(max(_run(folder, "killed.zarr", recipe, members, steps)))
    one, two = (xr.open_zarr(folder / out) for out in ("whole.zarr", "killed.zarr"))
    return Found(seconds, max(memory[third : 2 * third]), max(memory[-third:]), tuple(peaks), _equal(one, two))


def _equal(one: xr.Dataset, two: xr.Dataset) -> bool:
    """Frames alone: attributes may tell when they were made. Member by member, for there may be many gigabytes."""
    return all(
        np.array_equal(one[name].isel(number=number).values, two[name].isel(number=number).values, equal_nan=True)
        for name in one.data_vars
        for number in range(one.sizes["number"])
    )


def random_model(recipe: Recipe, grid: LatLonGrid) -> ModelFile:
    """Random parameters, and scales of the random values in `benchmarks.made`."""
    task = recipe.task
    layouts = [ChannelLayout.of(names, task.levels).channels for names in (task.prognostic, task.static, task.targets)]
    (mean, std), (static_mean, static_std), (offset, scale) = (
        np.array([usual(name) for name, _ in channels], np.float32).reshape(-1, 2).T for channels in layouts
    )
    forcing = np.zeros(len(task.forcing), np.float32), np.ones(len(task.forcing), np.float32)
    scales = Normaliser(
        mean, std, *forcing, static_mean, static_std, offset, scale / 10, Normaliser.columns(task),
        Normaliser.nonnegative(task),
    )  # fmt: skip
    network = new_network(task, recipe.model, jax.random.key(0))
    sea = [name == "sea_surface_temperature" for name, _ in layouts[0]]
    return ModelFile(recipe, grid, scales, network, {}, np.where(sea, mean, np.nan).astype(np.float32))


def _run(folder: Path, out: str, recipe: Recipe, members: int, steps: int, after: float | None = None) -> list[float]:
    """Resident memory over the run, GiB; it is killed `after` so many seconds."""
    command = [sys.executable, "-m", "airmass", "forecast", "--checkpoint", str(folder / "model.npz")]
    command += ["--initial", str(folder / "initial.zarr"), "--lead-time", f"{steps * recipe.task.step}h"]
    command += ["--members", str(members), "--out", str(folder / out)]
    memory, began = [], time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            memory.append(_resident_gib(process.pid))
            if after is not None and time.monotonic() - began > after:
                process.send_signal(signal.SIGKILL)
                process.wait()
            time.sleep(_EVERY)
    if process.returncode not in ((0,) if after is None else (0, -signal.SIGKILL)):
        raise SystemExit(f"{' '.join(command)} ended with status {process.returncode}")
    if after is not None and process.returncode == 0:
        raise SystemExit("it was over before it was killed: give more steps")
    return memory


def _resident_gib(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0]) / 2**20
    except (OSError, IndexError):
        return 0.0  # it has just ended


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--recipe", default="fgn-demo")
    parser.add_argument("--rows", type=int, default=32)
    for name, value in (("members", 8), ("steps", 60), ("kills", 2)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--undisturbed", type=int)
    parser.add_argument("--width", type=int)
    options = parser.parse_args()
    poles = options.rows % 2 == 1
    grid = LatLonGrid.equiangular(options.rows, 2 * (options.rows - poles), poles=poles)
    recipe = RECIPES[options.recipe]
    if options.width:
        narrow = replace(recipe.model, width=options.width, feedforward=4 * options.width)  # type: ignore[call-arg]
        recipe = replace(recipe, model=narrow)
    with tempfile.TemporaryDirectory() as folder:
        numbers = options.members, options.steps, options.kills, options.undisturbed
        print(measure(Path(folder), recipe, grid, *numbers))


if __name__ == "__main__":
    main()
