"""GraphCast whose norms are moved by a member's noise, so that a trained deterministic model becomes an ensemble.

The noise of functional generative networks (Alet et al. 2025, arXiv:2506.10772) in the network of GraphCast: a short
vector for the globe adds to scale and offset of every norm by a linear map of that norm's own. The maps start at zero,
so that the forecast is at first that of the model it grew from.
"""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import Float, PRNGKeyArray

from airmass.core.types import Array
from airmass.fields.normalise import Normaliser
from airmass.models.graphcast.model import GraphCast, GraphCastNetwork
from airmass.models.graphcast_ensemble.settings import GraphCastEnsembleSettings
from airmass.models.members import Noise, draw, step
from airmass.models.mesh.tiles import Tiles
from airmass.models.nn.mlp import LayerNorm
from airmass.models.state import State


class NoiseMap(eqx.Module):
    """The linear map from noise to what is added to scale and offset of a norm, or of a stack of norms."""

    weight: Float[Array, "*step noise two_width"]


class EnsembleNetwork(eqx.Module):
    """A GraphCast network `base`, and a map for each of its norms in their order in the tree."""

    base: GraphCastNetwork
    maps: tuple[NoiseMap, ...]

    def __init__(self, settings: GraphCastEnsembleSettings, channels: int, outputs: int, *, key: PRNGKeyArray):
        self.base = GraphCastNetwork(settings, channels, outputs, key=key)
        shapes = [norm.scale.shape for norm in _norms(self.base)]
        self.maps = tuple(NoiseMap(jnp.zeros((*s[:-1], settings.noise_channels, 2 * s[-1]))) for s in shapes)

    def moved(self, noise: Noise) -> GraphCastNetwork:
        """The network of one member and step."""
        moved = [_moved(norm, part, noise) for norm, part in zip(_norms(self.base), self.maps, strict=True)]
        return eqx.tree_at(_norms, self.base, moved)


class PreparedState(NamedTuple):
    """The state that a step starts from, and the forcings around it."""

    state: State
    forcing: Float[Array, "window node forcing"]


class GraphCastEnsemble(eqx.Module):
    """The forecast step of one member. Only `network` is trained."""

    network: EnsembleNetwork
    tiles: Tiles
    normaliser: Normaliser
    static: Float[Array, "node static"]
    step_hours: int = eqx.field(static=True)
    precision: str = eqx.field(static=True, default="float32")
    noise_scale: float = eqx.field(static=True, default=1.0)
    inference: bool = eqx.field(static=True, default=False)

    @property
    def space(self) -> str | None:
        """The axis of devices that share the grid."""
        return self.tiles.space

    @property
    def noise_channels(self) -> int:
        """Size of a member's noise of a step."""
        return self.network.maps[0].weight.shape[-2]

    def ready(self, inference: bool = False) -> "GraphCastEnsemble":
        """The same model; noise enters every norm, so nothing can be computed before it is known."""
        return dataclasses.replace(self, inference=inference)

    def specs(self) -> "GraphCastEnsemble":
        """Where each array, or tree of arrays, lies on a mesh of devices that share an example: `tiles.specs`."""
        along, everywhere = PartitionSpec(self.tiles.space), PartitionSpec()
        parts: dict[str, Any] = {"network": everywhere, "normaliser": everywhere, "static": along}
        return dataclasses.replace(self, tiles=self.tiles.specs(), **parts)

    def member(self, noise: Noise) -> GraphCast:
        """The deterministic model of one member and step."""
        network = self.network.moved(noise)
        moved = GraphCast(network, self.tiles, self.normaliser, self.static, self.step_hours, self.precision)
        return moved.ready(self.inference)

    def prepare(self, state: State, forcing: Float[Array, "window node forcing"]) -> PreparedState:
        return PreparedState(state, forcing)

    def predict(self, inputs: PreparedState, noise: Noise) -> Float[Array, "node target"]:
        """The network's output in the scaled space in which losses compare, of one member's noise."""
        return self.member(noise).predict(inputs.state, inputs.forcing)

    def target(self, inputs: PreparedState, physical: Float[Array, "node target"]) -> Float[Array, "node target"]:
        """The target of `predict` for a physical frame: the inverse of `restore`."""
        return self.normaliser.target(physical, inputs.state.history[-1])

    def restore(self, inputs: PreparedState, output: Float[Array, "node target"]) -> Float[Array, "node target"]:
        """The physical frame."""
        return self.normaliser.restore(output, inputs.state.history[-1])

    def filled(self, history: Float[Array, "*lead prognostic"]) -> Float[Array, "*lead prognostic"]:
        """The same: nothing may be missing."""
        return history

    def step(
        self, state: State, forcing: Float[Array, "window node forcing"], *, key: PRNGKeyArray
    ) -> tuple[State, Float[Array, "node target"]]:
        """One step ahead of one member, whose noise is drawn from `key`: the next state and its physical frame."""
        return step(self, state, forcing, draw(self, key))

    def advance(self, state: State, frame: Float[Array, "node target"]) -> State:
        """The state with `frame` as its newest."""
        return state.advanced(self.normaliser.prognostic(frame), self.step_hours)


def _norms(network: GraphCastNetwork) -> list[LayerNorm]:
    leaves = jax.tree.leaves(network, is_leaf=lambda leaf: isinstance(leaf, LayerNorm))
    return [leaf for leaf in leaves if isinstance(leaf, LayerNorm)]


def _moved(norm: LayerNorm, part: NoiseMap, noise: Noise) -> LayerNorm:
    scale, offset = jnp.split(jnp.einsum("n,...no->...o", noise, part.weight), 2, axis=-1)
    return eqx.tree_at(lambda n: (n.scale, n.offset), norm, (norm.scale + scale, norm.offset + offset))
