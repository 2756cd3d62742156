"""Estimates of a forecast's memory, arithmetic and time, before anything is compiled.

Parts are counted from sizes; the rest (Python, JAX, compilation) was measured on Linux CPUs. Measured peaks of whole
forecasts are within 20 % of the estimates (tests/models/test_footprint.py measures one).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp

from airmass.core.errors import InputError
from airmass.fields.channels import ChannelLayout
from airmass.fields.task import Task
from airmass.models.family import family_of, new_network
from airmass.models.settings import ModelSettings

# Time of a step divided by that of its matrix products, an estimate.
OVERHEAD = 1.25
# Names of the parts that each of several models has; the rest is weather.
_OF_EACH_MODEL = ("parameters", "edges before weather", "edges and nodes before weather", "attention masks")


@dataclass(frozen=True)
class Footprint:
    """Estimated memory and arithmetic of a forecast. `parts` are bytes at the peak, the largest first.

    `flops` are additions and multiplications of matrix products in one evaluation of the network; a frame of one member
    takes `evaluations` of them.
    """

    parts: Mapping[str, float]
    flops: float
    evaluations: int = 1

    def of_models(self, count: int) -> "Footprint":
        """The same with several models in memory, of which one is evaluated at a time."""
        parts = {name: size * (count if name in _OF_EACH_MODEL else 1) for name, size in self.parts.items()}
        return Footprint(largest_first(parts), self.flops, self.evaluations)

    @property
    def peak(self) -> float:
        """Peak memory in bytes."""
        return sum(self.parts.values())

    def seconds_a_frame(self, rate: float) -> float:
        """Seconds for one frame of one member, with matrix products at `rate` flops a second."""
        return OVERHEAD * self.flops * self.evaluations / rate


@dataclass(frozen=True)
class Sizes:
    """Sizes that determine the footprint of a forecast.

    A grid of `shape` (rows, columns); `size` bytes per number in the network's arithmetic; batches of `together`
    members, each frame taking `evaluations` of the network. On an accelerator only its own memory counts; on a CPU,
    that of the whole process.
    """

    task: Task
    shape: tuple[int, int]
    size: int = 4
    together: int = 1
    evaluations: int = 1
    accelerator: bool = False

    @property
    def nodes(self) -> int:
        return self.shape[0] * self.shape[1]

    @property
    def prognostic(self) -> int:
        return len(ChannelLayout.of(self.task.prognostic, self.task.levels))

    @property
    def targets(self) -> int:
        return len(ChannelLayout.of(self.task.targets, self.task.levels))


@dataclass(frozen=True)
class Work:
    """Sizes that determine the footprint of a training update.

    A batch of `together` examples; `steps` steps of a `rollout` are saved for the backward pass, or with `made_again`
    recomputed; `space` devices share the grid and the mesh's edges, `member` devices the members of an example. `size`
    is bytes per number, but XLA on a CPU stores most bfloat16 values as float32, and saved values of edges as both.
    """

    task: Task
    shape: tuple[int, int]
    rollout: int = 1
    steps: int = 1
    together: int = 1
    space: int = 1
    size: int = 4
    accelerator: bool = False
    made_again: bool = False
    member: int = 1

    @property
    def copies(self) -> int:
        """Copies of saved values: those of a rollout's steps, plus the step that the backward pass is at."""
        return self.steps + 1 if self.steps > 1 else 1

    @property
    def nodes(self) -> float:
        """Grid nodes of a device."""
        return self.shape[0] * self.shape[1] / self.space


@dataclass(frozen=True)
class UpdateCosts:
    """The costs of an update that differ between families.

    `base` is bytes of the process on a CPU with the compiled update, `tables` bytes of graphs and similar tables,
    `activations` bytes of the backward pass by part, `frames` the number of scaled frames of an example. `flops` are
    those of one step of one example with its backward pass, `overhead` the time of a step divided by that of its matrix
    products.
    """

    base: float
    tables: float
    activations: Mapping[str, float]
    frames: int
    flops: float
    overhead: float


def footprint(
    task: Task,
    settings: ModelSettings,
    shape: tuple[int, int],
    precision: str = "float32",
    together: int = 1,
    evaluations: int = 1,
    accelerator: bool = False,
) -> Footprint:
    """Memory and arithmetic of a forecast on a grid of `shape` (rows, columns): see `Sizes`."""
    size = 2 if precision == "bfloat16" else 4
    return family_of(settings).footprint(settings, Sizes(task, shape, size, together, evaluations, accelerator))


@cache
def parameter_count(task: Task, settings: ModelSettings) -> int:
    """The number of trainable parameters, without allocating any."""
    made = jax.eval_shape(lambda: new_network(task, settings, jax.random.key(0)))
    return sum(leaf.size for leaf in jax.tree.leaves(made))


