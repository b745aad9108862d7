"""Normals of meshes, and the repair that file formats need."""

import numpy as np
from numpy.typing import NDArray

from geometry.mesh import Mesh


def face_vectors(vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> NDArray[np.float64]:
    """[F, 3]: normal of each face, as long as twice its area; outwards for outward faces."""
    a, b, c = (vertices[faces[:, corner]].astype(np.float64) for corner in range(3))
    return np.cross(b - a, c - a)


def vertex_normals(mesh: Mesh) -> NDArray[np.float32]:
    """[V, 3] unit normals: faces around a vertex, weighted by area.

    Vertices of no face, or of faces without area, point away from the centre of the box.
    """
    areas = face_vectors(mesh.vertices, mesh.faces)
    corners = mesh.faces.reshape(-1)
    summed = np.empty((len(mesh.vertices), 3))
    for axis in range(3):
        weights = np.repeat(areas[:, axis], 3)
        summed[:, axis] = np.bincount(corners, weights, minlength=len(summed))
    return repair_normals(summed, mesh.vertices)


def repair_normals(
    normals: NDArray[np.floating], positions: NDArray[np.floating]
) -> NDArray[np.float32]:
    """`normals` [N, 3] at unit length; zero ones point away from the centre of the box.

    A zero normal at the centre itself becomes +Z, towards the camera.
    """
    exact = normals.astype(np.float64)
    length = np.linalg.norm(exact, axis=1, keepdims=True)
    lost = length[:, 0] == 0
    if lost.any():
        spread = positions.astype(np.float64)
        outward = spread[lost] - (spread.min(axis=0) + spread.max(axis=0)) / 2
        outward[~outward.any(axis=1)] = (0.0, 0.0, 1.0)
        exact[lost] = outward
        length[lost] = np.linalg.norm(outward, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (exact / length).astype(np.float32)
    return unit
