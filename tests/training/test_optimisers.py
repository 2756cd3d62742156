"""What every optimiser and every schedule must do; a new one joins by being in its table."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from airmass.core.errors import InputError
from airmass.core.parameter_paths import is_matrix, path_name
from airmass.models.nn.mlp import MLP
from airmass.models.nn.transformer import Transformer
from airmass.recipes.settings import OPTIMISER_KINDS, SCHEDULE_KINDS, OptimiserSettings
from airmass.training.optimiser import OPTIMISERS, SCHEDULES, optimiser, schedule

every_kind = pytest.mark.parametrize("kind", OPTIMISERS)
every_schedule = pytest.mark.parametrize("name", SCHEDULES)
STAGE_RATES = ((1e-2, 1e-4), (1e-3, 1e-5))


def test_settings_know_the_same_names():
    assert set(OPTIMISERS) == set(OPTIMISER_KINDS) and set(SCHEDULES) == set(SCHEDULE_KINDS)


def _stacked() -> MLP:
    """Three networks side by side, as the processor's steps are."""
    keys = jax.random.split(jax.random.key(0), 3)
    return eqx.filter_jit(eqx.filter_vmap(lambda key: MLP([4, 8, 8], key=key)))(keys)


def _make(kind: str, **settings) -> optax.GradientTransformation:
    return optimiser(OptimiserSettings(kind=kind, **{"peak_rate": 0.01, "warmup": 1} | settings), (300,))


def _rates(name: str, updates: tuple[int, ...], **settings) -> np.ndarray:
    pairs = {"stage_rates": STAGE_RATES} if name == "stages" else {}
    made = OptimiserSettings(schedule=name, **{"peak_rate": 1e-2, "tail_rate": 1e-4, "warmup": 10} | pairs | settings)
    return np.asarray(jax.vmap(schedule(made, updates))(jnp.arange(sum(updates))))


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


def _without_gradient(kind: str, network):
    """What one update changes when the gradient is zero: decay alone."""
    network = jax.tree.map(lambda leaf: np.asarray(leaf) + 1, network)
    transform = _make(kind, weight_decay=0.5)
    return _second(transform, network, jax.tree.map(jnp.zeros_like, network))


def _second(transform: optax.GradientTransformation, network, gradient):
    """The change of the second update; the first rate of the warm-up is zero."""
    update = jax.jit(transform.update)
    _, state = update(gradient, jax.jit(transform.init)(network), network)
    return update(gradient, state, network)[0]


@every_kind
def test_decay_shrinks_matrices_and_nothing_else(kind):
    transformer = jax.jit(lambda key: Transformer(8, 2, 2, 16, 4, key=key))(jax.random.key(0))
    for network in (_stacked(), transformer):
        for path, leaf in jax.tree_util.tree_leaves_with_path(_without_gradient(kind, network)):
            name = path_name(path)
            if name.endswith((".weight", ".query", ".key", ".value")):
                assert np.all(leaf < 0), name
            else:
                np.testing.assert_array_equal(leaf, 0, err_msg=name)


@every_kind
def test_stacked_matrices_are_treated_each_by_itself(kind):
    """What happens to one of three networks does not depend on the gradients of the others."""
    network, transform = _stacked(), _make(kind, clip_norm=1e9)

    def changed(scale):
        gradient = jax.tree.map(
            lambda leaf: leaf * jnp.array([1.0, scale, scale]).reshape(3, *[1] * (leaf.ndim - 1)), network
        )
        return _second(transform, network, gradient)

    for a, b in zip(jax.tree.leaves(changed(1.0)), jax.tree.leaves(changed(5.0)), strict=True):
        np.testing.assert_allclose(a[0], b[0], rtol=1e-4, atol=1e-7)


def _changes(kind: str, factor: float = 1.0, rates: dict[str, float] | None = None, **settings):
    """Changes by name of the second update under a gradient of `factor` times the parameters."""
    network, transform = _stacked(), _make(kind, rates=rates or {}, **settings)
    change = _second(transform, network, jax.tree.map(lambda leaf: factor * leaf, network))
    return {path_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(change)}


