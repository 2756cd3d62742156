"""Tracking of an ensemble at 0.25 degrees: frames a second, processor time and peak memory, by number of workers.

`python -m benchmarks.tracking DIR [--members 50] [--steps 60] [--workers 1 4]` writes an ensemble with planted storms
into DIR once (three levels, one time a chunk; members are links to the chunks of the first) and tracks it.
"""

import argparse
import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

from airmass.fields.grid import LatLonGrid
from airmass.fields.variables import VARIABLES
from tests.evaluation.tracks.planting import CHANNELS, LEVELS, frames, straight

GRID = LatLonGrid.equiangular(721, 1440, poles=True)
INIT = np.datetime64("2019-10-06", "ns")
RUN = ("init_time", "number", "lead_time")
# Start, end and deficit of pressure in Pa.
STORMS = (
    ((12, 170), (35, -150), 5000),
    ((-12, -172), (-30, 150), 4000),
    ((11, 310), (40, 280), 3000),
    ((10, 240), (24, 215), 3500),
)


def write(path: Path, members: int, steps: int) -> None:
    """An ensemble whose members are one, with four storms."""
    times = INIT + (np.arange(steps) + 1) * np.timedelta64(6, "h")
    arrays = _empty(path, members, times - INIT)
    storms = [straight(times, *storm) for storm in STORMS]
    for i, frame in enumerate(frames(GRID, times, storms)):
        for name, array in arrays.items():
            held = [level for other, level in CHANNELS if other == name]
            nearest = [min(held, key=lambda level, p=p: abs((level or 0) - p)) for p in LEVELS]
            array[0, 0, i] = frame[name, None] if held == [None] else np.stack([frame[name, p] for p in nearest])
            if name == "geopotential":
                array[0, 0, i, 2] = 9.80665 * 1450 + 0.01 * (frame[name, 500] - frame[name, 500].mean())
    for name in arrays:
        for number in range(1, members):
            _link(path / name / "c/0/0", path / name / f"c/0/{number}")


def _empty(path: Path, members: int, leads: np.ndarray) -> dict[str, Any]:
    coords: dict[str, Any] = {"init_time": [INIT], "number": np.arange(members), "lead_time": leads}
    coords |= {"level": ("level", np.array(LEVELS), {"units": "hPa"})}
    coords |= {"latitude": GRID.latitude, "longitude": GRID.longitude}
    made = xr.Dataset(coords=coords, attrs={"airmass_system": "planted"})
    made.lead_time.encoding = {"units": "hours", "dtype": "int64"}
    made.to_zarr(path, zarr_format=3, consolidated=False)
    group = zarr.open_group(path, mode="r+")
    arrays = {}
    for name in dict.fromkeys(name for name, _ in CHANNELS):
        levels = (len(LEVELS),) if (name, None) not in CHANNELS else ()
        arrays[name] = group.create_array(
            name, shape=(1, members, len(leads), *levels, *GRID.shape), chunks=(1, 1, 1, *levels, *GRID.shape),
            dtype="float32", fill_value=np.nan, attributes=VARIABLES[name].attributes,
            dimension_names=(*RUN, *(["level"] if levels else []), "latitude", "longitude"),
        )  # fmt: skip
    return arrays


def _link(source: Path, target: Path) -> None:
    for file in source.rglob("*"):
        if file.is_file():
            made = target / file.relative_to(source)
            made.parent.mkdir(parents=True, exist_ok=True)
            os.link(file, made)


def run(path: Path, out: Path, workers: int) -> tuple[float, float, int]:
    """Wall and processor seconds of `airmass track`, and the peak of the memory of all its processes in bytes."""
    before, start, peak = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic(), 0
    words = [sys.executable, "-m", "airmass", "track", str(path), "--out", str(out), "--workers", str(workers)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.2):
            peak = max(peak, _resident(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    process.wait()
    done.set()
    watcher.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - start, used, peak


def _resident(pid: int) -> int:
    """Private and shared memory in use by a process and its descendants, pages that several share counted once each."""
    total = 0
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += next(1024 * int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, StopIteration):
        return total
    return total + sum(_resident(int(child)) for child in children)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--members", type=int, default=50)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4])
    options = parser.parse_args()
    store = options.folder / f"e{options.members}x{options.steps}.zarr"
    if not store.exists():
        write(store, options.members, options.steps)
    tables, count = [], options.members * options.steps
    for workers in options.workers:
        out = options.folder / f"{store.stem}-{workers}.csv"
        out.unlink(missing_ok=True)
        wall, used, peak = run(store, out, workers)
        tables.append(out.read_bytes())
        print(
            f"{workers} workers: {count} frames in {wall:.0f} s, {count / wall:.1f} a second; {used / count:.3f} s of "
            f"processor a frame; {peak / 2**30:.2f} GiB; same table: {tables[0] == tables[-1]}",
            flush=True,
        )


if __name__ == "__main__":
    main()
