"""Each process beside the identities of its stochastic equation, and the constants that papers state."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.core.errors import InputError
from airmass.diffusion.ddpm import DDPM, cosine_betas, linear_betas
from airmass.diffusion.noise_levels import noise_levels
from airmass.diffusion.process import EDM, VE, VP, SubVP
from airmass.diffusion.samplers.dpmpp_2s import DPMSolver2S
from airmass.diffusion.time_grid import TimeGrid

PROCESSES = {
    "EDM": EDM(),
    "VE": VE(),
    "VP": VP(),
    "sub-VP": SubVP(),
    "DDPM linear": DDPM(),
    "DDPM cosine": DDPM(cosine_betas()),
}
each = pytest.mark.parametrize("process", PROCESSES.values(), ids=PROCESSES.keys())


def some_times(process) -> np.ndarray:
    """Inside steps, where a discrete schedule has a slope."""
    times = process.time_at(np.linspace(0.02, 0.98, 25))
    return times - 0.5 if isinstance(process, DDPM) else times


@each
def test_drift_and_diffusion_are_those_of_signal_and_noise(process):
    with jax.enable_x64():
        t = jnp.asarray(some_times(process))
        growth = jax.vmap(jax.grad(process.log_alpha))(t)
        variance = jax.vmap(jax.grad(lambda t: process.sigma(t) ** 2))(t)
        np.testing.assert_allclose(process.drift(t), growth, rtol=1e-9)
        expected = variance - 2 * growth * process.sigma(t) ** 2
        np.testing.assert_allclose(process.diffusion(t) ** 2, expected, rtol=1e-9)


@each
def test_levels_rise_with_time_and_give_it_back(process):
    t = some_times(process)
    level = process.level(t)
    assert np.all(np.diff(level) > 0)
    np.testing.assert_allclose(process.time_of(level), t, rtol=1e-6)


@each
def test_jax_and_numpy_agree(process):
    t = some_times(process)
    for name in ("alpha", "sigma", "drift", "diffusion", "level"):
        ours = jax.jit(getattr(process, name))(np.float32(t))
        np.testing.assert_allclose(ours, getattr(process, name)(np.float64(np.float32(t))), rtol=2e-4, err_msg=name)


def test_variance_is_preserved_or_less():
    t = np.linspace(0.01, 1, 20)
    np.testing.assert_allclose(VP().alpha(t) ** 2 + VP().sigma(t) ** 2, 1)
    np.testing.assert_allclose(SubVP().sigma(t), VP().sigma(t) ** 2)
    assert np.all(VE().alpha(t) == 1)


def test_vp_is_the_published_one():
    np.testing.assert_allclose(VP().drift(np.array([0.0, 1.0])), [-0.05, -10])
    np.testing.assert_allclose(VP().alpha(np.float64(1)), np.exp(-20.1 / 4), rtol=1e-12)


def test_ve_times_are_the_geometric_levels_of_smld():
    grid = TimeGrid.along(VE(0.01, 1.0), 10)
    np.testing.assert_allclose([point.level for point in grid], np.geomspace(1, 0.01, 10), rtol=1e-12)


def test_ddpm_keeps_the_product_of_one_minus_beta():
    for betas in (linear_betas(), cosine_betas()):
        process = DDPM(betas)
        np.testing.assert_allclose(process.alpha(np.arange(1.0, 1001)) ** 2, np.cumprod(1 - betas), rtol=1e-9)
    np.testing.assert_allclose(linear_betas()[[0, -1]], [1e-4, 0.02])


def test_cosine_schedule_is_the_published_cosine():
    t = np.arange(1, 1000) / 1000
    cosine = np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2 / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    np.testing.assert_allclose(DDPM(cosine_betas()).alpha(1000 * t) ** 2, cosine, rtol=1e-6)
    assert cosine_betas().max() == 0.999


def test_ddpm_visits_every_step_and_trains_on_every_step_alike():
    np.testing.assert_array_equal(TimeGrid.along(DDPM(), 1000).times, np.arange(1000, 0, -1))
    steps, counts = np.unique(DDPM(linear_betas(10)).time_at((np.arange(1000) + 0.5) / 1000), return_counts=True)
    np.testing.assert_array_equal(steps, np.arange(1, 11))
    np.testing.assert_array_equal(counts, 100)


def test_grid_of_a_sampler_is_its_levels():
    sampler = DPMSolver2S()
    np.testing.assert_array_equal([point.level for point in sampler.grid], noise_levels(sampler))
    np.testing.assert_allclose(TimeGrid.along(EDM(sampler), 20).times, sampler.grid.times, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VE(1.0, 0.5), "VE process: min_noise is 1.0 and max_noise 0.5"),
        (lambda: VP(0.0, 20.0), "VP process: beta_min is 0.0 and beta_max 20.0"),
        (lambda: SubVP(least=1.0), "SubVP process: least is 1.0 and last 1.0"),
        (lambda: DDPM(np.array([0.1, 1.0])), r"betas are 0.1 to 1.0 in shape \(2,\)"),
        (lambda: DDPM(np.array([])), r"betas are none"),
        (lambda: DDPM(np.array([0.1, np.nan])), r"betas are nan to nan"),
        (lambda: TimeGrid(VE(), np.array([0.5, 0.7]), np.zeros(2)), "2 noise levels .* expected 2 or more, decreasing"),
        (lambda: TimeGrid.along(VE(), 1), "1 noise levels"),
    ],
)
def test_what_makes_no_schedule_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
