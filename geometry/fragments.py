"""Connected pieces of a mesh."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geometry.shading_normals import face_vectors

_LEAST_SHARE = 0.01  # of all faces


def without_fragments(
    vertices: NDArray[np.float64], faces: NDArray[np.integer], distance: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """The mesh without its small pieces and without hollows that no point asked for.

    Args:
        vertices: [V, 3].
        faces: [F, 3], outward.
        distance: [V] from each vertex to the nearest point, in units of what counts as near.

    Returns:
        Vertices and faces that are left; unused vertices are gone. The largest piece stays.
    """
    count = len(vertices)
    edges = faces[:, [0, 1]].T.reshape(-1), faces[:, [1, 2]].T.reshape(-1)
    joined = coo_array((np.ones(2 * len(faces), np.int8), edges), shape=(count, count))
    pieces, piece = connected_components(joined.tocsr(), directed=False)
    of_face = piece[faces[:, 0]]
    size = np.bincount(of_face, minlength=pieces)
    volume = np.bincount(of_face, six_volumes(vertices, faces), minlength=pieces)
    strays = np.bincount(piece, distance > 1, minlength=pieces)
    near = strays < 0.5 * np.bincount(piece, minlength=pieces)
    keep = (size >= _LEAST_SHARE * len(faces)) & near
    keep[size.argmax()] = True
    # A hollow's faces look inwards: its volume is negative.
    keep &= (volume > 0) | near
    kept_faces = faces[keep[of_face]]
    used, renumbered = np.unique(kept_faces, return_inverse=True)
    return vertices[used], renumbered.reshape(-1, 3).astype(np.int32)


def six_volumes(vertices: NDArray[np.float64], faces: NDArray[np.integer]) -> NDArray[np.float64]:
    """[F] six times the signed volume between each face and the origin."""
    towards = face_vectors(vertices, faces)
    volumes: NDArray[np.float64] = (vertices[faces[:, 0]] * towards).sum(axis=1)
    return volumes