@every_kind
def test_gradients_beyond_the_limit_are_shrunk_together(kind):
    """Both gradients are brought to the same norm, so that their size makes no difference."""
    once, larger = _changes(kind, 1.0, clip_norm=0.01), _changes(kind, 100.0, clip_norm=0.01)
    for name, leaf in once.items():
        np.testing.assert_allclose(leaf, larger[name], rtol=1e-4, atol=1e-9, err_msg=name)


@every_kind
def test_relative_rates_multiply_what_changes(kind):
    even, uneven = _changes(kind), _changes(kind, rates={"layers.0.weight": 4.0, "layers.*": 0.5})
    for name, leaf in even.items():
        factor = 4.0 if name == "layers.0.weight" else 0.5 if name.startswith("layers.") else 1.0
        np.testing.assert_allclose(uneven[name], factor * leaf, rtol=1e-6, err_msg=name)


@every_kind
def test_the_state_is_arrays_only(kind):
    state = _make(kind, rates={"layers.*": 2.0}).init(_stacked())
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))


def test_a_rate_for_nothing_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match=r"rates: 'layrs\.\*' matches no parameter; did you mean 'layers\.\*'"):
        _make("adamw", rates={"layrs.*": 2.0}).init(_stacked())


@every_schedule
def test_warms_up_in_a_straight_line_and_never_passes_its_peak(name):
    rates = _rates(name, (100, 40))
    np.testing.assert_allclose(rates[:11], np.linspace(0, 1e-2, 11), rtol=1e-5, atol=1e-9)
    assert rates.max() <= 1e-2 * (1 + 1e-6) and np.all(rates[1:100] > 0)


@every_schedule
def test_a_stage_shorter_than_the_warm_up_still_reaches_its_peak(name):
    np.testing.assert_allclose(_rates(name, (8,), warmup=1000)[4], 1e-2, rtol=1e-5)
    assert np.isfinite(_rates(name, (1, 1, 1))).all()


def test_cosine_falls_by_half_a_cosine_and_stays():
    rates, fraction = _rates("cosine", (100, 40)), np.arange(90) / 90
    expected = 1e-4 + (1e-2 - 1e-4) * (1 + np.cos(np.pi * fraction)) / 2
    np.testing.assert_allclose(rates[10:100], expected, rtol=1e-4)
    np.testing.assert_allclose(rates[100:], 1e-4, rtol=1e-4)


def test_constant_stays():
    np.testing.assert_allclose(_rates("constant", (100, 40))[10:], 1e-2, rtol=1e-5)


def test_every_stage_rises_and_falls_between_its_own_rates():
    """Each stage is what "cosine" gives for it alone; the last pair serves the stages after it."""
    rates = _rates("stages", (100, 40, 30))
    for start, updates, (peak, tail) in (
        (0, 100, STAGE_RATES[0]),
        (100, 40, STAGE_RATES[1]),
        (140, 30, STAGE_RATES[1]),
    ):
        alone = _rates("cosine", (updates,), peak_rate=peak, tail_rate=tail)
        np.testing.assert_allclose(rates[start : start + updates], alone, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "adamm"}, "unknown optimiser 'adamm'.*adamw, muon"),
        ({"schedule": "cosin"}, "unknown schedule 'cosin'.*cosine, constant, stages"),
        ({"schedule": "stages"}, "'stages' needs them"),
        ({"stage_rates": STAGE_RATES}, "schedule 'cosine' with stage_rates"),
        ({"rates": {"encoder.*": 0.0}}, r"rates\.'encoder\.\*' is 0\.0, expected above 0"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        OptimiserSettings(**settings)


def test_matrices_are_told_by_name():
    names = {path_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(_stacked())}
    assert {name for name in names if is_matrix(name)} == {"layers.0.weight", "layers.1.weight"}
