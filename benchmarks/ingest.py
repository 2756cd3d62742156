"""Peak memory and speed of `airmass data ingest` and `data stats` on synthetic 0.25 degree fields.

    python -m benchmarks.ingest FOLDER [--times 8 32] [--workers 2] [--grid 1.0]

For each number of times: MB/s of source read, also per second of one processor (which hardly depends on what else the
machine does), and the peak of resident memory, which must not grow with the times; beside them the speed at which the
disk gives the same files. 344 times are 20 GB. A source that is in the folder is not made again.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import xarray as xr
import zarr

LEVELS = (50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000)
VALUES = (len(LEVELS) + 1) * 721 * 1440  # of a time


def make(path: Path, times: int) -> float:
    """Write temperature and 2 m temperature at 0.25 degrees, noise that hardly compresses; returns the MB of values."""
    rng, group = np.random.default_rng(0), zarr.create_group(path, zarr_format=3)
    axes = {
        "time": np.arange(times) * 6,
        "level": np.array(LEVELS),
        "latitude": np.linspace(90, -90, 721),
        "longitude": np.arange(1440) * 0.25,
    }
    for name, values in axes.items():
        units = {"time": "hours since 2020-01-01", "level": "hPa"}.get(name, "degrees")
        about = {"dimension_names": (name,), "attributes": {"units": units}}
        array = group.create_array(name, shape=values.shape, dtype=values.dtype, **about)
        array[...] = values
    for name, dims in (("temperature", tuple(axes)), ("2m_temperature", ("time", "latitude", "longitude"))):
        size = tuple(len(axes[d]) for d in dims)
        about = {"dimension_names": dims, "attributes": {"units": "K"}, "compressors": None, "fill_value": np.nan}
        array = group.create_array(name, shape=size, chunks=(1, *size[1:]), dtype="float32", **about)
        for i in range(times):
            array[i] = (250 + 10 * rng.standard_normal(size[1:], np.float32)).clip(200, 300)
    return times * VALUES * 4 / 1e6


def measured(words: list[str]) -> tuple[float, float, float]:
    """Seconds, seconds of processors, and peak memory in MB, of a command in a process of its own."""
    program = (
        "import resource, sys; from airmass.commands.main import main; code = main(sys.argv[1:]);"
        "used = resource.getrusage(resource.RUSAGE_SELF);"
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss); sys.exit(code)"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program, *words], check=True, capture_output=True, text=True)
    processors, peak = map(float, done.stdout.split()[-2:])
    return time.perf_counter() - start, processors, peak / 1024


def _rates(megabytes: float, used: tuple[float, float, float]) -> tuple[float, float, float]:
    seconds, processors, peak = used
    return megabytes / seconds, megabytes / processors, peak


def disk(path: Path) -> float:
    """Seconds to read all files of a folder."""
    start = time.perf_counter()
    for file in path.rglob("*"):
        if file.is_file():
            file.read_bytes()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--times", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--grid", default="1.0")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    heads = ("times", "MB", "disk MB/s", *("ingest MB/s", "one CPU", "peak MB"), *("stats MB/s", "one CPU", "peak MB"))
    print(" ".join(f"{head:>11}" for head in heads))
    for times in options.times:
        source, out = options.folder / f"source-{times}.zarr", options.folder / f"out-{times}.zarr"
        size = times * VALUES * 4 / 1e6 if source.exists() else make(source, times)
        workers = ["--workers", str(options.workers)]
        reading = disk(source)
        taken = measured(["data", "ingest", str(source), "--out", str(out), "--grid", options.grid, *workers])
        with xr.open_zarr(source, consolidated=False) as held:
            last = str(held.time.values[-1])[:10]
        place = str(options.folder / f"stats-{times}")
        stats = ["data", "stats", str(out), "--dates", "2020-01-01", last, "--out", place]
        averaged = measured([*stats, *workers])
        with xr.open_zarr(out, consolidated=False) as held:
            values = held.nbytes / 1e6
        rates = times, size, size / reading, *_rates(size, taken), *_rates(values, averaged)
        print(" ".join(f"{rate:11.4g}" for rate in rates), flush=True)


if __name__ == "__main__":
    main()
