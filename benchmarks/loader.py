"""Training windows a second: our loader beside plain xarray, on the same local Zarr store of random numbers.

    python -m benchmarks.loader [--seconds 5]

GraphCast-small's variables, windows of three frames at random, one time a chunk with all its levels, Zarr v2 and its
default compressor. Every time counted is for the same [time, node, target] array; "with forcings" adds what a training
run needs besides, kept once computed, so what a window's take to compute is told by itself. "In blocks" is the order of
that name, the others draw as xarray does. Each way goes on where its last turn ended, for several turns, of which the
best counts, because other work only ever slows.
"""

import argparse
import dataclasses
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr

from airmass.core.memory import keep_freed_memory
from airmass.data.loading.examples import Examples
from airmass.data.loading.frames import Frames
from airmass.data.loading.settings import LoaderSettings
from airmass.fields.forcing import forcings
from airmass.fields.grid import LatLonGrid
from airmass.fields.task import Task
from airmass.fields.variables import VARIABLES
from airmass.recipes.recipes import RECIPES
from benchmarks.made import random_values

_SMALL = RECIPES["graphcast-small"].task
_LENGTH, _ROUNDS = 3, 3
# Rows, columns, rows on the poles, levels, times: 0.4 and 2.9 GB.
CASES = {
    "64 x 32, 7 levels": (32, 64, False, (100, 200, 300, 500, 700, 850, 1000), 1000),
    "1.5 degrees, 13 levels": (121, 240, True, _SMALL.levels, 300),
}
Windows = Iterator[np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5, help="length of a turn")
    options = parser.parse_args()
    keep_freed_memory()  # as training does
    for name, (rows, columns, poles, levels, times) in CASES.items():
        task = dataclasses.replace(_SMALL, levels=levels, static=())
        with tempfile.TemporaryDirectory() as folder:
            store = Path(folder) / "s.zarr"
            _write(store, task, LatLonGrid.equiangular(rows, columns, poles), times)
            _report(name, store, task, options.seconds)


def _write(store: Path, task: Task, grid: LatLonGrid, times: int) -> None:
    rng = np.random.default_rng(0)
    fields = {}
    for name in task.targets:
        shape = (len(task.levels), *grid.shape) if VARIABLES[name].on_levels else grid.shape
        dims = ("time", "level", "latitude", "longitude") if len(shape) == 3 else ("time", "latitude", "longitude")
        fields[name] = (dims, random_values(name, (times, *shape), rng))
    time_axis = np.datetime64("2000-01-01", "ns") + 6 * np.arange(times) * np.timedelta64(1, "h")
    coords = {"time": time_axis, "level": list(task.levels), "latitude": grid.latitude, "longitude": grid.longitude}
    dataset = xr.Dataset(fields, coords)
    encoding = {name: {"chunks": (1, *field.shape[1:])} for name, field in dataset.data_vars.items()}
    dataset.to_zarr(store, zarr_format=2, consolidated=True, encoding=encoding)
    os.sync()  # or the disk would be busy with it meanwhile


def _report(name: str, store: Path, task: Task, seconds: float) -> None:
    bare = dataclasses.replace(task, forcing=())
    ways: dict[str, Windows] = {"xarray": _by_xarray(store, bare)}
    not_held = LoaderSettings(hold_gib=0)
    for told, settings in {
        "held": LoaderSettings(),
        "not held": not_held,
        "not held, in blocks": dataclasses.replace(not_held, order="blocks"),
    }.items():
        for used in (bare, task):
            ways[f"{told}{', with forcings' if used.forcing else ''}"] = _by_us(store, used, settings)
    np.testing.assert_array_equal(next(ways["xarray"]), next(ways["not held"]))
    rates = {label: 0.0 for label in ways}
    for _ in range(_ROUNDS):
        for label, windows in ways.items():
            rates[label] = max(rates[label], _rate(windows, seconds))
    print(name)
    for label, rate in rates.items():
        print(f"  {label}: {rate:.1f} windows a second, {rate / rates['xarray']:.1f} times xarray", flush=True)
    print(f"  forcings of a window that are not kept: {_forcing_time(store, task):.2f} ms of one core", flush=True)


def _forcing_time(store: Path, task: Task) -> float:
    frames, taken = Frames(store, task), []
    for _ in range(10):
        begun = time.perf_counter()
        forcings(task.forcing, frames.times[:_LENGTH], frames.grid)
        taken.append(1000 * (time.perf_counter() - begun))
    return min(taken)


def _by_xarray(store: Path, task: Task) -> Windows:
    dataset = xr.open_zarr(store, chunks=None)[list(task.targets)]  # with dask it is slower still
    nodes = dataset.sizes["latitude"] * dataset.sizes["longitude"]
    starts = np.arange(dataset.sizes["time"] - _LENGTH + 1)
    update = 0
    while True:
        (start,) = np.random.default_rng((0, update)).choice(starts, 1)
        window = dataset.isel(time=slice(start, start + _LENGTH)).load()
        parts = [window[name].values.reshape(_LENGTH, -1, nodes).swapaxes(1, 2) for name in task.targets]
        yield np.concatenate(parts, axis=-1)
        update += 1


def _by_us(store: Path, task: Task, settings: LoaderSettings) -> Windows:
    """One example a batch. What is held is read before the clock starts."""
    frames = Frames(store, task)
    examples = Examples(frames, settings, seed=0, batch=1)
    rollout = _LENGTH - task.history
    return (batch.frames[0] for batch in examples.batches(0, 10**9, rollout))


def _rate(windows: Windows, seconds: float) -> float:
    """Windows a second, after as long again as a tenth of it for caches, threads and forcings to fill."""
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds / 10:
        next(windows)
    count, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        next(windows)
        count += 1
    return count / (time.perf_counter() - begun)


if __name__ == "__main__":
    main()
