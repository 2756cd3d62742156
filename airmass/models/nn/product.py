"""Products of rows with a weight, whose gradient a CPU makes as fast as the product."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from airmass.core.types import Array

# Of fewer numbers the gradient takes no time worth a conditional.
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
    """`x.T @ y`, the gradient of a weight; `like` is any matrix that examples share.

    XLA on a CPU gives a product with a transposed left side to other code, slower than turning over `x` first. Where it
    sees that, it lets whatever makes `x` turn it over, number by number, and copies what it is made of. It does not
    look through a conditional, so this stands in one, whose other branch gives the same.
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
