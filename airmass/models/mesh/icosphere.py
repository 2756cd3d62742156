"""The icosphere: an icosahedron refined by splitting every triangle in four, and the multi-mesh of all its levels."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles on the unit sphere; faces are counter-clockwise seen from outside."""

    vertices: Float[np.ndarray, "vertex 3"]
    faces: Int[np.ndarray, "face 3"]

    @property
    def edges(self) -> Int[np.ndarray, "edge 2"]:
        """Every edge in both directions, as (sender, receiver)."""
        faces = self.faces
        # In a closed, oriented mesh, the three sides of all faces have each edge once in each direction.
        return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])

    @property
    def longest_edge(self) -> float:
        """Chord length of the longest edge."""
        sender, receiver = self.edges.T
        return float(np.linalg.norm(self.vertices[sender] - self.vertices[receiver], axis=-1).max())


@cache
def icosphere(level: int) -> Mesh:
    """The icosahedron refined `level` times: 10 * 4**level + 2 vertices, beginning with those of level - 1."""
    return _icosahedron() if level == 0 else _refine(icosphere(level - 1))


def multi_mesh_edges(level: int) -> Int[np.ndarray, "edge 2"]:
    """Directed edges of all levels together (Lam et al. 2023, supplement 3.2): 327,660 at level 6."""
    return np.concatenate([icosphere(n).edges for n in range(level + 1)])


def bisected(points: np.ndarray, block: int) -> Int[np.ndarray, " node"]:
    """An order of nodes in which every `block` of consecutive ones is compact: bisected along the longest axis."""
    order = []
    todo = [np.arange(len(points))]
    while todo:
        nodes = todo.pop()
        if len(nodes) <= block:
            order.append(nodes)
            continue
        centred = points[nodes] - points[nodes].mean(axis=0)
        _, axes = np.linalg.eigh(centred.T @ centred)
        ranked = nodes[np.argsort(centred @ axes[:, -1], kind="stable")]
        # The first half has whole blocks, so that only the last block is short.
        half = -(-len(nodes) // block) // 2 * block
        todo += [ranked[half:], ranked[:half]]
    return np.concatenate(order)


def _icosahedron() -> Mesh:
    golden = (1 + np.sqrt(5)) / 2
    corners = [(0.0, a, b * golden) for a in (-1, 1) for b in (-1, 1)]
    vertices = np.array([np.roll(corner, shift) for shift in range(3) for corner in corners])
    vertices /= np.linalg.norm(vertices[0])
    # Rotated about y so that two faces are parallel to the equator and no vertex is a pole, as in the published models.
    angle = (np.pi - 2 * np.arcsin(golden / np.sqrt(3))) / 2
    c, s = np.cos(angle), np.sin(angle)
    vertices = vertices @ np.array([[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]]).T
    return Mesh(vertices, _hull_faces(vertices))


def _hull_faces(vertices: np.ndarray) -> np.ndarray:
    """Triples of mutually nearest vertices, counter-clockwise seen from outside."""
    distance = np.linalg.norm(vertices[:, None] - vertices[None], axis=-1)
    near = np.isclose(distance, distance[distance > 0].min())
    faces = []
    for i in range(len(vertices)):
        for j in range(i + 1, len(vertices)):
            for k in range(j + 1, len(vertices)):
                if near[i, j] and near[j, k] and near[i, k]:
                    outward = np.linalg.det(vertices[[i, j, k]]) > 0
                    faces.append((i, j, k) if outward else (i, k, j))
    return np.array(faces)


def _refine(mesh: Mesh) -> Mesh:
    faces = mesh.faces
    sides = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    unique, inverse = np.unique(sides, axis=0, return_inverse=True)
    middles = mesh.vertices[unique].mean(axis=1)
    middles /= np.linalg.norm(middles, axis=-1, keepdims=True)
    ab, bc, ca = len(mesh.vertices) + inverse.reshape(3, -1)
    a, b, c = faces.T
    finer = np.stack([[a, ab, ca], [b, bc, ab], [c, ca, bc], [ab, bc, ca]]).transpose(0, 2, 1).reshape(-1, 3)
    return Mesh(np.concatenate([mesh.vertices, middles]), finer)