def parameter_bytes(sizes: Sizes, settings: ModelSettings) -> float:
    """Bytes of parameters: on a CPU three float32 copies (as read, stored, and in JAX), and one in lower precision."""
    copies = 4 * (1 if sizes.accelerator else 3) + (sizes.size if sizes.size < 4 else 0)
    return parameter_count(sizes.task, settings) * copies


def fixed_channels(task: Task) -> int:
    """Channels of static fields and of two windows of forcings, on the host and on the device."""
    return 2 * len(ChannelLayout.of(task.static, task.levels)) + 4 * (task.history + 1) * len(task.forcing)


def largest_first(parts: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(parts.items(), key=lambda part: -part[1]))


def matmul_rate(precision: str = "float32", n: int = 2048) -> float:
    """Flops a second of a product of square matrices, measured on the first device."""
    x = jnp.ones((n, n), precision)
    multiply = jax.jit(lambda x: x @ x)
    multiply(x).block_until_ready()
    start = time.perf_counter()
    multiply(x).block_until_ready()
    return 2 * n**3 / (time.perf_counter() - start)


def on_accelerator() -> bool:
    """True if models run on another device than a CPU."""
    return jax.local_devices()[0].platform != "cpu"


def available_memory() -> tuple[float, str]:
    """Bytes that this process may use in all, with their source in words; on an accelerator, of its own memory."""
    device = jax.local_devices()[0]
    if device.platform != "cpu":
        limit = (device.memory_stats() or {}).get("bytes_limit")
        return (float(limit), f"available on {device.device_kind}") if limit else (float("inf"), "unknown")
    free = min(_free_on_the_machine(), _allowed_by_cgroups())
    return free, "available on this machine"


def _free_on_the_machine() -> float:
    """Free memory of the system plus the memory of this process."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines() + Path("/proc/self/status").read_text().splitlines()
    except OSError:  # not Linux
        return float("inf")
    values = dict(line.split(":", 1) for line in lines if ":" in line)
    return 1024.0 * sum(int(values[name].split()[0]) for name in ("MemAvailable", "VmRSS") if name in values)


def _allowed_by_cgroups() -> float:
    """The lowest limit of this process's control groups, of both versions; without a limit a huge number."""
    limits = [float("inf")]
    root = Path("/sys/fs/cgroup")
    try:
        groups = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return limits[0]
    for _, controllers, group in groups:
        if controllers not in ("", "memory"):
            continue
        top, name = (root, "memory.max") if not controllers else (root / "memory", "memory.limit_in_bytes")
        inner = top / group.lstrip("/")
        for folder in {top, inner, *(p for p in inner.parents if p.is_relative_to(top))}:
            file = folder / name
            text = file.read_text().strip() if file.exists() else "max"
            limits += [float(text)] if text.isdigit() else []
    return min(limits)


def require_fit(
    source: str | Path, needed: Footprint, shape: tuple[int, int], memory_limit: float | None, change: str = ""
) -> None:
    """Raise InputError when `needed` is more than `memory_limit` (GB) or, without one, than is available.

    `change` is a further option that would help.
    """
    limit, whose = available_memory() if memory_limit is None else (memory_limit * 1e9, "allowed by --memory-limit")
    if needed.peak <= limit:
        return
    rows, columns = shape
    largest = ", ".join(f"{name} {size / 1e9:.2g}" for name, size in list(needed.parts.items())[:3])
    hints = [
        "a machine with more memory" if memory_limit is None else "a higher --memory-limit",
        *([change] if change else []),
        "a coarser model",
    ]
    raise InputError(
        f"{source}: needs about {needed.peak / 1e9:.2f} GB on a grid of {columns} x {rows}, but {limit / 1e9:.2f} GB "
        f"is {whose}; the largest parts are {largest} GB; use {' or '.join(hints)}"
    )


def fitting(
    source: str | Path,
    task: Task,
    settings: ModelSettings,
    shape: tuple[int, int],
    precision: str = "float32",
    memory_limit: float | None = None,
    models: int = 1,
) -> int:
    """The largest number of members in one batch with `models` in memory; raises InputError if one does not fit."""
    family = family_of(settings)
    accelerator = on_accelerator()
    limit = available_memory()[0] if memory_limit is None else memory_limit * 1e9

    def needed(together: int) -> Footprint:
        return footprint(task, settings, shape, precision, together, accelerator=accelerator).of_models(models)

    low = precision == "float32" and family.saves_in_bfloat16
    require_fit(source, needed(1), shape, memory_limit, "--precision bfloat16" if low else "")
    return max(
        (together for together in range(1, family.most_together + 1) if needed(together).peak <= limit),
        default=1,
    )
