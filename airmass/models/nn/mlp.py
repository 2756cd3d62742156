"""Linear maps, norms and the multilayer perceptron of GraphCast and GenCast."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from airmass.core.types import Array
from airmass.models.nn.product import product


class Linear(eqx.Module):
    """A linear map x @ weight + bias; weight is [in, out]."""

    weight: Float[Array, "in out"]
    bias: Float[Array, " out"]

    def __init__(self, size_in: int, size_out: int, *, key: PRNGKeyArray):
        self.weight = unit_gain(key, size_in, size_out)
        self.bias = jnp.zeros(size_out)

    def __call__(self, x: Float[Array, "*n in"]) -> Float[Array, "*n out"]:
        return product(x, self.weight) + self.bias


def unit_gain(key: PRNGKeyArray, size_in: int, size_out: int) -> Float[Array, "in out"]:
    """A random weight: truncated normal with variance 1/fan-in, as the published models were initialised."""
    return jax.random.truncated_normal(key, -2, 2, (size_in, size_out)) / jnp.sqrt(size_in)


def unit_variance(x: Float[Array, "*n width"]) -> Float[Array, "*n width"]:
    """`x` with zero mean and unit variance over the last axis (eps 1e-5), computed in float32."""
    wide = x.astype(jnp.float32)
    wide = wide - wide.mean(axis=-1, keepdims=True)
    return (wide * inverse_deviation(wide)).astype(x.dtype)


def inverse_deviation(centred: Float[Array, "*n width"]) -> Float[Array, "*n 1"]:
    """Factors that bring rows of zero mean to unit variance."""
    return jax.lax.rsqrt(jnp.square(centred).mean(axis=-1, keepdims=True) + 1e-5)


class LayerNorm(eqx.Module):
    """Layer norm: unit variance, then a learned scale and offset."""

    scale: Float[Array, " width"]
    offset: Float[Array, " width"]

    def __init__(self, width: int):
        self.scale, self.offset = jnp.ones(width), jnp.zeros(width)

    def scale_and_offset(self, condition: "Condition" = None) -> tuple[Float[Array, " width"], Float[Array, " width"]]:
        return self.scale, self.offset


class ConditionalNorm(eqx.Module):
    """Layer norm whose scale and offset are linear in a condition (Price et al. 2025, supplement).

    The first half of the linear map's outputs is the scale minus one, the second half the offset.
    """

    linear: Linear

    def __init__(self, width: int, size_condition: int, *, key: PRNGKeyArray):
        linear = Linear(size_condition, 2 * width, key=key)
        # Zero weights: the norm starts unconditional; random ones would dominate the first updates.
        self.linear = eqx.tree_at(lambda m: m.weight, linear, jnp.zeros_like(linear.weight))

    def __call__(self, x: Float[Array, "*n width"], condition: "Condition") -> Float[Array, "*n width"]:
        scale, offset = self.scale_and_offset(condition)
        return unit_variance(x) * scale + offset

    def scale_and_offset(self, condition: "Condition") -> tuple[Float[Array, " width"], Float[Array, " width"]]:
        assert condition is not None
        scale, offset = jnp.split(self.linear(condition), 2)
        return 1 + scale, offset


Condition = Float[Array, " condition"] | None


class MLP(eqx.Module):
    """Linear maps with swish between, then a norm, except in a model's output MLP.

    With `size_condition` the norm's scale and offset come from a condition of that size.
    """

    layers: tuple[Linear, ...]
    norm: LayerNorm | ConditionalNorm | None

    def __init__(self, sizes: Sequence[int], *, key: PRNGKeyArray, norm: bool = True, size_condition: int = 0):
        keys = jax.random.split(key, len(sizes) - 1)
        self.layers = tuple(Linear(a, b, key=k) for (a, b), k in zip(pairwise(sizes), keys, strict=True))
        if not norm:
            self.norm = None
        elif size_condition:
            self.norm = ConditionalNorm(sizes[-1], size_condition, key=jax.random.fold_in(key, 0))
        else:
            self.norm = LayerNorm(sizes[-1])

    def __call__(self, x: Float[Array, "*n in"], condition: Condition = None) -> Float[Array, "*n out"]:
        return self.rest(self.layers[0](x), condition)

    def rest(self, first: Float[Array, "*n hidden"], condition: Condition = None) -> Float[Array, "*n out"]:
        """The output from that of the first linear map, for callers that compute this map in parts."""
        return self.rescale(self.normed(first), condition)

    def normed(self, first: Float[Array, "*n hidden"]) -> Float[Array, "*n out"]:
        """The part of `rest` that does not depend on the condition: up to unit variance where there is a norm."""
        return through(self.tail(), first) if self.norm is None else through_to_unit_variance(self.tail(), first)[0]

    def tail(self) -> tuple[Linear, ...]:
        """The linear maps after the first. Before a norm, the last one is centred: its outputs have zero mean."""
        *others, last = self.layers[1:]
        if self.norm is not None:
            centred = last.weight - last.weight.mean(axis=-1, keepdims=True), last.bias - last.bias.mean()
            last = eqx.tree_at(lambda linear: (linear.weight, linear.bias), last, centred)
        return *others, last

    def rescale(self, x: Float[Array, "*n out"], condition: Condition = None) -> Float[Array, "*n out"]:
        """The output from `normed`: the norm's scale and offset applied."""
        if self.norm is None:
            return x
        scale, offset = self.norm.scale_and_offset(condition)
        return x * scale + offset


def through(tail: Sequence[Linear], first: Float[Array, "*n hidden"]) -> Float[Array, "*n out"]:
    """The output of the maps of a `tail`, each after a swish, from the output `first` of the first map."""
    for layer in tail:
        first = layer(jax.nn.swish(first))
    return first


def through_to_unit_variance(
    tail: Sequence[Linear], first: Float[Array, "*n hidden"]
) -> tuple[Float[Array, "*n out"], Float[Array, "*n 1"]]:
    """`through` scaled to unit variance, for a centred tail, and the scale factors in float32.

    The last bias is added twice, for the output and for the sum of squares. XLA would write a sum that both read to
    memory, which takes a CPU an eighth of the product's time; the barrier keeps it from merging the two.
    """
    *others, last = tail
    wide = product(jax.nn.swish(through(others, first)), last.weight).astype(jnp.float32)
    inverse = inverse_deviation(wide + jax.lax.optimization_barrier(last.bias))
    return ((wide + last.bias) * inverse).astype(first.dtype), inverse


Tree = TypeVar("Tree")


def in_precision(tree: Tree, precision: str) -> Tree:
    """`tree` with its float arrays cast to `precision`; training differentiates through this to float32 parameters."""
    return jax.tree.map(lambda x: x.astype(precision) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree)
