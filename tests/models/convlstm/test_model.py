"""ConvLSTM against what can be derived: neighbours on the sphere, the equations of the paper, symmetry in longitude."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.core.errors import InputError
from airmass.fields.grid import LatLonGrid
from airmass.fields.normalise import Normaliser
from airmass.fields.task import Task
from airmass.models.convlstm.model import Cell, ConvLSTM, ConvLSTMNetwork, convlstm, network_sizes
from airmass.models.convlstm.settings import ConvLSTMSettings
from airmass.models.nn.convolution import Convolution, padded_on_sphere
from airmass.models.state import State
from airmass.recipes.recipes import RECIPES
from airmass.recipes.settings import DeviceSettings

TASK = Task(("2m_temperature", "mean_sea_level_pressure"), ("total_precipitation_6hr",), (), ("land_sea_mask",), ())
SETTINGS = ConvLSTMSettings(width=6, layers=2)


def model(grid: LatLonGrid, settings: ConvLSTMSettings = SETTINGS) -> ConvLSTM:
    network = ConvLSTMNetwork(settings, *network_sizes(TASK), key=jax.random.key(0))
    sizes = (2, 0, 1, 3)
    scales = Normaliser(*(np.full(n, x, np.float32) for n in sizes for x in (0.1, 1.5)), Normaliser.columns(TASK))
    return convlstm(network, grid, scales, np.zeros((grid.size, 1), np.float32), TASK.step)


def state(grid: LatLonGrid) -> State:
    return State(jax.random.normal(jax.random.key(1), (2, grid.size, 2)), jnp.int32(0))


def _smooth(grid: LatLonGrid) -> np.ndarray:
    """x, y and z of every node: smooth on the sphere, also at the poles."""
    latitude, longitude = np.deg2rad(grid.nodes)
    flat = np.cos(latitude)
    return np.stack([flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)], -1).reshape(*grid.shape, 3)


@pytest.mark.parametrize("poles", [False, True])
def test_beyond_an_edge_lies_what_lies_there_on_the_sphere(poles):
    """Further along a meridian than the pole, x, y and z are those of the great circle."""
    grid = LatLonGrid.equiangular(9 if poles else 8, 16, poles)
    found = np.asarray(padded_on_sphere(jnp.asarray(_smooth(grid)), 2, poles))
    step = grid.latitude[1] - grid.latitude[0]
    latitude = np.deg2rad(grid.latitude[0] + step * np.arange(-2, grid.shape[0] + 2))[:, None]
    longitude = np.deg2rad(22.5 * np.arange(-2, 18))[None]
    expected = np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)
    for channel, wanted in enumerate(expected):
        np.testing.assert_allclose(found[..., channel], np.broadcast_to(wanted, found.shape[:2]), atol=1e-6)


def test_a_convolution_is_a_sum_over_neighbours():
    x = np.random.default_rng(0).normal(size=(4, 8, 2)).astype(np.float32)
    made = Convolution(2, 3, 3, key=jax.random.key(0))
    weight = np.asarray(made.weight).reshape(3, 3, 2, 3)
    found = made(jnp.asarray(x))
    row, column = 2, 0
    expected = sum(x[row + i - 1, (column + j - 1) % 8] @ weight[i, j] for i in range(3) for j in range(3))
    np.testing.assert_allclose(found[row, column], expected, rtol=1e-5)
    across = sum(x[0, (3 + j - 1 + 4) % 8] @ weight[0, j] for j in range(3))  # from the first row over the south pole
    across += sum(x[i, 3 + j - 1] @ weight[i + 1, j] for i in range(2) for j in range(3))
    np.testing.assert_allclose(found[0, 3], across, rtol=1e-5)


def test_a_cell_follows_the_equations_of_the_paper():
    """One grid point, where a convolution with a kernel of one is a product."""
    cell = Cell(2, 1, key=jax.random.key(0))
    frames = np.random.default_rng(0).normal(size=(3, 1, 1, 2)).astype(np.float32)
    found = np.asarray(cell(jnp.asarray(frames), False))[:, 0, 0]
    hidden, memory = np.zeros(2), np.zeros(2)
    incoming, recurrent, bias = map(np.asarray, (cell.incoming.weight, cell.recurrent.weight, cell.bias))
    for frame, given in zip(frames[:, 0, 0], found, strict=True):
        gates = frame @ incoming + hidden @ recurrent + bias
        take, keep, give, new = gates.reshape(4, 2)
        memory = memory / (1 + np.exp(-keep)) + np.tanh(new) / (1 + np.exp(-take))
        hidden = np.tanh(memory) / (1 + np.exp(-give))
        np.testing.assert_allclose(given, hidden, rtol=1e-5)


def test_the_same_weather_further_east_has_the_same_future_further_east():
    """Without positions and static fields every meridian is like another."""
    grid = LatLonGrid.equiangular(6, 8)
    made = dataclasses.replace(model(grid), positions=jnp.zeros((grid.size, 3)))
    first, forcing = state(grid), jnp.zeros((3, grid.size, 0))

    def east(field):
        return jnp.roll(field.reshape(*field.shape[:-2], 6, 8, -1), 3, axis=-2).reshape(field.shape)

    _, frame = made.step(first, forcing)
    _, moved = made.step(State(east(first.history), first.valid_time), forcing)
    np.testing.assert_allclose(moved, east(frame), atol=1e-5)


def test_a_silent_network_persists():
    grid = LatLonGrid.equiangular(7, 12, poles=True)
    made, first = model(grid), state(grid)
    made = eqx.tree_at(lambda m: m.network.output.weight, made, jnp.zeros_like(made.network.output.weight))
    after, frame = made.step(first, jnp.zeros((3, grid.size, 0)))
    np.testing.assert_allclose(made.normaliser.prognostic(frame), first.history[-1], rtol=1e-6)
    np.testing.assert_allclose(after.history[0], first.history[1])


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="kernel is 4, expected an odd number"):
        ConvLSTMSettings(kernel=4)
    with pytest.raises(InputError, match="space is 2, expected 1"):
        dataclasses.replace(RECIPES["convlstm-demo"], devices=DeviceSettings(space=2))
    with pytest.raises(InputError, match="a grid of 2 x 4 is too small for a kernel of 7"):
        padded_on_sphere(jnp.zeros((2, 4, 1)), 3, False)
