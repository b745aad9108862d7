"""What can be said of a mesh without knowing the true surface."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geometry.closest_point import distances_to_faces
from geometry.errors import GeometryError
from geometry.frame import measure
from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud
from geometry.shading_normals import face_vectors

_MOST_POINTS = 8192  # more would not change the mean in its third digit


@dataclass(frozen=True, slots=True)
class MeshQuality:
    """A report on one mesh.

    Attributes:
        watertight: every edge has exactly two faces, one each way round.
        components: pieces that share no vertex.
        faces: all of the mesh, those without area included.
        mean_distance: from the points of the cloud to the surface, in diameters of the cloud's
            bounding sphere.
    """

    watertight: bool
    components: int
    faces: int
    mean_distance: float


def measure_quality(mesh: Mesh, cloud: PointCloud) -> MeshQuality:
    """The report on `mesh` as a surface of `cloud`, which is in the same frame.

    Vertices at one position count as one, and faces without area count only as faces. Of more
    than 8,192 points every n-th is measured. Deterministic.

    Raises:
        GeometryError: no face has an area.
    """
    vertices, joined = np.unique(mesh.vertices, axis=0, return_inverse=True)
    faces = joined.reshape(-1)[mesh.faces]
    faces = faces[face_vectors(vertices, faces).any(axis=1)]
    if len(faces) == 0:
        raise GeometryError("the mesh has no area: there is no surface to measure")
    every = -(-len(cloud) // _MOST_POINTS)
    frame = measure(cloud.positions)
    points = (cloud.positions[::every].astype(np.float64) - frame.centre) * frame.scale
    placed = (vertices.astype(np.float64) - frame.centre) * frame.scale
    return MeshQuality(
        watertight=is_watertight(faces),
        components=_components(faces),
        faces=len(mesh.faces),
        mean_distance=float(distances_to_faces(points, placed, faces).mean()),
    )


def is_watertight(faces: NDArray[np.integer]) -> bool:
    """Whether every edge of faces [F, 3] has exactly two faces, one each way round."""
    start, end = faces.reshape(-1).astype(np.int64), faces[:, [1, 2, 0]].reshape(-1)
    edges = np.sort((start << 32) | end)
    reverse = np.sort((end << 32) | start)
    return bool((np.diff(edges) > 0).all() and np.array_equal(edges, reverse))


def _components(faces: NDArray[np.integer]) -> int:
    used, renumbered = np.unique(faces, return_inverse=True)
    corner = renumbered.reshape(-1, 3)
    edges = corner[:, [0, 1]].T.reshape(-1), corner[:, [1, 2]].T.reshape(-1)
    ones = np.ones(len(edges[0]), np.int8)
    joined = coo_array((ones, edges), shape=(len(used), len(used)))
    return int(connected_components(joined.tocsr(), directed=False)[0])
