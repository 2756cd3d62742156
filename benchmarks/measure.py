"""Time in units of a 4096^3 float32 matrix product on the same machine in the same run, peak memory, compile time."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp

_SIDE = 4096


def seconds(run: Callable[[], object]) -> float:
    """Wall time of one call, finished."""
    start = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - start


class Unit:
    """The unit of speed: one float32 product of two 4096 x 4096 matrices."""

    def __init__(self):
        self._a = jax.random.normal(jax.random.key(0), (_SIDE, _SIDE))
        self._product = jax.jit(jnp.matmul)
        seconds(self)

    def __call__(self):
        return self._product(self._a, self._a)


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
    unit = Unit()
    for run in runs.values():
        seconds(run)
    units, times, ratios = [], {name: [] for name in runs}, {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            units.append(statistics.median(seconds(unit) for _ in range(3)))
            times[name].append(seconds(run))
            ratios[name].append(times[name][-1] / units[-1])
    print(f"unit: {_SIDE}^3 float32 product, {min(units):.3f} to {max(units):.3f} s")
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


def fresh(module: str, *arguments: str, **environment: str) -> None:
    """Run a module of benchmarks in a process of its own, so that peaks and caches are its own."""
    import os

    command = [sys.executable, "-m", module, *arguments]
    subprocess.run(command, check=True, env=os.environ | environment)
