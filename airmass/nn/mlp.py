"""Linear maps, LayerNorm and the two-layer perceptron that every part of GraphCast is made of."""

from collections.abc import Sequence
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from airmass.arrays import Array


class Linear(eqx.Module):
    """x @ weight + bias; weight is [in, out]."""

    weight: Float[Array, "in out"]
    bias: Float[Array, " out"]

    def __init__(self, size_in: int, size_out: int, *, key: PRNGKeyArray):
        # Truncated normal with variance 1/fan-in, as the published models were initialised.
        self.weight = jax.random.truncated_normal(key, -2, 2, (size_in, size_out)) / jnp.sqrt(size_in)
        self.bias = jnp.zeros(size_out)

    def __call__(self, x: Float[Array, "*n in"]) -> Float[Array, "*n out"]:
        return x @ self.weight + self.bias


class LayerNorm(eqx.Module):
    """Zero mean and unit variance over the last axis (eps 1e-5), then a learned scale and offset."""

    scale: Float[Array, " width"]
    offset: Float[Array, " width"]

    def __init__(self, width: int):
        self.scale, self.offset = jnp.ones(width), jnp.zeros(width)

    def __call__(self, x: Float[Array, "*n width"]) -> Float[Array, "*n width"]:
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = jnp.square(centred).mean(axis=-1, keepdims=True)
        return centred * jax.lax.rsqrt(variance + 1e-5) * self.scale + self.offset


class MLP(eqx.Module):
    """Linear maps with swish between, then LayerNorm unless it is the last of a model."""

    layers: tuple[Linear, ...]
    norm: LayerNorm | None

    def __init__(self, sizes: Sequence[int], *, key: PRNGKeyArray, norm: bool = True):
        keys = jax.random.split(key, len(sizes) - 1)
        self.layers = tuple(Linear(a, b, key=k) for (a, b), k in zip(pairwise(sizes), keys, strict=True))
        self.norm = LayerNorm(sizes[-1]) if norm else None

    def __call__(self, x: Float[Array, "*n in"]) -> Float[Array, "*n out"]:
        return self.rest(self.layers[0](x))

    def rest(self, first: Float[Array, "*n hidden"]) -> Float[Array, "*n out"]:
        """Everything after the first linear map, for callers that computed that map in parts."""
        x = first
        for layer in self.layers[1:]:
            x = layer(jax.nn.swish(x))
        return x if self.norm is None else self.norm(x)
