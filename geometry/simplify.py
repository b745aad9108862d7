"""Fewer faces, and still a closed surface."""

import fast_simplification
import numpy as np
from numpy.typing import NDArray

from geometry.errors import GeometryError

Floats = NDArray[np.float64]
Faces = NDArray[np.int32]

_ROUNDS = 32


def simplified(vertices: Floats, faces: Faces, target_faces: int) -> tuple[Floats, Faces]:
    """A closed mesh with at most about `target_faces` faces; quadric edge collapses.

    Collapses can pinch the surface, so that an edge has four faces; such places are cut.

    Raises:
        GeometryError: nothing is left.
    """
    if len(faces) <= target_faces:
        return vertices, faces
    points, cut = cut_pinches(*_collapsed(vertices, faces, target_faces))
    if len(cut) == 0:
        raise GeometryError(f"target_faces: nothing is left of the surface at {target_faces}")
    return points, cut


def simplified_any(vertices: Floats, faces: Faces, target_faces: int) -> tuple[Floats, Faces]:
    """A mesh with at most about `target_faces` faces; it stays closed if it was.

    Raises:
        GeometryError: nothing is left.
    """
    if is_balanced(faces):
        return simplified(vertices, faces, target_faces)
    points, left = _collapsed(vertices, faces, target_faces)
    if len(left) == 0:
        raise GeometryError(f"target_faces: nothing is left of the surface at {target_faces}")
    return points, left


def _collapsed(vertices: Floats, faces: Faces, target_faces: int) -> tuple[Floats, Faces]:
    fewer, left = fast_simplification.simplify(
        vertices.astype(np.float32), faces, target_count=target_faces
    )
    return np.asarray(fewer, np.float64), np.asarray(left, np.int32)


def is_balanced(faces: Faces) -> bool:
    """Whether every edge has as many faces one way round as the other."""
    start, end = faces.reshape(-1).astype(np.int64), faces[:, [1, 2, 0]].reshape(-1)
    key = (np.minimum(start, end) << 32) | np.maximum(start, end)
    group = np.unique(key, return_inverse=True)[1].reshape(-1)
    return not np.bincount(group, np.sign(end - start)).any()


def cut_pinches(vertices: Floats, faces: Faces) -> tuple[Floats, Faces]:
    """The same closed surface with exactly two faces at every edge.

    Every edge must have as many faces one way as the other. Pairs of faces back to back vanish.
    Where several sheets still share an edge, all but one get a vertex of their own in its middle.
    """
    faces = _without_flaps(faces)
    for _ in range(_ROUNDS):
        pinched = _pinched_edges(faces)
        if not pinched:
            break
        points, rows, done = [vertices], faces.tolist(), set[int]()
        count = len(vertices)
        for half_edges in pinched:
            if done & set((half_edges // 3).tolist()):
                continue  # its faces have changed: next round
            for one, other in _paired_around(vertices, faces, half_edges)[1:]:
                points.append(_middle(vertices, faces, one))
                rows += [_split(rows, half_edge, count) for half_edge in (one, other)]
                count += 1
            done |= set((half_edges // 3).tolist())
        vertices, faces = np.vstack(points), np.array(rows, np.int32)
    used, renumbered = np.unique(faces, return_inverse=True)
    return vertices[used], renumbered.reshape(-1, 3).astype(np.int32)


def _without_flaps(faces: Faces) -> Faces:
    """`faces` less those that are lines, and less pairs that occur once each way round."""
    a, b, c = faces.T
    faces = faces[(a != b) & (b != c) & (c != a)]
    _, group = np.unique(np.sort(faces, axis=1), axis=0, return_inverse=True)
    group = group.reshape(-1)
    a, b, c = faces.T
    turn = np.where((a < b) ^ (b < c) ^ (c < a), 1, -1)  # even permutations against odd ones
    surplus = np.bincount(group, turn)[group]
    order = np.lexsort((turn, group))
    rank = np.empty(len(faces), np.int64)
    for way in (1, -1):
        mine = order[turn[order] == way]
        starts = np.flatnonzero(np.diff(group[mine], prepend=-1))
        rank[mine] = np.arange(len(mine)) - np.repeat(starts, np.diff(np.append(starts, len(mine))))
    kept: Faces = faces[(surplus * turn > 0) & (rank < np.abs(surplus))]
    return kept


def _pinched_edges(faces: Faces) -> list[NDArray[np.intp]]:
    """For each edge of more than two faces its half-edges, forward ones first.

    Half-edge 3f + k runs from vertex k of face f to the next.
    """
    start, end = faces.reshape(-1), faces[:, [1, 2, 0]].reshape(-1)
    key = (np.minimum(start, end).astype(np.int64) << 32) | np.maximum(start, end)
    order = np.lexsort((start > end, key))
    _, first, size = np.unique(key[order], return_index=True, return_counts=True)
    some = size > 2
    return [order[at : at + n] for at, n in zip(first[some], size[some], strict=True)]


def _paired_around(
    vertices: Floats, faces: Faces, half_edges: NDArray[np.intp]
) -> list[tuple[int, int]]:
    """Each forward half-edge of an edge with the backward one across their solid."""
    face, corner = np.divmod(half_edges, 3)
    tail, tip = faces[face[0], corner[0]], faces[face[0], (corner[0] + 1) % 3]
    axis = vertices[tip] - vertices[tail]
    axis = axis / max(float(np.linalg.norm(axis)), 1e-300)
    arm = vertices[faces[face, (corner + 2) % 3]] - vertices[tail]
    side = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    angle = np.arctan2(arm @ np.cross(axis, side), arm @ side)
    half = len(half_edges) // 2
    free = list(range(half, len(half_edges)))
    pairs = []
    for forward in range(half):
        # The solid of a forward face lies clockwise of it, seen against the axis.
        turn = (angle[forward] - angle[free]) % (2 * np.pi)
        backward = free.pop(int(np.argmin(turn)))
        pairs.append((int(half_edges[forward]), int(half_edges[backward])))
    return pairs


def _middle(vertices: Floats, faces: Faces, half_edge: int) -> Floats:
    face, corner = divmod(half_edge, 3)
    middle: Floats = vertices[faces[face, [corner, (corner + 1) % 3]]].mean(axis=0, keepdims=True)
    return middle


def _split(rows: list[list[int]], half_edge: int, middle: int) -> list[int]:
    """Shortens a face to one side of a new vertex on an edge, and returns the other side."""
    face, corner = divmod(half_edge, 3)
    a, b, c = (rows[face][(corner + step) % 3] for step in range(3))
    rows[face] = [a, middle, c]
    return [middle, b, c]
