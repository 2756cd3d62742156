"""Time in units of a 4096^3 float32 matrix product on the same machine in the same run, peak memory, compile time."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import jax

SIDE = 4096


def seconds(run: Callable[[], object]) -> float:
    """Wall time of one call, finished."""
    start = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - start


@contextmanager
def unit_of_speed() -> Iterator[Callable[[], float]]:
    """Gives a function that measures the unit, a float32 product of two 4096 x 4096 matrices: seconds of wall time."""
    command = [sys.executable, "-m", "benchmarks.unit"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None

        def measured() -> float:
            process.stdin.write("\n")
            process.stdin.flush()
            return float(process.stdout.readline())

        yield measured
        process.stdin.close()


class Taken(NamedTuple):
    """What a run takes: in units, and in seconds of its median round."""

    units: float
    seconds: float


def in_units(runs: dict[str, Callable[[], object]], rounds: int = 7) -> dict[str, Taken]:
    """Each run's time over that of the unit measured just before it, the median of several rounds.

    Other work on the machine slows both alike. The least run over the least unit, which is printed too, favours the
    unit: of calls that are twenty times shorter some meet a moment that is quieter than any run is long. Each run is
    made once before.
    """
    for run in runs.values():
        seconds(run)
    units, times, ratios = [], {name: [] for name in runs}, {name: [] for name in runs}
    with unit_of_speed() as unit:
        for _ in range(rounds):
            for name, run in runs.items():
                units.append(statistics.median(unit() for _ in range(3)))
                times[name].append(seconds(run))
                ratios[name].append(times[name][-1] / units[-1])
    print(f"unit: {SIDE}^3 float32 product, {min(units):.3f} to {max(units):.3f} s")
    for name, found in ratios.items():
        spread = f"{min(found):.2f} to {max(found):.2f} units in {rounds} rounds"
        print(f"{name}: {spread}; least time over least unit {min(times[name]) / min(units):.2f}")
    return {name: Taken(statistics.median(found), statistics.median(times[name])) for name, found in ratios.items()}


def peak_gib() -> float:
    """Largest resident memory of this process so far; ru_maxrss would start from that of the parent process."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 2**20


class CompileTime:
    """Seconds spent tracing, lowering and compiling since it was made, or reading the cache of compiled programs."""

    def __init__(self):
        self.seconds = 0.0
        jax.monitoring.register_event_duration_secs_listener(self._add)

    def _add(self, event: str, duration: float, **_) -> None:
        if event.startswith("/jax/core/compile/"):
            self.seconds += duration


def fresh(module: str, *arguments: str, **environment: str) -> str:
    """Run a module of benchmarks in a process with peaks and caches of its own; the last line it prints."""
    command = [sys.executable, "-u", "-m", module, *arguments]
    last = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | environment) as process:
        assert process.stdout is not None
        for last in process.stdout:
            print(last, end="", flush=True)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return last
