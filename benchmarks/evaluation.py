"""Speed and peak memory of `airmass evaluate` on synthetic ensembles, by number of workers, and going on after a kill.

    python -m benchmarks.evaluation FOLDER [--grid 0.25] [--inits 20] [--leads 10] [--members 5] [--workers 1 2]

For each number of workers: MB/s of forecasts scored, beside the speed at which the disk gives the same files, and the
greatest resident memory of a process, beside the one that the command states. Scores must be equal for all, and equal
after a run that is killed once a piece is scored and started again.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import zarr

from benchmarks.ingest import disk

_PROGRAM = (
    "import resource as r, sys; from airmass.commands.main import main\n"
    "if __name__ == '__main__':\n"
    "    code = main(sys.argv[1:])\n"
    "    print('PEAK', max(r.getrusage(who).ru_maxrss for who in (r.RUSAGE_SELF, r.RUSAGE_CHILDREN)))\n"
    "    sys.exit(code)\n"
)
_HOUR = 12


def make(folder: Path, degrees: float, inits: int, leads: int, members: int) -> float:
    """Write truth and an ensemble of 2 m temperature: noise that hardly compresses. Returns the MB of forecasts."""
    latitude, longitude = np.arange(-90, 90 + degrees / 2, degrees), np.arange(0, 360, degrees)
    shape, rng = (len(latitude), len(longitude)), np.random.default_rng(0)
    noise = [rng.standard_normal(shape, np.float32) for _ in range(7)]

    def field() -> np.ndarray:
        return 260 + 5 * np.roll(noise[rng.integers(7)], rng.integers(shape[1]), axis=1)

    axes = {"latitude": latitude, "longitude": longitude}
    stores = {
        "truth.zarr": {"time": _HOUR * np.arange(inits + leads)},
        "forecast.zarr": {"init_time": _HOUR * np.arange(inits), "number": np.arange(members),
                          "lead_time": _HOUR * np.arange(1, leads + 1)},
    }  # fmt: skip
    for name, before in stores.items():
        group = zarr.create_group(folder / name, zarr_format=3, attributes={"airmass_system": "synthetic"})
        units = {"time": "hours since 2020-01-01", "init_time": "hours since 2020-01-01", "lead_time": "hours",
                 "number": "1"}  # fmt: skip
        for axis, values in (before | axes).items():
            about = {"units": units.get(axis, "degrees")}
            held = group.create_array(
                axis, shape=values.shape, dtype=values.dtype, dimension_names=(axis,), attributes=about
            )
            held[...] = values
        sizes = tuple(len(values) for values in before.values())
        array = group.create_array(
            "2m_temperature", shape=(*sizes, *shape), chunks=(*(1,) * len(sizes), *shape), dtype="float32",
            dimension_names=(*before, *axes), attributes={"units": "K"}, compressors=None, fill_value=np.nan,
        )  # fmt: skip
        for at in np.ndindex(sizes):
            array[at] = field()
    return inits * leads * members * 4 * shape[0] * shape[1] / 1e6


def command(folder: Path, out: str, workers: int) -> list[str]:
    words = ["evaluate", str(folder / "forecast.zarr"), "--truth", str(folder / "truth.zarr")]
    return [sys.executable, str(folder / "run.py"), *words, "--out", str(folder / out), "--workers", str(workers)]


def scores(folder: Path, out: str) -> np.ndarray:
    return np.array([row["value"] for row in json.loads((folder / out / "scores.json").read_text())])


def killed(folder: Path, out: str, workers: int) -> str:
    """Kill a run once a piece is scored, start it again; returns what it says on going on."""
    process = subprocess.Popen(command(folder, out, workers), stdout=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None and not list(folder.glob(f".{out}.scored-*/*.npz")):
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    again = subprocess.run(command(folder, out, workers), check=True, capture_output=True, text=True)
    return next(line for line in again.stdout.splitlines() if line.startswith("Going on"))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--grid", type=float, default=0.25)
    parser.add_argument("--inits", type=int, default=20)
    parser.add_argument("--leads", type=int, default=10)
    parser.add_argument("--members", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    folder = options.folder
    folder.mkdir(parents=True)
    (folder / "run.py").write_text(_PROGRAM)
    size = make(folder, options.grid, options.inits, options.leads, options.members)
    print(f"{size:.0f} MB of forecasts; the disk gives {size / disk(folder / 'forecast.zarr'):.0f} MB/s")
    print(f"{'workers':>8} {'seconds':>8} {'MB/s':>8} {'peak MB':>8} {'stated GiB':>11}")
    for workers in options.workers:
        start = time.perf_counter()
        done = subprocess.run(
            command(folder, f"out{workers}", workers), check=True, capture_output=True, text=True
        )  # fmt: skip
        seconds, peak = time.perf_counter() - start, int(done.stdout.split()[-1]) / 1024
        stated = re.search(r"Memory: about ([\d.]+)", done.stdout)
        print(f"{workers:>8} {seconds:>8.0f} {size / seconds:>8.0f} {peak:>8.0f} {stated[1] if stated else '?':>11}")
        np.testing.assert_allclose(
            scores(folder, f"out{workers}"), scores(folder, f"out{options.workers[0]}"), rtol=1e-9
        )
    print(killed(folder, "again", options.workers[-1]))
    np.testing.assert_allclose(scores(folder, "again"), scores(folder, f"out{options.workers[0]}"), rtol=1e-9)
    print("scores are equal")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
