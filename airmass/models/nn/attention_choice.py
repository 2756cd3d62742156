"""Choice of the fastest exact implementation of local attention on this machine, measured when a model is loaded.

Only GPUs have a choice; elsewhere it is plain JAX. With AIRMASS_ATTENTION set to a name, nothing is measured.
"""

import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from airmass.core.errors import InputError
from airmass.core.types import Array
from airmass.models.mesh.counts import TransformerSettings
from airmass.models.mesh.icosphere import icosphere
from airmass.models.mesh.neighbours import Neighbours
from airmass.models.nn.attention import attend_plainly
from airmass.models.nn.attention_gpu import attend_by_cudnn, attend_by_pallas

Attend = Callable[[Array, Array, Array, Neighbours], Array]

VARIABLE, PLAIN = "AIRMASS_ATTENTION", "plain"
# Largest difference from plain JAX in full float32, relative to the largest value.
TOLERANCE = {"float32": 1e-5, "bfloat16": 0.02}
_RUNS = 10
_NARROW = partial(attend_by_pallas, chunk=32)


class Choice(NamedTuple):
    """An implementation: `attend` is None for plain JAX; `report` is a line on the reason, empty without a choice."""

    name: str = PLAIN
    attend: Attend | None = None
    report: str = ""


def on_this_machine() -> Mapping[str, Attend]:
    """Implementations besides plain JAX, by name."""
    if jax.local_devices()[0].platform != "gpu":
        return {}
    return {"pallas": attend_by_pallas, "pallas-32": _NARROW, "cudnn": attend_by_cudnn}


def attention_here(settings: TransformerSettings, precision: str, gradient: bool = False) -> Choice:
    """The fastest attention on this machine for a model of these settings; nothing is tried on a CPU."""

    def neighbours() -> Neighbours:
        return Neighbours.within(icosphere(settings.mesh_level), settings.hops)

    return choose(neighbours, settings.heads, settings.width // settings.heads, precision, gradient)


def choose(
    neighbours: Callable[[], Neighbours],
    heads: int,
    size: int,
    precision: str,
    gradient: bool = False,
    candidates: Mapping[str, Attend] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Choice:
    """The fastest implementation for `heads` of `size` in `precision` on a model's own neighbours.

    With `gradient`, the backward pass is timed and compared too. Candidates that raise are left out, and so are those
    whose difference from plain JAX in full float32 exceeds both TOLERANCE and twice that of plain JAX in `precision`: a
    GPU rounds float32 before it multiplies, unless jax_default_matmul_precision says otherwise. `candidates` are by
    default those `on_this_machine`. Raises InputError where AIRMASS_ATTENTION is not the name of one.
    """
    candidates = on_this_machine() if candidates is None else candidates
    if name := os.environ.get(VARIABLE):
        if name not in (PLAIN, *candidates):
            raise InputError(f"{VARIABLE} is {name}, expected one of {', '.join((PLAIN, *candidates))}")
        return Choice(name, candidates.get(name), f"{name}, set by {VARIABLE}")
    if not candidates:
        return Choice()
    times, left_out = _compared(candidates, neighbours(), heads, size, precision, gradient, clock)
    best = _agreed(next(iter(times)), [PLAIN, *candidates])
    shown = ", ".join(f"{name} {1000 * seconds:.2f} ms" for name, seconds in times.items())
    without = "".join(f"; without {name}: {why}" for name, why in left_out.items())
    return Choice(best, candidates.get(best), f"{best} (a layer takes {shown}{without})")


def _compared(
    candidates: Mapping[str, Attend],
    graph: Neighbours,
    heads: int,
    size: int,
    precision: str,
    gradient: bool,
    clock: Callable[[], float],
) -> tuple[dict[str, float], dict[str, str]]:
    """Seconds of the exact candidates, the fastest first, and the reasons why others are left out."""
    # Queries large enough that attention weights are far from uniform.
    draws = jax.random.normal(jax.random.key(0), (4, heads, int(graph.keys.max()) + 1, size))
    given = [(scale * draw).astype(precision) for scale, draw in zip((3, 1, 1, 1), draws, strict=True)]
    with jax.default_matmul_precision("highest"):
        exact, _ = _tried(attend_plainly, graph, [x.astype(jnp.float32) for x in given], gradient, clock)
    made, seconds = _tried(attend_plainly, graph, given, gradient, clock)
    allowed = max(TOLERANCE[precision], 2 * _apart(made, exact))
    times, left_out = {PLAIN: seconds}, {}
    for name, attend in candidates.items():
        try:
            made, seconds = _tried(attend, graph, given, gradient, clock)
        except Exception as error:  # whatever a compiler or a driver raises
            left_out[name] = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:80]}"
            continue
        apart = _apart(made, exact)
        if apart <= allowed:  # false for NaN
            times[name] = seconds
        else:
            left_out[name] = f"error {apart:.0e}, allowed {allowed:.0e}"
    return dict(sorted(times.items(), key=lambda item: item[1])), left_out


def _tried(
    attend: Attend, graph: Neighbours, given: list[jax.Array], gradient: bool, clock: Callable[[], float]
) -> tuple[list[jax.Array], float]:
    """The output, with the gradients if `gradient`, and the seconds of the fastest of several runs."""

    def results(graph, query, key, value, incoming):
        if not gradient:
            return [attend(query, key, value, graph)]
        out, back = jax.vjp(lambda *maps: attend(*maps, graph), query, key, value)
        return [out, *back(incoming)]

    compiled = jax.jit(results).lower(graph, *given).compile()
    made, seconds = jax.block_until_ready(compiled(graph, *given)), []
    for _ in range(_RUNS):
        start = clock()
        jax.block_until_ready(compiled(graph, *given))
        seconds.append(clock() - start)
    return made, min(seconds)


def _apart(made: list[jax.Array], exact: list[jax.Array]) -> float:
    """The largest difference, relative to the largest exact value; NaN if `made` has a NaN."""
    return float(np.max([jnp.abs(a - b).max() / jnp.abs(b).max() for a, b in zip(made, exact, strict=True)]))


def _agreed(best: str, names: list[str]) -> str:
    """The choice of the first process: all processes of a run must compile the same program."""
    if jax.process_count() == 1:
        return best
    from jax.experimental import multihost_utils

    return names[int(multihost_utils.broadcast_one_to_all(np.int32(names.index(best))))]
