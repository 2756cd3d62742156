"""Matrix products with a weight, whose gradient is as fast on a CPU as the product."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from airmass.core.types import Array

# For smaller arrays the gradient is too fast to need the conditional.
_MANY = 2**19


@jax.custom_vjp
def product(x: Float[Array, "*n in"], weight: Float[Array, "in out"]) -> Float[Array, "*n out"]:
    """`x @ weight`."""
    return x @ weight


def _product(x, weight):
    return x @ weight, (x, weight)


def _product_back(residuals, gradient):
    x, weight = residuals
    rows, of_rows = x.reshape(-1, x.shape[-1]), gradient.reshape(-1, gradient.shape[-1])
    return gradient @ weight.T, summed_products(rows, of_rows, weight)


product.defvjp(_product, _product_back)


def summed_products(
    x: Float[Array, "row in"], y: Float[Array, "row out"], like: Float[Array, "some other"]
) -> Float[Array, "in out"]:
    """`x.T @ y`, the gradient of a weight; `like` is any matrix that is not batched over examples.

    XLA on a CPU computes a product with a transposed left operand by code that is slower than transposing `x` first. An
    explicit transpose would be fused into the computation of `x`, element by element, with copies of its inputs. XLA
    does not fuse across a conditional, so the transpose is in one, whose other branch gives the same result.
    """

    def turned(x, y, like):
        return jax.lax.cond(jnp.isfinite(like[0, 0]), _turned, _plain, x, y)

    if x.size < _MANY:
        return _plain(x, y)
    return jax.lax.platform_dependent(x, y, like, cpu=turned, default=lambda x, y, _: _plain(x, y))


def _turned(x, y):
    return jax.lax.optimization_barrier(x.T) @ y


def _plain(x, y):
    return x.T @ y
