"""Meshes made fit for pictures: faces neither many too many nor too large to light by corners."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from geometry.frame import measure
from geometry.mesh import Mesh
from geometry.shading_normals import face_vectors, vertex_normals
from geometry.srgb import from_linear, to_linear

_FINEST_CELL, _COARSEST_CELL = 1 / 512, 1 / 48  # in diameters
_LONGEST_EDGE = 0.04  # in diameters; light and shadow are computed at corners
_MOST_SPLIT = 20_000  # faces; more are not split further


def used(mesh: Mesh) -> Mesh:
    """`mesh` without the vertices that belong to no face."""
    found = np.zeros(len(mesh.vertices), np.bool_)
    found[mesh.faces] = True
    if found.all():
        return mesh
    number = np.cumsum(found, dtype=np.int32) - 1
    return Mesh(
        mesh.vertices[found],
        number[mesh.faces],
        None if mesh.colors is None else mesh.colors[found],
        None if mesh.normals is None else mesh.normals[found],
    )


def facing_out(mesh: Mesh) -> tuple[Mesh, bool]:
    """`mesh`, faces turned outwards if it is closed, and whether it is.

    Merging and splitting keep a mesh closed.
    """
    faces = mesh.faces.astype(np.int64)
    start, end = faces.reshape(-1), np.roll(faces, -1, axis=1).reshape(-1)
    there, back = start * len(mesh.vertices) + end, end * len(mesh.vertices) + start
    if not np.array_equal(np.sort(there), np.sort(back)):
        return mesh, False
    middle = mesh.vertices.mean(axis=0)
    areas = face_vectors(mesh.vertices, mesh.faces)
    volume = ((mesh.vertices[mesh.faces[:, 0]] - middle) * areas).sum()
    return (mesh if volume >= 0 else replace(mesh, faces=mesh.faces[:, ::-1].copy())), True


def coarser(mesh: Mesh, most_faces: int) -> Mesh:
    """`mesh`; of more than `most_faces`, vertices merged in cells, so that about so many are left.

    Vertices that face different ways stay apart: thin parts keep both of their sides.
    """
    if len(mesh.faces) <= most_faces:
        return mesh
    frame = measure(mesh.vertices)
    placed = (mesh.vertices - frame.centre) * frame.scale + 0.5
    normals = vertex_normals(mesh) if mesh.normals is None else mesh.normals
    facing = np.abs(normals).argmax(axis=1)
    facing = 2 * facing + (np.take_along_axis(normals, facing[:, None], axis=1)[:, 0] < 0)
    # Surfaces of one square diameter take two faces per cell; most objects have one or two.
    cell = min(max((3 / most_faces) ** 0.5, _FINEST_CELL), _COARSEST_CELL)
    grid = (placed / cell).astype(np.int64)
    key = ((grid[:, 0] << 42) | (grid[:, 1] << 21) | grid[:, 2]) * 8 + facing
    _, group, size = np.unique(key, return_inverse=True, return_counts=True)
    weight = 1 / size

    def merged(values: NDArray[np.floating]) -> NDArray[np.float64]:
        sums = [np.bincount(group, column, minlength=len(size)) for column in values.T]
        return np.stack(sums, axis=1) * weight[:, None]

    faces = group[mesh.faces].astype(np.int32)
    kept = (faces != np.roll(faces, -1, axis=1)).all(axis=1)
    kept[0] |= not kept.any()  # a mesh has a face
    colors = None if mesh.colors is None else from_linear(merged(to_linear(mesh.colors)))
    return Mesh(merged(mesh.vertices).astype(np.float32), faces[kept], colors)


def finer(mesh: Mesh) -> Mesh:
    """`mesh` with each face split into four until edges are short, or faces many."""
    scale = measure(mesh.vertices).scale
    mesh = replace(mesh, normals=vertex_normals(mesh) if mesh.normals is None else mesh.normals)
    while 0 < len(mesh.faces) <= _MOST_SPLIT and _long_edge(mesh) * scale > _LONGEST_EDGE:
        mesh = _split(mesh)
    return mesh


def _long_edge(mesh: Mesh) -> float:
    """Longer than nine of ten edges."""
    starts, ends = mesh.vertices[mesh.faces], mesh.vertices[np.roll(mesh.faces, -1, axis=1)]
    return float(np.quantile(np.linalg.norm(ends - starts, axis=2), 0.9))


def _split(mesh: Mesh) -> Mesh:
    faces = mesh.faces.astype(np.int64)
    start, end = faces, np.roll(faces, -1, axis=1)
    key = np.minimum(start, end) * len(mesh.vertices) + np.maximum(start, end)
    edges, middle = np.unique(key, return_inverse=True)
    a, b = np.divmod(edges, len(mesh.vertices))
    middle = middle.reshape(-1, 3) + len(mesh.vertices)
    corners = [np.stack([faces[:, k], middle[:, k], middle[:, k - 1]], axis=1) for k in range(3)]

    def extended(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.concatenate([values, (values[a] + values[b]) / 2])

    colors, normals = mesh.colors, mesh.normals
    if colors is not None:
        colors = np.rint(extended(colors.astype(np.float32))).astype(np.uint8)
    if normals is not None:
        normals = extended(normals)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-6)
    return Mesh(
        extended(mesh.vertices),
        np.concatenate([*corners, middle]).astype(np.int32),
        colors,
        normals,
    )
