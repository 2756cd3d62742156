"""Which nodes are near: beside a breadth-first search, and every pair in exactly one block."""

import numpy as np
import pytest

from airmass.models.mesh.icosphere import Mesh, icosphere
from airmass.models.mesh.neighbours import Neighbours, hop_matrix


def _within(mesh: Mesh, start: int, hops: int) -> set[int]:
    """Breadth-first search over the sides of faces."""
    beside: dict[int, set[int]] = {}
    for face in mesh.faces.tolist():
        for node in face:
            beside.setdefault(node, set()).update(face)
    found = {start}
    for _ in range(hops):
        found |= {other for node in found for other in beside[node]}
    return found


@pytest.mark.parametrize(("level", "hops"), [(0, 1), (0, 3), (1, 1), (1, 2), (2, 3), (3, 5)])
def test_hops_are_those_of_a_breadth_first_search(level, hops):
    mesh = icosphere(level)
    reach = hop_matrix(mesh, hops).toarray()
    for node in range(0, len(mesh.vertices), 1 + len(mesh.vertices) // 40):
        assert set(np.flatnonzero(reach[node])) == _within(mesh, node, hops)


@pytest.mark.parametrize("hops", [1, 2, 4])
def test_who_is_near_is_mutual(hops):
    reach = hop_matrix(icosphere(2), hops).toarray()
    np.testing.assert_array_equal(reach, reach.T)
    assert reach.diagonal().all()


def test_one_hop_of_a_mesh_has_six_neighbours_but_at_twelve_nodes():
    counts = hop_matrix(icosphere(3), 1).toarray().sum(axis=1) - 1
    assert (counts == 5).sum() == 12 and (counts == 6).sum() == 642 - 12


@pytest.fixture(scope="module")
def published() -> tuple[np.ndarray, Neighbours]:
    """How many nodes each attends to in the published 1 degree model, and its blocks."""
    mesh = icosphere(5)
    return np.diff(hop_matrix(mesh, 16).indptr), Neighbours.within(mesh, 16)


def test_the_published_model_attends_to_up_to_817_nodes(published):
    counts, neighbours = published
    assert len(counts) == 10_242
    # h hops among triangles reach 1 + 6 (1 + ... + h) nodes; at the twelve nodes of five neighbours, five sixths.
    assert counts.max() == 1 + 3 * 16 * 17 and counts.min() == 1 + 5 * 16 * 17 // 2
    assert (counts == counts.min()).sum() == 12
    assert 798 < counts.mean() < 800
    queries = np.asarray(neighbours.queries)
    found = np.asarray(neighbours.near).sum(axis=-1)
    np.testing.assert_array_equal(found[queries < 10_242], counts[queries[queries < 10_242]])


def test_blocks_of_the_published_model_are_compact(published):
    """A block of 64 nodes that lie together needs less than twice the keys of one of them."""
    counts, neighbours = published
    assert neighbours.queries.shape == (161, 64)
    assert neighbours.keys.shape[1] < 2 * counts.max()


# 162 nodes: in full blocks, in blocks with a short last one, in one node a block and all in one.
@pytest.mark.parametrize("block", [1, 5, 54, 64, 161, 162, 1000])
@pytest.mark.parametrize("hops", [1, 3])
def test_blocks_hold_every_pair_once(hops, block):
    mesh = icosphere(2)
    neighbours = Neighbours.within(mesh, hops, block)
    queries, keys, near = (np.asarray(x) for x in (neighbours.queries, neighbours.keys, neighbours.near))
    real = queries < 162
    np.testing.assert_array_equal(np.sort(queries[real]), np.arange(162))
    assert np.all(queries[~real] == 162) and real.sum(axis=1)[:-1].min(initial=block) == block
    number, row, column = np.nonzero(near & real[..., None])
    pairs = np.stack([queries[number, row], keys[number, column]], axis=1)
    expected = np.argwhere(hop_matrix(mesh, hops).toarray())
    np.testing.assert_array_equal(pairs[np.lexsort(pairs.T[::-1])], expected)
    # Filling queries attend to one key, so that their softmax is defined; every block's real keys are distinct.
    assert np.all(near[~real].sum(axis=-1) == 1)
    for b in range(len(queries)):
        union = set(np.flatnonzero(hop_matrix(mesh, hops).toarray()[queries[b][real[b]]].any(axis=0)).tolist())
        used = keys[b][near[b][real[b]].any(axis=0)]
        assert len(used) == len(union) and set(used.tolist()) == union


@pytest.mark.parametrize("hops", [1, 3])
def test_being_near_goes_both_ways(hops):
    """Kernels sum the gradients of keys over the lists of queries."""
    near = hop_matrix(icosphere(2), hops).toarray()
    np.testing.assert_array_equal(near, near.T)
