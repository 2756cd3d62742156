"""The icosphere and its multi-mesh."""

import numpy as np
import pytest

from airmass.models.mesh.icosphere import icosphere, multi_mesh_edges
from tests.golden_case import GOLDEN


@pytest.mark.parametrize("level", range(5))
def test_counts_follow_from_splitting_in_four(level):
    mesh = icosphere(level)
    assert mesh.vertices.shape == (10 * 4**level + 2, 3)
    assert mesh.faces.shape == (20 * 4**level, 3)
    assert len(np.unique(mesh.edges, axis=0)) == len(mesh.edges) == 60 * 4**level


def test_published_multi_mesh_has_its_published_number_of_edges():
    # Level 6 of the paper, from the counts of all levels without building it.
    assert sum(60 * 4**n for n in range(7)) == 327_660
    assert len(multi_mesh_edges(3)) == sum(60 * 4**n for n in range(4))


@pytest.mark.parametrize("level", range(4))
def test_faces_tile_the_sphere_outside_out(level):
    mesh = icosphere(level)
    a, b, c = (mesh.vertices[mesh.faces[:, i]] for i in range(3))
    # Van Oosterom and Strackee 1983: solid angle of a triangle; positive where corners run counter-clockwise.
    volume = np.einsum("ni,ni->n", a, np.cross(b, c))
    sides = 1 + np.einsum("ni,ni->n", a, b) + np.einsum("ni,ni->n", b, c) + np.einsum("ni,ni->n", c, a)
    angles = 2 * np.arctan2(volume, sides)
    assert np.all(angles > 0)
    np.testing.assert_allclose(angles.sum(), 4 * np.pi, rtol=1e-12)


def test_a_finer_mesh_begins_with_the_vertices_of_the_coarser():
    np.testing.assert_array_equal(icosphere(3).vertices[:42], icosphere(1).vertices)


def test_two_faces_lie_parallel_to_the_equator_and_no_vertex_is_a_pole():
    mesh = icosphere(0)
    heights = mesh.vertices[mesh.faces][..., 2]
    assert np.sum(np.ptp(heights, axis=1) < 1e-12) == 2
    assert np.abs(mesh.vertices[:, 2]).max() < 0.99


def test_vertices_and_faces_are_the_published_ones():
    mesh, raw = icosphere(2), GOLDEN.raw_graph
    distance = np.linalg.norm(raw["mesh_vertices"][:, None] - mesh.vertices[None], axis=-1)
    ours = distance.argmin(axis=1)
    assert distance.min(axis=1).max() < 1e-6
    assert sorted(ours) == list(range(162))

    def as_sets(faces):
        return {frozenset(face) for face in faces.tolist()}

    assert as_sets(ours[raw["mesh_faces"]]) == as_sets(mesh.faces)
