"""The plain denoising network gives what the fast one gives, in output and in the gradient of every parameter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.models.gencast import reference
from airmass.models.gencast.model import DenoiserNetwork, GenCastSettings
from airmass.models.mesh.icosphere import icosphere
from airmass.models.mesh.neighbours import Neighbours, hop_matrix
from airmass.models.mesh.tiles import Tiles
from tests.models.graphcast.test_reference import CHANNELS, GRAPHS, OUTPUTS, assert_equal_networks, random_leaves

SIGMA = jnp.float32(0.7)


@pytest.mark.slow
def test_the_fast_network_is_the_plain_one():
    settings = GenCastSettings(mesh_level=1, width=16, layers=2, heads=2, hops=2, feedforward=24, frequencies=4)
    network = random_leaves(lambda: DenoiserNetwork(settings, CHANNELS + OUTPUTS, OUTPUTS, key=jax.random.key(0)))
    tiles, mesh = Tiles.of(GRAPHS, rows=48), icosphere(1)
    neighbours = Neighbours.within(mesh, settings.hops, block=16)
    near = jnp.asarray(hop_matrix(mesh, settings.hops).toarray())
    rng = np.random.default_rng(1)
    grid = tiles.count * tiles.nodes
    x, noisy = (jnp.asarray(rng.normal(size=(grid, size)), jnp.float32) for size in (CHANNELS, OUTPUTS))

    def fast(network):
        precomputed = network.precomputed(network.embedded(tiles), SIGMA)
        fixed = jnp.stack([network.fixed(tiles, tiles.rows(x, tile), tile) for tile in range(tiles.count)])
        return network(tiles, neighbours, precomputed, fixed, noisy)

    def plain(network):
        return reference.network(network, GRAPHS, near, x, noisy, SIGMA)

    assert_equal_networks(fast, plain, network)
