"""Edges between grid and mesh with their features, built in numpy and cached on disk by content."""

import hashlib
from functools import partial
from pathlib import Path

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import cKDTree

from airmass.core.cache import read_or_make
from airmass.core.errors import InputError
from airmass.core.files import new_output, write_arrays
from airmass.core.types import Array
from airmass.fields.grid import LatLonGrid
from airmass.models.mesh.icosphere import Mesh, icosphere, multi_mesh_edges

# Increased whenever the arithmetic below changes, so that cached graphs of an older version are not read.
_VERSION = 3
_ARRAYS = ("senders", "receivers", "kinds", "table")
_SETS = ("grid_to_mesh", "mesh", "mesh_to_grid")


class EdgeSet(eqx.Module):
    """Directed edges sorted by receiver.

    An edge's features are chord length and the sender's position relative to the receiver in the receiver's local
    frame, divided by the set's longest edge: row `kinds[edge]` of `table`. A mesh is invariant under a third of a turn
    about the poles, and so is a grid whose columns divide by three. Most features then occur three times, and values
    that depend on features alone are computed once per kind.
    """

    senders: Int[Array, " edge"]
    receivers: Int[Array, " edge"]
    kinds: Int[Array, " edge"]
    table: Float[Array, "kind 4"]

    @classmethod
    def sorted(cls, senders, receivers, features) -> "EdgeSet":
        """The set of edges given in any order, sorted by receiver, then sender."""
        order = np.lexsort((senders, receivers))
        senders, receivers = np.asarray(senders, np.int32)[order], np.asarray(receivers, np.int32)[order]
        features = np.asarray(features)[order]
        # Features equal by symmetry agree up to the rounding of float64; larger differences are another kind.
        _, first, kinds = np.unique(np.round(features * 2.0**32), axis=0, return_index=True, return_inverse=True)
        # Kinds are numbered by first occurrence, so that edges in order read the table nearly in order.
        rank = np.empty(len(first), np.int32)
        rank[np.argsort(first)] = np.arange(len(first))
        return cls(senders, receivers, rank[kinds.reshape(-1)], features[np.sort(first)].astype(np.float32))

    def is_within(self, senders: int, receivers: int) -> bool:
        """True if all indices of senders, receivers and kinds are in range."""
        pairs = ((self.senders, senders), (self.receivers, receivers), (self.kinds, len(self.table)))
        return all(np.min(ends) >= 0 and np.max(ends) < count for ends, count in pairs)

    @property
    def features(self) -> Float[Array, "edge 4"]:
        """The features of every edge."""
        return self.table[self.kinds]


class Graphs(eqx.Module):
    """The graphs of a model on grid and mesh; every field is an array, passed to compiled code as an argument.

    Grid nodes are in the grid's order, mesh nodes in the icosphere's. Node features are cos(colatitude),
    cos(longitude), sin(longitude). Each grid node receives from the three corners of the mesh triangle that contains
    it.
    """

    grid_to_mesh: EdgeSet
    mesh: EdgeSet
    mesh_to_grid: EdgeSet
    grid_features: Float[Array, "grid 3"]
    mesh_features: Float[Array, "mesh 3"]

    def __check_init__(self):
        receivers = np.asarray(self.mesh_to_grid.receivers)
        expected = np.repeat(np.arange(len(self.grid_features)), 3)
        if not np.array_equal(receivers, expected):
            raise ValueError("every grid node must receive from exactly three mesh nodes")


def build_graphs(
    grid: LatLonGrid,
    mesh_level: int,
    radius_fraction: float = 0.6,
    finest_only: bool = False,
    corner_length: float | None = None,
    cache: bool = True,
) -> Graphs:
    """The graphs of a grid and a mesh level: the multi-mesh of GraphCast, or with `finest_only` GenCast's mesh.

    Grid-to-mesh edges join every pair closer (by chord) than `radius_fraction` of the longest edge of the finest mesh.
    Features from mesh to grid are divided by `corner_length`, by default the longest edge. With `cache`, graphs are
    built once for each grid and setting and then read from the cache folder (AIRMASS_CACHE, or ~/.cache/airmass).
    """
    build = partial(_build, grid, mesh_level, radius_fraction, finest_only, corner_length)
    if not cache:
        return build()
    name = _cache_name(grid, f"{mesh_level} {radius_fraction!r} {finest_only} {corner_length!r}")
    return read_or_make(name, build, partial(_read, grid), _write)


def sphere_points(latitude: np.ndarray, longitude: np.ndarray) -> Float[np.ndarray, "node 3"]:
    """Points on the unit sphere from degrees north and east."""
    phi, lam = np.deg2rad(latitude), np.deg2rad(longitude)
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=-1)


def _rounded_points(grid: LatLonGrid) -> Float[np.ndarray, "node 3"]:
    """Points on the unit sphere with the rounding of float32 arithmetic, up to 1e-7 off.

    About one point in 160 at 1 degree is on the side of a triangle, where either triangle is right. The published code
    works in float32, and its weights were trained with the triangle that rounding chose.
    """
    latitude, longitude = (np.float32(values) for values in grid.nodes)
    theta, phi = np.deg2rad(90 - latitude), np.deg2rad(longitude)
    return _rounded(np.stack([np.cos(phi) * np.sin(theta), np.sin(phi) * np.sin(theta), np.cos(theta)], axis=-1))


def _rounded(points: np.ndarray) -> Float[np.ndarray, "node 3"]:
    return points.astype(np.float32).astype(np.float64)


