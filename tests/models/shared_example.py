"""One example over the devices of this process beside one device: prints the largest relative differences as JSON.

Run by tests/models/test_space.py in a process of its own, because the number of devices is decided at the start.
"""

import dataclasses
import json
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from airmass.fields.grid import LatLonGrid
from airmass.fields.normalise import Normaliser
from airmass.fields.task import Task
from airmass.models.fgn.model import FGN, FGNNetwork, sizes
from airmass.models.fgn.settings import FGNSettings
from airmass.models.gencast.model import DenoiserNetwork, GenCast, denoiser_sizes
from airmass.models.gencast.settings import GenCastSettings
from airmass.models.graphcast.model import GraphCast, GraphCastNetwork, network_sizes
from airmass.models.graphcast.settings import GraphCastSettings
from airmass.models.mesh.graph import build_graphs
from airmass.models.mesh.icosphere import icosphere
from airmass.models.mesh.neighbours import Neighbours
from airmass.models.mesh.tiles import Tiles
from airmass.models.nn.loops import summed_over
from airmass.models.rollout import rollout
from airmass.models.state import State

GRID, LEVEL, ROWS = LatLonGrid.equiangular(8, 16), 1, 12
TASK = Task(("2m_temperature", "mean_sea_level_pressure"), (), (), ("land_sea_mask",), ())
TARGETS = 2


def main() -> None:
    parts = len(jax.devices())
    found = {}
    cases = ("graphcast", _graphcast, _rolled_out), ("gencast", _gencast, _denoised), ("fgn", _fgn, _member)
    for name, make, outcome in cases:
        frames = jnp.asarray(np.random.default_rng(1).normal(size=(4, GRID.size, TARGETS)), jnp.float32)
        alone = jax.jit(partial(_alone, outcome))(make(1, None), frames)
        shared = jax.jit(partial(_shared, outcome))(make(parts, "space"), frames)
        for what, a, b in zip(("outputs", "loss", "gradient"), alone, shared, strict=True):
            found[f"{name} {what}"] = max(jax.tree.leaves(jax.tree.map(_apart, a, b)))
    print(json.dumps({"devices": parts} | found))


def _apart(a, b) -> float:
    a, b = np.asarray(a), np.asarray(b)
    return float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-12))


def _alone(outcome, model, frames):
    def loss(network):
        return outcome(dataclasses.replace(model, network=network), frames)

    (value, out), gradient = jax.value_and_grad(loss, has_aux=True)(model.network)
    return out, value, gradient


def _shared(outcome, model, frames):
    devices = jax.make_mesh((1, 1, len(jax.devices())), ("data", "member", "space"), (AxisType.Auto,) * 3)
    along = P(None, "space", None)

    @partial(jax.shard_map, mesh=devices, in_specs=(model.specs(), along), out_specs=(P(), along), check_vma=False)
    def run(model, frames):
        return outcome(model, frames)

    def loss(network):
        return run(dataclasses.replace(model, network=network), frames)

    (value, out), gradient = jax.value_and_grad(loss, has_aux=True)(model.network)
    return out, value, gradient


def _rolled_out(model: GraphCast, frames):
    """Two steps; loss over all nodes, whichever device has them."""
    model = model.ready()

    def step(state, target, *, key):
        output = model.predict(state, jnp.zeros((3, *target.shape[:-1], 0)))
        reached = model.advance(state, model.normaliser.restore(output, state.history[-1]))
        return reached, (output, jnp.square(output - target).sum())

    _, (out, losses) = rollout(step, State(frames[:2], jnp.int32(0)), frames[2:], key=jax.random.key(0))
    return summed_over(model.tiles.space, losses.sum()) / GRID.size, out


def _denoised(model: GenCast, frames):
    model, state = model.ready(), State(frames[:2], jnp.int32(0))
    frame = model.prepare(state, jnp.zeros((3, frames.shape[1], 0)))
    out = model.denoise(frame, frames[3], jnp.float32(1.5))
    return summed_over(model.tiles.space, jnp.square(out - frames[2]).sum()) / GRID.size, out[None]


def _member(model: FGN, frames):
    model = model.ready()
    inputs = model.prepare(State(frames[:2], jnp.int32(0)), jnp.zeros((3, frames.shape[1], 0)))
    out = model.predict(inputs, jnp.arange(4.0))
    return summed_over(model.tiles.space, jnp.square(out - frames[2]).sum()) / GRID.size, out[None]


def _graphcast(parts: int, space: str | None) -> GraphCast:
    settings = GraphCastSettings(mesh_level=LEVEL, width=8, steps=3)
    network = _random(lambda: GraphCastNetwork(settings, *network_sizes(TASK), key=jax.random.key(0)))
    return GraphCast(network, _tiles(parts, space), _scales(), _static(), TASK.step)


def _gencast(parts: int, space: str | None) -> GenCast:
    settings = GenCastSettings(LEVEL, width=8, layers=2, heads=2, hops=2, feedforward=12, frequencies=4)
    network = _random(lambda: DenoiserNetwork(settings, *denoiser_sizes(TASK), key=jax.random.key(0)))
    neighbours = jax.tree.map(jnp.asarray, Neighbours.within(icosphere(LEVEL), 2, 16))
    fill = jnp.zeros(TARGETS)
    return GenCast(network, _tiles(parts, space), neighbours, _scales(), _static(), fill, TASK.step)


def _fgn(parts: int, space: str | None) -> FGN:
    settings = FGNSettings(LEVEL, 8, 2, 2, 2, 12, edge_width=4, noise_channels=4, condition=3, divisor=2.0)
    network = _random(lambda: FGNNetwork(settings, *sizes(TASK), key=jax.random.key(0)))
    neighbours = jax.tree.map(jnp.asarray, Neighbours.within(icosphere(LEVEL), 2, 16))
    return FGN(network, _tiles(parts, space), neighbours, _scales(), _static(), jnp.zeros(TARGETS), TASK.step, (), ())


def _tiles(parts: int, space: str | None) -> Tiles:
    return Tiles.of(build_graphs(GRID, LEVEL, cache=False), ROWS, renumber=True, parts=parts, space=space)


def _static():
    return jnp.asarray(np.random.default_rng(2).normal(size=(GRID.size, 1)), jnp.float32)


def _scales() -> Normaliser:
    sizes = (TARGETS, 0, 1, TARGETS)
    return Normaliser(*(jnp.full(n, value) for n in sizes for value in (0.1, 1.5)), Normaliser.columns(TASK))


def _random(make):
    """Every leaf random: biases and conditional scales start as zeros, which hide what they are added to."""
    leaves, tree = jax.tree.flatten(jax.eval_shape(make))
    rng = np.random.default_rng(0)
    return jax.tree.unflatten(tree, [jnp.asarray(0.3 * rng.normal(size=leaf.shape), jnp.float32) for leaf in leaves])


if __name__ == "__main__":
    sys.exit(main())
