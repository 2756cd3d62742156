"""Edges between grid and mesh and their features, beside the published ones and beside brute force."""

import jax
import numpy as np
import pytest

from airmass.fields.grid import LatLonGrid
from airmass.models.mesh.graph import EdgeSet, Graphs, build_graphs, containing_faces, edge_features, sphere_points
from airmass.models.mesh.icosphere import icosphere
from tests.golden_case import GOLDEN


@pytest.fixture(scope="module")
def built() -> Graphs:
    return build_graphs(GOLDEN.grid, 2, cache=False)


@pytest.fixture(scope="module")
def ours() -> np.ndarray:
    """Our number of each published mesh node."""
    raw = GOLDEN.raw_graph
    return np.linalg.norm(raw["mesh_vertices"][:, None] - icosphere(2).vertices[None], axis=-1).argmin(axis=1)


def _published(name, sender_numbers, receiver_numbers) -> dict:
    raw = GOLDEN.raw_graph
    senders, receivers = raw[f"{name}_senders"], raw[f"{name}_receivers"]
    senders = senders if sender_numbers is None else sender_numbers[senders]
    receivers = receivers if receiver_numbers is None else receiver_numbers[receivers]
    return dict(zip(zip(senders.tolist(), receivers.tolist(), strict=True), raw[f"{name}_edge_features"], strict=True))


def _table(edges: EdgeSet) -> dict:
    return dict(zip(zip(edges.senders.tolist(), edges.receivers.tolist(), strict=True), edges.features, strict=True))


def test_grid_to_mesh_and_mesh_edges_are_the_published_ones(built, ours):
    for edges, published in (
        (built.grid_to_mesh, _published("grid2mesh", None, ours)),
        (built.mesh, _published("mesh", ours, ours)),
    ):
        table = _table(edges)
        assert table.keys() == published.keys()
        worst = max(np.abs(table[pair] - published[pair]).max() for pair in table)
        assert worst < 1e-5


def test_mesh_to_grid_edges_differ_only_on_the_sides_of_triangles(built, ours):
    table, published = _table(built.mesh_to_grid), _published("mesh2grid", ours, None)
    differing = {receiver for _, receiver in table.keys() ^ published.keys()}
    points, mesh = sphere_points(*GOLDEN.grid.nodes), icosphere(2)
    corners = mesh.vertices[mesh.faces[containing_faces(mesh, points)]]
    weights = np.linalg.solve(corners.transpose(0, 2, 1), points[..., None])[..., 0]
    on_a_side = set(np.flatnonzero(weights.min(axis=1) < 1e-6).tolist())
    assert differing <= on_a_side
    assert len(on_a_side) == 48
    same = table.keys() & published.keys()
    assert max(np.abs(table[pair] - published[pair]).max() for pair in same) < 1e-5


def test_sides_of_triangles_are_decided_as_the_published_code_decides_them(built, ours):
    """Either triangle is right there; weights have learned from the one that float32 chose."""
    raw = GOLDEN.raw_graph
    theirs = np.sort(
        ours[raw["mesh2grid_senders"][np.argsort(raw["mesh2grid_receivers"], kind="stable")]].reshape(-1, 3)
    )
    same = np.all(np.sort(built.mesh_to_grid.senders.reshape(-1, 3)) == theirs, axis=1)
    # 48 nodes lie on a side; in exact arithmetic, of which the choice knows nothing, half of them agree.
    assert (~same).sum() <= 3
    points, mesh = sphere_points(*GOLDEN.grid.nodes), icosphere(2)
    exact = mesh.faces[containing_faces(mesh, points)]
    assert np.all(np.sort(exact) == theirs, axis=1).sum() < same.sum()


def test_a_corner_length_divides_what_goes_from_mesh_to_grid_and_nothing_else(built):
    other = build_graphs(GOLDEN.grid, 2, corner_length=0.5, cache=False)
    for name in ("grid_to_mesh", "mesh"):
        np.testing.assert_array_equal(getattr(other, name).features, getattr(built, name).features)
    np.testing.assert_array_equal(other.mesh_to_grid.senders, built.mesh_to_grid.senders)
    corners = icosphere(2).vertices[built.mesh_to_grid.senders]
    chord = np.linalg.norm(corners - sphere_points(*GOLDEN.grid.nodes)[built.mesh_to_grid.receivers], axis=1)
    np.testing.assert_allclose(other.mesh_to_grid.features, built.mesh_to_grid.features * chord.max() / 0.5, atol=1e-6)
    np.testing.assert_allclose(other.mesh_to_grid.features[:, 0], chord / 0.5, atol=1e-6)