def _build(
    grid: LatLonGrid, mesh_level: int, radius_fraction: float, finest_only: bool, corner_length: float | None
) -> Graphs:
    mesh = icosphere(mesh_level)
    points = sphere_points(*grid.nodes)
    radius = radius_fraction * mesh.longest_edge
    to_mesh = _within(points, mesh.vertices, radius)
    along = mesh.edges if finest_only else multi_mesh_edges(mesh_level)
    within = containing_faces(Mesh(_rounded(mesh.vertices), mesh.faces), _rounded_points(grid))
    to_grid = mesh.faces[within].reshape(-1), np.repeat(np.arange(grid.size), 3)
    return Graphs(
        _edge_set(points, mesh.vertices, *to_mesh),
        _edge_set(mesh.vertices, mesh.vertices, along[:, 0], along[:, 1]),
        _edge_set(mesh.vertices, points, *to_grid, corner_length),
        node_features(points),
        node_features(mesh.vertices),
    )


def _edge_set(sender_points, receiver_points, senders, receivers, length: float | None = None) -> EdgeSet:
    features = edge_features(sender_points, receiver_points, senders, receivers, length)
    return EdgeSet.sorted(senders, receivers, features)


def node_features(points: Float[np.ndarray, "node 3"]) -> Float[np.ndarray, "node 3"]:
    """cos(colatitude), cos(longitude), sin(longitude)."""
    longitude = np.arctan2(points[:, 1], points[:, 0])
    return np.stack([points[:, 2], np.cos(longitude), np.sin(longitude)], axis=-1).astype(np.float32)


def edge_features(
    sender_points, receiver_points, senders, receivers, longest: float | None = None
) -> Float[np.ndarray, "edge 4"]:
    """Chord length and relative position in a frame turned so that the receiver sits at (1, 0, 0).

    The turn is about z by minus the receiver's longitude, then about y down to the equator; all four numbers are
    divided by `longest`, by default the longest edge of the set.
    """
    receiver = receiver_points[receivers]
    x, y, z = (sender_points[senders] - receiver).T
    longitude = np.arctan2(receiver[:, 1], receiver[:, 0])
    sin_lat = receiver[:, 2]
    cos_lat = np.sqrt(np.maximum(0, 1 - sin_lat**2))
    east, north = np.cos(longitude) * x + np.sin(longitude) * y, -np.sin(longitude) * x + np.cos(longitude) * y
    local = np.stack([cos_lat * east + sin_lat * z, north, cos_lat * z - sin_lat * east], axis=-1)
    length = np.linalg.norm(local, axis=-1, keepdims=True)
    return np.concatenate([length, local], axis=-1) / (longest or length.max())


def containing_faces(mesh: Mesh, points: Float[np.ndarray, "node 3"], candidates: int = 8) -> Int[np.ndarray, " node"]:
    """The face whose cone from the centre of the sphere contains each point; on an edge, one of the two."""
    corners = mesh.vertices[mesh.faces]
    _, near = cKDTree(corners.mean(axis=1)).query(points, k=candidates)
    # A point inside a face is a positive combination of its corners; the best face has the largest smallest weight.
    to_weights = np.linalg.inv(corners.transpose(0, 2, 1))
    best = np.empty(len(points), np.int64)
    for block in range(0, len(points), 100_000):
        part = slice(block, block + 100_000)
        weights = np.einsum("nkij,nj->nki", to_weights[near[part]], points[part])
        best[part] = near[part][np.arange(len(weights)), weights.min(axis=-1).argmax(axis=-1)]
    return best


def _within(points: np.ndarray, vertices: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (grid node, mesh node) closer than `radius`."""
    neighbours = cKDTree(points).query_ball_point(vertices, radius)
    counts = [len(found) for found in neighbours]
    if not any(counts):
        raise InputError("model.radius_fraction is too small: no grid point is within this radius of a mesh node")
    return np.concatenate(neighbours).astype(np.int64), np.repeat(np.arange(len(vertices)), counts)


def _cache_name(grid: LatLonGrid, what: str) -> str:
    content = hashlib.sha256(grid.latitude.tobytes() + grid.longitude.tobytes())
    content.update(f"{what} {_VERSION}".encode())
    return f"graphs/{content.hexdigest()[:32]}.npz"


def _write(path: Path, graphs: Graphs) -> None:
    with new_output(path, replace=True) as aside:
        write_arrays(aside, _flatten(graphs))


def _read(grid: LatLonGrid, path: Path) -> Graphs:
    """Graphs read from a cached file; raises an exception of any type for a damaged one."""
    with np.load(path, allow_pickle=False) as stored:
        graphs = _unflatten(stored)
    nodes, mesh = len(graphs.grid_features), len(graphs.mesh_features)
    ends = ((graphs.grid_to_mesh, nodes, mesh), (graphs.mesh, mesh, mesh), (graphs.mesh_to_grid, mesh, nodes))
    within = all(edges.is_within(*counts) for edges, *counts in ends)
    if nodes != grid.size or not within:
        raise ValueError("graphs of another grid or mesh")
    return graphs


def _flatten(graphs: Graphs) -> dict[str, np.ndarray]:
    arrays = {f"{edges}.{array}": getattr(getattr(graphs, edges), array) for edges in _SETS for array in _ARRAYS}
    return arrays | {"grid_features": graphs.grid_features, "mesh_features": graphs.mesh_features}


def _unflatten(stored) -> Graphs:
    sets = {edges: EdgeSet(**{array: stored[f"{edges}.{array}"] for array in _ARRAYS}) for edges in _SETS}
    return Graphs(**sets, grid_features=stored["grid_features"], mesh_features=stored["mesh_features"])
