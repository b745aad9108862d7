"""Clouds and meshes with known answers. Unannotated: a test knows which attributes there are."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud

_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 2
_FACES = (
    np.array(
        ["013", "032", "467", "475", "045", "051", "237", "276", "026", "064", "157", "173"],
        dtype="S3",
    )
    .view("S1")
    .reshape(12, 3)
    .astype(np.int32)
)


def box(size=(1.0, 1.0, 1.0), centre=(0.0, 0.0, 0.0), color=(200, 100, 50)):
    """An axis-aligned box, faces outwards."""
    return boxes([(size, centre, color)])


def boxes(parts):
    """Several boxes as one mesh; each part is (size, centre, colour)."""
    vertices = [_CORNERS * np.array(size) + np.array(centre) for size, centre, _ in parts]
    faces = [_FACES + 8 * number for number in range(len(parts))]
    colors = [np.tile(np.array(color, np.uint8), (8, 1)) for _, _, color in parts]
    return Mesh(
        np.concatenate(vertices).astype(np.float32),
        np.concatenate(faces).astype(np.int32),
        np.concatenate(colors),
    )


def chair():
    """Seat and back, 5 cm thick, on four legs of 3 cm; the bounding sphere is near 1 m."""
    wood, dark = (150, 90, 50), (90, 55, 30)
    parts = [
        ((0.5, 0.05, 0.5), (0.0, 0.0, 0.0), wood),
        ((0.5, 0.5, 0.05), (0.0, 0.25, -0.22), wood),
    ]
    parts += [
        ((0.03, 0.45, 0.03), (x, -0.22, z), dark) for x in (-0.22, 0.22) for z in (-0.22, 0.22)
    ]
    return boxes(parts)


def sphere(count, rng, normals=True):
    """Points on the sphere of diameter 1, coloured by direction."""
    outward = rng.normal(size=(count, 3))
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    return PointCloud(
        (outward / 2).astype(np.float32),
        ((outward + 1) / 2 * 255).astype(np.uint8),
        outward.astype(np.float32) if normals else None,
    )


def known(shape):
    """`shape`, whose colours and normals are there: what the type checker cannot know."""
    return shape


def distances(query, points, k=1):
    """From each query to its k-th nearest point."""
    return np.asarray(cKDTree(points).query(query, [k])[0])[:, 0]


def edge_counts(faces: NDArray[np.integer]) -> tuple[set[int], set[int]]:
    """How many faces the edges have, and by how many more go one way than the other."""
    start, end = faces.reshape(-1), faces[:, [1, 2, 0]].reshape(-1)
    edges = np.stack([np.minimum(start, end), np.maximum(start, end)], axis=1)
    _, group, size = np.unique(edges, axis=0, return_inverse=True, return_counts=True)
    balance = np.bincount(group.reshape(-1), np.where(start < end, 1, -1))
    return set(size.tolist()), set(balance.astype(int).tolist())


def volume(mesh: Mesh) -> float:
    a, b, c = (mesh.vertices[mesh.faces[:, corner]].astype(np.float64) for corner in range(3))
    return float((a * np.cross(b, c)).sum() / 6)