def test_the_cache_knows_corner_lengths_and_meshes_apart(tmp_path, monkeypatch):
    monkeypatch.setenv("AIRMASS_CACHE", str(tmp_path))
    grid = LatLonGrid.equiangular(8, 16)
    for _ in range(2):
        longest, half = (build_graphs(grid, 1, corner_length=length).mesh_to_grid.features for length in (None, 0.5))
        assert longest[:, 0].max() == 1 and half[:, 0].max() != 1
        multi, finest = (build_graphs(grid, 1, finest_only=only).mesh for only in (False, True))
        assert len(multi.senders) == 60 + 240 and len(finest.senders) == 240


def test_node_features_are_the_published_ones(built, ours):
    raw = GOLDEN.raw_graph
    np.testing.assert_allclose(built.grid_features, raw["grid_nodes_features"], atol=1e-6)
    np.testing.assert_allclose(built.mesh_features[ours], raw["mesh_nodes_features"], atol=1e-6)


def test_every_point_lies_in_its_face():
    mesh = icosphere(3)
    points = np.random.default_rng(0).normal(size=(5000, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    corners = mesh.vertices[mesh.faces[containing_faces(mesh, points)]]
    weights = np.linalg.solve(corners.transpose(0, 2, 1), points[..., None])
    assert weights.min() > -1e-12


def test_every_mesh_node_hears_from_exactly_the_grid_nodes_in_reach():
    grid, mesh = LatLonGrid.equiangular(8, 16), icosphere(1)
    edges = build_graphs(grid, 1, cache=False).grid_to_mesh
    distance = np.linalg.norm(sphere_points(*grid.nodes)[:, None] - mesh.vertices[None], axis=-1)
    expected = {tuple(pair) for pair in np.argwhere(distance <= 0.6 * mesh.longest_edge).tolist()}
    assert _table(edges).keys() == expected


def test_features_do_not_change_when_the_sphere_is_turned_about_its_axis():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(20, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    senders, receivers = rng.integers(0, 20, (2, 60))
    angle = 1.234
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    still = edge_features(points, points, senders, receivers)
    turned = edge_features(points @ turn.T, points @ turn.T, senders, receivers)
    np.testing.assert_allclose(turned, still, atol=1e-6)
    assert still[:, 0].max() == 1


def test_edges_are_sorted_by_receiver(built):
    for edges in (built.grid_to_mesh, built.mesh, built.mesh_to_grid):
        assert np.all(np.diff(edges.receivers) >= 0)


def test_the_cache_gives_back_what_was_built(tmp_path, monkeypatch):
    monkeypatch.setenv("AIRMASS_CACHE", str(tmp_path))
    grid = LatLonGrid.equiangular(8, 16)
    first, second = build_graphs(grid, 1), build_graphs(grid, 1)
    assert len(list((tmp_path / "graphs").iterdir())) == 1
    np.testing.assert_array_equal(first.mesh_to_grid.features, second.mesh_to_grid.features)
    build_graphs(grid, 2)
    assert len(list((tmp_path / "graphs").iterdir())) == 2


def test_without_a_cache_graphs_are_built_and_one_line_says_so(monkeypatch, capsys):
    monkeypatch.setenv("AIRMASS_CACHE", "/dev/null/cache-of-this-test")
    grid = LatLonGrid.equiangular(8, 16)
    for _ in range(2):
        assert_same_graphs(build_graphs(grid, 1), build_graphs(grid, 1, cache=False))
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "cache-of-this-test cannot be made: Not a directory; AIRMASS_CACHE names" in told


@pytest.mark.parametrize("damage", ["no zip", "cut", "flipped", "other names", "other grid", "beyond the mesh"])
def test_a_damaged_cache_is_made_again(damage, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AIRMASS_CACHE", str(tmp_path))
    grid = LatLonGrid.equiangular(8, 16)
    built = build_graphs(grid, 1)
    (path,) = (tmp_path / "graphs").iterdir()
    whole = path.read_bytes()
    with np.load(path) as stored:
        arrays = dict(stored)
    match damage:
        case "no zip":
            path.write_bytes(b"no graph")
        case "cut":
            path.write_bytes(whole[:5000])
        case "flipped":
            path.write_bytes(whole[:3000] + bytes([whole[3000] ^ 1]) + whole[3001:])
        case "other names":
            np.savez(path, a=np.zeros(3))
        case "other grid":
            np.savez(path, **arrays | {"grid_features": arrays["grid_features"][:64]})
        case "beyond the mesh":
            np.savez(path, **arrays | {"mesh.senders": arrays["mesh.senders"] + 1})
    assert_same_graphs(build_graphs(grid, 1), built)
    assert "is made again" in capsys.readouterr().err
    assert_same_graphs(build_graphs(grid, 1), built)
    assert not capsys.readouterr().err


def assert_same_graphs(found, expected):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_grid_node_without_three_senders_is_refused(built):
    edges = built.mesh_to_grid
    fewer = EdgeSet(edges.senders[1:], edges.receivers[1:], edges.kinds[1:], edges.table)
    with pytest.raises(ValueError, match="three mesh nodes"):
        Graphs(built.grid_to_mesh, built.mesh, fewer, built.grid_features, built.mesh_features)
