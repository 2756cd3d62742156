"""Products with a weight beside those that JAX differentiates by itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.models.nn.product import product


# The last is large enough for its weight's gradient to be made in another way on a CPU.
@pytest.mark.parametrize("shape", [(5,), (3, 7, 5), (2, 600, 512)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_values_and_gradients_are_those_of_the_operator(shape, dtype):
    rng = np.random.default_rng(0)
    x, weight = (jnp.asarray(rng.normal(size=s), dtype) for s in (shape, (shape[-1], 6)))
    incoming = jnp.asarray(rng.normal(size=(*shape[:-1], 6)), dtype)
    (a, a_back), (b, b_back) = (jax.vjp(f, x, weight) for f in (product, jnp.matmul))
    for found, expected in zip((a, *a_back(incoming)), (b, *b_back(incoming)), strict=True):
        assert found.dtype == expected.dtype
        found, expected = (np.asarray(array, np.float32) for array in (found, expected))
        np.testing.assert_allclose(
            found, expected, atol=np.abs(expected).max() * (1e-5 if dtype == "float32" else 2e-2)
        )


def test_examples_side_by_side_share_a_weight_and_have_gradients_of_their_own():
    rng = np.random.default_rng(0)
    x, weight = (jnp.asarray(rng.normal(size=size), jnp.float32) for size in ((2, 1100, 512), (512, 6)))
    gradient = jax.jit(jax.vmap(jax.grad(lambda weight, x: jnp.square(product(x, weight)).sum()), (None, 0)))
    expected = 2 * jnp.einsum("bri,brj,jo->bio", x, x, weight)
    found = gradient(weight, x)
    np.testing.assert_allclose(found, expected, atol=1e-5 * float(jnp.abs(expected).max()))
    text = gradient.lower(weight, x).as_text()
    assert "stablehlo.case" in text  # and not a choice between two products both made


def test_what_is_not_finite_stays_so():
    x = jnp.ones((1100, 512)).at[3, 4].set(jnp.nan)
    gradient = jax.grad(lambda weight: product(x, weight).sum())(jnp.ones((512, 2)))
    assert np.isnan(gradient[4]).all()
    assert np.isfinite(np.delete(gradient, 4, axis=0)).all()
