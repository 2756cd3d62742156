"""The plain network gives what the fast one gives, in output and in the gradient of every parameter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.models.fgn import reference
from airmass.models.fgn.model import FGNNetwork, Inputs
from airmass.models.fgn.settings import FGNSettings
from airmass.models.mesh.icosphere import icosphere
from airmass.models.mesh.neighbours import Neighbours, hop_matrix
from airmass.models.mesh.tiles import Tiles
from tests.models.graphcast.test_reference import CHANNELS, GRAPHS, OUTPUTS, assert_equal_networks, random_leaves

UNIFORM = 2


@pytest.mark.slow
def test_the_fast_network_is_the_plain_one():
    settings = FGNSettings(1, 16, 2, 2, 2, 24, edge_width=4, noise_channels=5, condition=3, divisor=3.0)
    network = random_leaves(lambda: FGNNetwork(settings, CHANNELS, UNIFORM, OUTPUTS, key=jax.random.key(0)))
    tiles, mesh = Tiles.of(GRAPHS, rows=48), icosphere(1)
    neighbours = Neighbours.within(mesh, settings.hops, block=16)
    near = jnp.asarray(hop_matrix(mesh, settings.hops).toarray())
    rng = np.random.default_rng(1)
    x, uniform, noise = (
        jnp.asarray(rng.normal(size=size), jnp.float32)
        for size in ((tiles.count * tiles.nodes, CHANNELS), UNIFORM, settings.noise_channels)
    )

    def fast(network):
        first = jnp.stack([network.first_map(tiles, tiles.rows(x, tile), tile) for tile in range(tiles.count)])
        return network(tiles, neighbours, network.embedded(tiles), Inputs(first, uniform, x, x), noise)

    assert_equal_networks(fast, lambda n: reference.network(n, GRAPHS, near, x, uniform, noise), network)
