"""What every optimiser must do; a new one joins by being in the table."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from airmass.errors import InputError
from airmass.nn.mlp import MLP
from airmass.training.optimiser import OPTIMISERS, OptimiserSettings, optimiser

every_kind = pytest.mark.parametrize("kind", OPTIMISERS)


def _stacked() -> MLP:
    """Three networks side by side, as the processor's steps are."""
    return eqx.filter_vmap(lambda key: MLP([4, 8, 8], key=key))(jax.random.split(jax.random.key(0), 3))


def _make(kind: str, **settings) -> optax.GradientTransformation:
    return optimiser(OptimiserSettings(kind=kind, **{"peak_rate": 0.01, "warmup": 1} | settings), 300)


@every_kind
def test_fits_a_line(kind):
    network, transform = (
        MLP([4, 16, 1], key=jax.random.key(0), norm=False),
        _make(kind, peak_rate=0.05, weight_decay=0.0),
    )
    x = jax.random.normal(jax.random.key(1), (64, 4))
    y = x @ jnp.array([1.0, -2.0, 0.5, 3.0])

    def loss(network):
        return jnp.square(network(x)[:, 0] - y).mean()

    @jax.jit
    def update(network, state):
        change, state = transform.update(jax.grad(loss)(network), state, network)
        return optax.apply_updates(network, change), state

    state, before = transform.init(network), loss(network)
    for _ in range(300):
        network, state = update(network, state)
    assert loss(network) < 0.02 * before


@every_kind
def test_decay_shrinks_matrices_and_nothing_else(kind):
    network, transform = jax.tree.map(lambda leaf: leaf + 1, _stacked()), _make(kind, weight_decay=0.5)
    state, nothing = transform.init(network), jax.tree.map(jnp.zeros_like, network)
    change = nothing
    for _ in range(2):  # the first rate of the warm-up is zero
        change, state = transform.update(nothing, state, network)
    for path, leaf in jax.tree_util.tree_leaves_with_path(change):
        if path[-1].name == "weight":
            assert np.all(leaf < 0)
        else:
            np.testing.assert_array_equal(leaf, 0, err_msg=str(path))


@every_kind
def test_stacked_matrices_are_treated_each_by_itself(kind):
    """What happens to one of three networks does not depend on the gradients of the others."""
    network, transform = _stacked(), _make(kind, clip_norm=1e9)

    def changed(scale):
        gradient = jax.tree.map(
            lambda leaf: leaf * jnp.array([1.0, scale, scale]).reshape(3, *[1] * (leaf.ndim - 1)), network
        )
        state = transform.init(network)
        for _ in range(2):
            change, state = transform.update(gradient, state, network)
        return change

    for a, b in zip(jax.tree.leaves(changed(1.0)), jax.tree.leaves(changed(5.0)), strict=True):
        np.testing.assert_allclose(a[0], b[0], rtol=1e-4, atol=1e-7)


def test_an_unknown_kind_is_refused():
    with pytest.raises(InputError, match=r"'adamm'.*adamw, muon"):
        OptimiserSettings(kind="adamm")
