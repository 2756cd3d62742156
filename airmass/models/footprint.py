"""What a forecast takes before it is compiled: memory by part, arithmetic, and so the time here.

Parts are counted from sizes; the rest (Python, JAX, compiling) was measured, on Linux CPUs. Peaks measured over whole
forecasts lie within 20 % of these (tests/models/test_footprint.py measures one).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp

from airmass.core.errors import InputError
from airmass.fields.channels import Layout
from airmass.fields.task import Task
from airmass.models.gencast.model import DenoiserNetwork, denoiser_sizes
from airmass.models.gencast.settings import GenCastSettings
from airmass.models.graphcast.model import Network, network_sizes
from airmass.models.graphcast.settings import GraphCastSettings
from airmass.models.mesh.neighbours import BLOCK
from airmass.models.mesh.tiles import ROWS

Settings = GraphCastSettings | GenCastSettings

# Peak of whole forecasts on a 10 degree grid with a network of width 16 or 32, bytes; GenCast compiles more functions.
_BASE_GRAPHCAST, _BASE_GENCAST = 570e6, 630e6
# Grid to mesh edges a grid node at radius fraction 0.6, from 1.56 to 1.62 on grids finer than 5 degrees.
_ENCODER_EDGES = 1.6
# Of all edges along the mesh, how many differ by more than a third of a turn and a mirror.
_MESH_KINDS = 0.27
# Everything that is no matrix product takes about a quarter as long as those that are: an estimate.
OVERHEAD = 1.25
MOST_TOGETHER = 8


@dataclass(frozen=True)
class Footprint:
    """An estimate. `parts` are bytes at the peak of running, the largest first.

    `flops` are additions and multiplications of matrix products in one evaluation of the network; `evaluations` make a
    frame of one member.
    """

    parts: Mapping[str, float]
    flops: float
    evaluations: int

    @property
    def peak(self) -> float:
        """Bytes."""
        return sum(self.parts.values())

    def seconds_a_frame(self, rate: float) -> float:
        """Time for one frame of one member where matrix products run at `rate` flops a second."""
        return OVERHEAD * self.flops * self.evaluations / rate


@dataclass(frozen=True)
class Counts:
    """How many of everything a network runs over."""

    grid: int
    mesh: int
    encoder_edges: float
    mesh_edges: int
    encoder_kinds: float
    mesh_kinds: float
    decoder_kinds: float
    tile_edges: int

    @classmethod
    def of(cls, settings: Settings, shape: tuple[int, int]) -> "Counts":
        grid = shape[0] * shape[1]
        encoder_edges = _ENCODER_EDGES * (settings.radius_fraction / 0.6) ** 2 * grid
        # Columns that divide by three look the same after a third of a turn, as the mesh does.
        distinct = 1 / 3 if shape[1] % 3 == 0 else 1.0
        finest = 60 * 4**settings.mesh_level
        mesh_edges = 20 * (4 ** (settings.mesh_level + 1) - 1) if isinstance(settings, GraphCastSettings) else finest
        return cls(
            grid,
            10 * 4**settings.mesh_level + 2,
            encoder_edges,
            mesh_edges,
            distinct * encoder_edges,
            _MESH_KINDS * mesh_edges,
            distinct * 3 * grid,
            3 * min(ROWS, grid),
        )


def footprint(
    task: Task,
    settings: Settings,
    shape: tuple[int, int],
    precision: str = "float32",
    together: int = 1,
    levels: int = 20,
    accelerator: bool = False,
) -> Footprint:
    """Memory and arithmetic of a forecast on a grid of `shape` (rows, columns).

    `together` members are sampled side by side through `levels` noise levels: GenCast only. On an accelerator only
    what lies in its own memory counts; on a CPU, the whole process.
    """
    size = 2 if precision == "bfloat16" else 4
    if isinstance(settings, GraphCastSettings):
        return _graphcast(task, settings, shape, size, accelerator)
    return _gencast(task, settings, shape, size, together, levels, accelerator)


@cache
def parameter_count(task: Task, settings: Settings) -> int:
    """How many numbers are trained, without making any."""
    if isinstance(settings, GraphCastSettings):
        made = jax.eval_shape(lambda: Network(settings, *network_sizes(task), key=jax.random.key(0)))
    else:
        made = jax.eval_shape(
            lambda: DenoiserNetwork(settings, *denoiser_sizes(task, settings.innovation), key=jax.random.key(0))
        )  # type: ignore[assignment]
    return sum(leaf.size for leaf in jax.tree.leaves(made))


def _graphcast(
    task: Task, settings: GraphCastSettings, shape: tuple[int, int], size: int, accelerator: bool
) -> Footprint:
    n, width, row = Counts.of(settings, shape), settings.width, size * settings.width
    prognostic, targets = _channels(task)
    parts = {
        "Python, JAX and compiling": 0 if accelerator else _BASE_GRAPHCAST,
        "parameters": _parameters(task, settings, size, accelerator),
        "edges and nodes before weather": tables(n)
        + row * (n.encoder_kinds + n.decoder_kinds + 2 * n.mesh + 2 * n.mesh_kinds),
        # In, out and on the host; the frame besides is held while it is written.
        "state and forcings": 4 * n.grid * (3 * task.history * prognostic + 3 * targets + fixed_channels(task)),
        "grid latents": row * n.grid,
        "mesh edges": 2 * row * n.mesh_edges,
        "mesh latents and one tile": row * (5 * n.mesh + 2 * n.tile_edges),
    }
    hidden, square = settings.hidden_layers, width**2
    products = (
        n.grid * width * (network_sizes(task)[0] + 3)
        + _encoder_and_decoder(n, width, hidden, targets)
        + settings.steps * (n.mesh_edges * (1 + hidden) + n.mesh * (4 + hidden)) * square
        - n.mesh_edges * square  # the first step's edges are geometry
    )
    return Footprint(largest_first(parts), 2 * products, 1)


def _gencast(
    task: Task,
    settings: GenCastSettings,
    shape: tuple[int, int],
    size: int,
    together: int,
    levels: int,
    accelerator: bool,
) -> Footprint:
    n, width, row = Counts.of(settings, shape), settings.width, size * settings.width
    prognostic, targets = _channels(task)
    masks, scores = attention(settings, n.mesh)
    geometry = row * (n.encoder_kinds + n.decoder_kinds + n.mesh)
    parts = {
        "Python, JAX and compiling": 0 if accelerator else _BASE_GENCAST,
        "parameters": _parameters(task, settings, size, accelerator),
        "edges and nodes before weather": tables(n) + geometry,
        # At one noise level, and at the next, which JAX prepares meanwhile.
        "edges and nodes at a noise level": 2 * (geometry + row * n.mesh),
        "attention masks": masks,
        "noise tables": noise_tables(shape),
        "state and forcings": 4 * n.grid * (3 * together * task.history * prognostic + fixed_channels(task)),
        "conditioning on the last frames": together * n.grid * (row + 5 * prognostic),
        "the sampler's fields": 4 * n.grid * targets * (4 * together + 3),
        "grid latents": row * n.grid,
        "mesh latents and one tile": n.mesh * (5 * row + 2 * size * settings.feedforward)
        + row * 2 * n.tile_edges
        + 4 * BLOCK * _union(settings, n.mesh) * 3 * settings.heads,
    }
    square = width**2
    products = (
        n.grid * width * targets
        + _encoder_and_decoder(n, width, settings.hidden_layers, targets)
        + settings.layers * n.mesh * (4 * square + 2 * width * settings.feedforward)
        + scores / 2
        + (n.encoder_kinds + n.decoder_kinds + n.mesh) * square / together
    )
    return Footprint(largest_first(parts), 2 * products, 2 * levels - 1)


def _encoder_and_decoder(n: Counts, width: int, hidden: int, targets: int) -> float:
    """Products without the first map of grid nodes: embedding, messages and updates on the way in and out."""
    grid = hidden + 1 + (1 + hidden)  # embed, as senders, update without messages
    grid += 1 + 3 * hidden + 2 + hidden + hidden  # as receivers, messages of three edges, update, output
    edges, mesh = hidden * n.encoder_edges, (2 + hidden + 1) * n.mesh
    return (n.grid * grid + edges + mesh) * width**2 + n.grid * width * targets


def _parameters(task: Task, settings: Settings, size: int, accelerator: bool) -> float:
    """On a CPU parameters are there as read, as they are held and as an array of JAX; besides in their precision."""
    copies = 4 * (1 if accelerator else 3) + (size if size < 4 else 0)
    return parameter_count(task, settings) * copies


def tables(n: Counts) -> float:
    """Indices and features."""
    return 12 * (n.encoder_edges + n.mesh_edges) + 36 * n.grid + 16 * (n.encoder_kinds + n.decoder_kinds)


def attention(settings: GenCastSettings, mesh: int) -> tuple[int, float]:
    """Bytes of the masks, and flops of all layers' products of queries with keys and of weights with values."""
    pairs = -(-mesh // BLOCK) * BLOCK * _union(settings, mesh)
    return pairs, 4.0 * settings.layers * pairs * settings.width


def noise_tables(shape: tuple[int, int]) -> float:
    """Of Legendre functions that noise is drawn with: a triangle of degrees and orders over half of the rows."""
    return 2.0 * (shape[1] // 2) ** 2 * ((shape[0] + 1) // 2)


def _union(settings: GenCastSettings, mesh: int) -> int:
    """Nodes that some node of a block attends to: those within a few more hops of one node, six neighbours each."""
    reach = settings.hops + 5
    return min(mesh, 3 * reach * (reach + 1) + 1)


def _channels(task: Task) -> tuple[int, int]:
    return len(Layout.of(task.prognostic, task.levels)), len(Layout.of(task.targets, task.levels))


def fixed_channels(task: Task) -> int:
    """Static fields and two windows of forcings, on the host and on the device."""
    return 2 * len(Layout.of(task.static, task.levels)) + 4 * (task.history + 1) * len(task.forcing)


def largest_first(parts: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(parts.items(), key=lambda part: -part[1]))


def matmul_rate(precision: str = "float32", n: int = 2048) -> float:
    """Flops a second of one product of square matrices, measured now on the first device."""
    x = jnp.ones((n, n), precision)
    multiply = jax.jit(lambda x: x @ x)
    multiply(x).block_until_ready()
    start = time.perf_counter()
    multiply(x).block_until_ready()
    return 2 * n**3 / (time.perf_counter() - start)


def on_accelerator() -> bool:
    """Whether models run on something else than the CPU."""
    return jax.local_devices()[0].platform != "cpu"


def available_memory() -> tuple[float, str]:
    """Bytes that this process may have in all, and whose word that is; on an accelerator, of its own memory."""
    device = jax.local_devices()[0]
    if device.platform != "cpu":
        limit = (device.memory_stats() or {}).get("bytes_limit")
        return (float(limit), f"available on {device.device_kind}") if limit else (float("inf"), "unknown")
    free = min(_free_on_the_machine(), _allowed_by_cgroups())
    return free, "available on this machine"


def _free_on_the_machine() -> float:
    """What the system could hand out, with what this process has already."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines() + Path("/proc/self/status").read_text().splitlines()
    except OSError:  # not Linux
        return float("inf")
    values = dict(line.split(":", 1) for line in lines if ":" in line)
    return 1024.0 * sum(int(values[name].split()[0]) for name in ("MemAvailable", "VmRSS") if name in values)


def _allowed_by_cgroups() -> float:
    """The lowest limit of the control groups that this process is in, both versions; a huge number is none."""
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

    `change` names what else would help.
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
        f"is {whose}; the largest parts are {largest} GB; what would help: {' or '.join(hints)}"
    )


def fitting(
    source: str | Path,
    task: Task,
    settings: Settings,
    shape: tuple[int, int],
    precision: str = "float32",
    memory_limit: float | None = None,
) -> int:
    """The most members that may be sampled side by side, 1 for GraphCast; raises InputError if one does not fit."""
    accelerator = on_accelerator()
    limit = available_memory()[0] if memory_limit is None else memory_limit * 1e9
    one = footprint(task, settings, shape, precision, 1, accelerator=accelerator)
    if isinstance(settings, GraphCastSettings):
        require_fit(source, one, shape, memory_limit)
        return 1
    require_fit(source, one, shape, memory_limit, "--precision bfloat16" if precision == "float32" else "")
    return max(
        (
            together
            for together in range(1, MOST_TOGETHER + 1)
            if footprint(task, settings, shape, precision, together, accelerator=accelerator).peak <= limit
        ),
        default=1,
    )
