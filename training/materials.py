"""Random but plausible colours for meshes, many of which come in one colour only."""

import colorsys

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from training.meshes import PackMesh

_KEEP_SINGLE = 0.15
_PER_PART = 0.6
_JITTER = 0.5


def recolour(mesh: PackMesh, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Face colours [F, 3] sRGB for one rendering of `mesh`.

    An object of one colour mostly gets new ones, often one per connected part (few colours for
    many parts); another keeps its own or has all of them shifted alike.
    """
    colors = mesh.face_colors
    single = bool((colors == colors[0]).all())
    if not single:
        return _jitter(colors, rng) if rng.random() < _JITTER else colors
    if rng.random() < _KEEP_SINGLE and int(colors[0].min()) < 250:
        return colors
    if rng.random() >= _PER_PART:
        return np.broadcast_to(_plausible(rng), colors.shape).copy()
    part = face_components(mesh.faces, len(mesh.vertices))
    n_parts = int(part.max()) + 1
    palette = np.stack([_plausible(rng) for _ in range(min(n_parts, int(rng.integers(2, 6))))])
    return palette[rng.integers(0, len(palette), n_parts)][part]


def face_components(faces: NDArray[np.int32], n_vertices: int) -> NDArray[np.int32]:
    """The connected part [F] of each face; faces are connected by the vertices they share."""
    rows = np.concatenate([faces[:, 0], faces[:, 0]])
    columns = np.concatenate([faces[:, 1], faces[:, 2]])
    ones = np.ones(len(rows), np.int8)
    links = coo_matrix((ones, (rows, columns)), (n_vertices, n_vertices))
    _, label = connected_components(links, directed=False)
    _, part = np.unique(label[faces[:, 0]], return_inverse=True)
    return part.astype(np.int32)


def _plausible(rng: np.random.Generator) -> NDArray[np.uint8]:
    """One sRGB colour: greys, woods and earths more often than pure hues."""
    kind = rng.random()
    if kind < 0.3:
        hsv = (rng.random(), rng.uniform(0, 0.08), rng.uniform(0.15, 1))
    elif kind < 0.55:
        hsv = (rng.uniform(0.04, 0.12), rng.uniform(0.2, 0.75), rng.uniform(0.25, 0.95))
    else:
        hsv = (rng.random(), rng.uniform(0.3, 0.95), rng.uniform(0.3, 1))
    return np.array([round(255 * c) for c in colorsys.hsv_to_rgb(*hsv)], np.uint8)


def _jitter(colors: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Turn hue a little (rarely by any angle), and scale saturation and brightness."""
    angle = rng.uniform(-np.pi, np.pi) if rng.random() < 0.2 else rng.normal(0, 0.15)
    # Rotation about the grey axis by Rodrigues' formula, then a pull towards grey.
    axis = np.full((3, 3), 1 / 3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    turn = axis + np.cos(angle) * (np.eye(3) - axis) + np.sin(angle) * cross
    saturation = axis + rng.uniform(0.6, 1.3) * (np.eye(3) - axis)
    matrix = (saturation @ turn * rng.uniform(0.75, 1.2)).astype(np.float32)
    shifted: NDArray[np.float32] = colors @ matrix.T
    return (shifted + np.float32(0.5)).clip(0, 255).astype(np.uint8)
