"""Sums of messages at receivers, with the last linear map of the messages moved behind the sum.

A message is scale * (s W + b) / deviation(s W + b) + offset, linear in s for a known deviation. So W is applied to the
sum instead of to every message, in one product with the receiver's map of the sum. For every message only the
deviation is left to compute, the length of s W + b.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float

from airmass.core.types import Array
from airmass.models.mesh.tiles import EdgeTiles
from airmass.models.nn.interaction import Interaction, add_at_receivers
from airmass.models.nn.loops import saved_for_backward, summed_over
from airmass.models.nn.mlp import Condition, Linear, through
from airmass.models.nn.product import summed_products

# The triangular matrix is multiplied in this many blocks of columns.
_BLOCKS = 4
Sums = tuple[Float[Array, "*n _width"], ...]  # of different widths
Arriving = Callable[[Sums], Float[Array, "receiver hidden"]]


class SquaredLength(eqx.Module):
    """Precomputed matrices for the squared length of x W + b.

    The value is invariant under a rotation of outputs; one that makes W triangular saves nearly half of the product.
    The derivative is that of x G x' + 2 h x' + b b' with G = W W' and h = W b, because the rotation is not
    differentiable for a W without full rank, such as a centred one.
    """

    triangle: Float[Array, "hidden turned"]  # W with rotated outputs, of which output j reads inputs from j on
    turned_bias: Float[Array, " turned"]
    gram: Float[Array, "hidden hidden"]
    mixed: Float[Array, " hidden"]
    constant: Float[Array, ""]

    @classmethod
    def of(cls, last: Linear) -> "SquaredLength":
        weight, bias = last.weight.astype(jnp.float32), last.bias.astype(jnp.float32)
        rows = jax.lax.stop_gradient(jnp.concatenate([weight, bias[None]]))
        turned = jnp.linalg.qr(rows.T, mode="r").T.astype(last.weight.dtype)
        return cls(turned[:-1], turned[-1], weight @ weight.T, weight @ bias, bias @ bias)


@jax.custom_vjp
def squared_length(of: SquaredLength, x: Float[Array, "*n hidden"]) -> Float[Array, "*n 1"]:
    """Squared length of the mapped rows x W + b, in float32."""
    size = -(-of.triangle.shape[-1] // _BLOCKS)
    total = jnp.zeros((), jnp.float32)
    for start in range(0, of.triangle.shape[-1], size):
        block = slice(start, start + size)
        turned = x[..., start:] @ of.triangle[start:, block] + of.turned_bias[block]
        total += jnp.square(turned.astype(jnp.float32)).sum(axis=-1, keepdims=True)
    return total


def _squared_length(of: SquaredLength, x):
    return squared_length(of, x), (of, x)


def _squared_length_back(residuals, gradient):
    of, x = residuals
    x, gradient = x.reshape(-1, x.shape[-1]), gradient.reshape(-1, 1)
    weighted = (gradient * x).astype(x.dtype)
    of_gram, of_mixed = summed_products(x, weighted, of.triangle), 2 * weighted.sum(axis=0)
    back = 2 * gradient * (x @ of.gram.astype(x.dtype) + of.mixed)
    unused = jnp.zeros_like(of.triangle), jnp.zeros_like(of.turned_bias)
    of = SquaredLength(*unused, of_gram.astype(jnp.float32), of_mixed.astype(jnp.float32), gradient.sum())
    return of, back.astype(x.dtype).reshape(residuals[1].shape)


squared_length.defvjp(_squared_length, _squared_length_back)


class LinearAfterSum(eqx.Module):
    """The last linear map of an interaction's messages, applied after their sum."""

    before: tuple[Linear, ...]
    weight: Float[Array, "hidden width"]
    bias: Float[Array, " width"]
    length: SquaredLength
    count: Float[Array, "#receiver 1"]  # of messages

    def __init__(self, interaction: Interaction, count: Float[Array, "#receiver 1"]):
        *before, last = interaction.edge_mlp.tail()
        self.before, self.weight, self.bias, self.length = tuple(before), last.weight, last.bias, SquaredLength.of(last)
        self.count = count.astype(last.bias.dtype)

    def start(self, receivers: int) -> Sums:
        """Zero sums, in float32."""
        return jnp.zeros((receivers, len(self.weight)), jnp.float32), jnp.zeros((receivers, 1), jnp.float32)

    def parts(self, first: Float[Array, "*n hidden"]) -> Sums:
        """The terms to sum over messages, from the output of their first map."""
        last = jax.nn.swish(through(self.before, first))
        square = saved_for_backward(squared_length(self.length, last))
        inverse = jax.lax.rsqrt(square / self.weight.shape[-1] + 1e-5).astype(last.dtype)
        return last * inverse, inverse

    def arriving(self, interaction: Interaction, condition: Condition) -> Arriving:
        """A function from sums of `parts` to their contribution to the first map of the receivers' update."""
        norm = interaction.edge_mlp.norm
        assert norm is not None  # only output MLPs have none
        scale, offset = norm.scale_and_offset(condition)
        after = scale[:, None] * interaction.for_incoming
        weight, bias, always = self.weight @ after, self.bias @ after, offset @ interaction.for_incoming

        def arrived(sums: Sums) -> Float[Array, "receiver hidden"]:
            weighted, inverse = (part.astype(weight.dtype) for part in sums)
            return weighted @ weight + inverse * bias + self.count * always

        return arrived


def arriving_at(edges: EdgeTiles, receivers: int, space: str | None) -> Float[Array, "receiver 1"]:
    """The number of edges that arrive at each receiver."""
    each = edges.receivers.reshape(-1)
    return summed_over(space, add_at_receivers(jnp.zeros((receivers, 1)), jnp.ones((len(each), 1)), each))
