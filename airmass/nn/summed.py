"""Sums of messages at receivers, in two ways with the same result: message by message, or the last map behind the sum.

A message is scale * (s W + b) / deviation(s W + b) + offset, linear in s once its deviation is known: W can be applied
to a sum and not to every message, in one product with the map that the receiver makes of the sum. The deviation is the
length of s W + b, which a rotation of outputs leaves; one that makes W triangular saves near half of that product.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float

from airmass.arrays import Array
from airmass.nn.interaction import Interaction, add_at_receivers
from airmass.nn.loops import summed_over
from airmass.nn.mlp import Condition, Linear, through
from airmass.tiles import EdgeTiles

# The triangle is multiplied in this many blocks of columns.
_BLOCKS = 4
Parts = tuple[Float[Array, "*n some"], ...]
Arriving = Callable[[Parts], Float[Array, "receiver hidden"]]


class Each(eqx.Module):
    """Messages one by one."""

    def start(self, interaction: Interaction, receivers: int) -> Parts:
        """Sums of nothing, in float32."""
        return (jnp.zeros((receivers, interaction.width), jnp.float32),)

    def parts(self, interaction: Interaction, first: Float[Array, "*n hidden"], condition: Condition) -> Parts:
        """What is to be summed over messages, of the value of their first map."""
        return (interaction.messages(first, condition),)

    def arriving(self, interaction: Interaction, condition: Condition) -> Arriving:
        """What sums of parts add to the first map of their receivers' update."""
        return lambda sums: sums[0].astype(interaction.dtype) @ interaction.for_incoming


class Behind(eqx.Module):
    """The last map behind the sum. For forecasts alone: the rotation has no derivative where W is not of full rank."""

    before: tuple[Linear, ...]
    weight: Float[Array, "hidden width"]
    bias: Float[Array, " width"]
    triangle: Float[Array, "hidden width"]  # the weight with rotated outputs, of which output j reads inputs from j on
    turned_bias: Float[Array, " width"]
    count: Float[Array, "#receiver 1"]  # of messages

    def __init__(self, interaction: Interaction, count: Float[Array, "#receiver 1"]):
        *before, last = interaction.edge_mlp.tail()
        rotation, upper = jnp.linalg.qr(last.weight.T.astype(jnp.float32), mode="complete")
        self.before, self.weight, self.bias = tuple(before), last.weight, last.bias
        self.triangle = upper.T.astype(last.weight.dtype)
        self.turned_bias = (last.bias.astype(jnp.float32) @ rotation).astype(last.bias.dtype)
        self.count = count.astype(last.bias.dtype)

    def start(self, interaction: Interaction, receivers: int) -> Parts:
        return jnp.zeros((receivers, len(self.weight)), jnp.float32), jnp.zeros((receivers, 1), jnp.float32)

    def parts(self, interaction: Interaction, first: Float[Array, "*n hidden"], condition: Condition) -> Parts:
        last = jax.nn.swish(through(self.before, first))
        inverse = jax.lax.rsqrt(self._square(last) / self.weight.shape[-1] + 1e-5).astype(last.dtype)
        return last * inverse, inverse

    def _square(self, last: Float[Array, "*n hidden"]) -> Float[Array, "*n 1"]:
        """Squared length of what the last map makes."""
        size = -(-self.weight.shape[-1] // _BLOCKS)
        total = jnp.zeros((), jnp.float32)
        for start in range(0, self.weight.shape[-1], size):
            block = slice(start, start + size)
            turned = last[..., start:] @ self.triangle[start:, block] + self.turned_bias[block]
            total += jnp.square(turned.astype(jnp.float32)).sum(axis=-1, keepdims=True)
        return total

    def arriving(self, interaction: Interaction, condition: Condition) -> Arriving:
        norm = interaction.edge_mlp.norm
        assert norm is not None  # only outputs have none
        scale, offset = norm.scale_and_offset(condition)
        after = scale[:, None] * interaction.for_incoming
        weight, bias, always = self.weight @ after, self.bias @ after, offset @ interaction.for_incoming

        def arrived(sums: Parts) -> Float[Array, "receiver hidden"]:
            weighted, inverse = (part.astype(weight.dtype) for part in sums)
            return weighted @ weight + inverse * bias + self.count * always

        return arrived


def arriving_at(edges: EdgeTiles, receivers: int, space: str | None) -> Float[Array, "receiver 1"]:
    """How many of the edges arrive at each receiver."""
    each = edges.receivers.reshape(-1)
    return summed_over(space, add_at_receivers(jnp.zeros((receivers, 1)), jnp.ones((len(each), 1)), each))
