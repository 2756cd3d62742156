"""Time in units of a 4096^3 float32 matrix product on the same machine in the same run, peak memory, compile time."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

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


def in_units(runs: dict[str, Callable[[], object]], rounds: int = 3) -> dict[str, tuple[float, float]]:
    """Least wall time of each run as (units, seconds), the unit measured again before each run.

    The least of several, because other work on the machine only ever adds. Each run is made once before.
    """
    unit = Unit()
    for run in runs.values():
        seconds(run)
    units, times = [], {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            units.append(statistics.median(seconds(unit) for _ in range(3)))
            times[name].append(seconds(run))
    print(f"unit: {_SIDE}^3 float32 product, {min(units):.3f} s (slowest {max(units):.3f} s)")
    return {name: (min(found) / min(units), min(found)) for name, found in times.items()}


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
