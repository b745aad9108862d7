"""Which side of a cloud's surface is outside."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

_CAMERA = np.array([0.0, 0.0, 1.0])  # the side that was seen best
_GRAPH_NEIGHBORS = 10
_PATCH_COST = 0.01  # edges of the tree up to this cost join points that surely agree
_DIRECTION_PAIRS = 16
_FINEST_CELL = 1 / 128  # of the bounding sphere: bounds the depth buffers


def outward_signs(points: Floats, normals: Floats, distance: Floats, index: Indices) -> Floats:
    """[N] of -1 and 1 that make unit `normals` [N, 3] face outwards.

    `points` [N, 3] lie in a sphere of diameter 1; `distance` and `index` [N, k] are their nearest
    neighbours, themselves first.

    Signs are propagated along a minimum spanning tree (Hoppe et al. 1992, with mirrored normals
    as in Xie et al. 2003). That alone goes astray at edges and thin parts, so the tree is cut
    into smooth patches, and each patch is turned to the side from which its points can be seen
    in depth buffers from all around. Patches that are seen equally from both sides, or from
    nowhere, keep the tree's sign; a whole part that is undecided faces the camera.
    """
    near = min(_GRAPH_NEIGHBORS + 1, index.shape[1])
    tree = _spanning_tree(points, normals, distance[:, 1:near], index[:, 1:near])
    parts, labels = connected_components(tree, directed=False)
    part = labels.astype(np.intp)
    signs = _propagate(points, normals, tree, part)
    edges = tree.tocoo()
    sure = edges.data <= _PATCH_COST
    smooth = coo_array((edges.data[sure], (edges.row[sure], edges.col[sure])), shape=tree.shape)
    patches, patch = connected_components(smooth.tocsr(), directed=False)

    area = distance[:, near - 1] ** 2  # of the surface a point stands for, but for a factor
    facing = normals * signs[:, None]
    open_side = _open_side(points, 0.6 * float(np.median(distance[:, near // 2])))
    vote = area * (facing * open_side).sum(axis=1)
    part_vote = np.bincount(part, vote, minlength=parts)
    undecided = np.abs(part_vote) <= 0.02 * np.bincount(part, area, minlength=parts)
    part_vote = np.where(undecided, np.bincount(part, area * (facing @ _CAMERA)), part_vote)
    patch_vote = np.bincount(patch, vote, minlength=patches)
    strength = area * (0.2 * np.linalg.norm(open_side, axis=1) + 0.02)
    decided = np.abs(patch_vote) > np.bincount(patch, strength, minlength=patches)
    total = np.where(decided[patch], patch_vote[patch], part_vote[part])
    return np.where(total < 0, -signs, signs)


def _mirror(normals: Floats, step: Floats) -> Floats:
    """`normals` mirrored in planes across the unit `step` that leads to another point.

    Exactly the other point's normal on a sphere, and right for the two faces of a thin plate,
    where comparing the normals themselves goes wrong.
    """
    mirrored: Floats = normals - 2 * step * (normals * step).sum(axis=1, keepdims=True)
    return mirrored


def _steps(points: Floats, source: Indices, target: Indices) -> Floats:
    step = points[target] - points[source]
    unit: Floats = step / np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1e-300)
    return unit


def _spanning_tree(
    points: Floats, normals: Floats, distance: Floats, index: Indices
) -> csr_array[np.float64]:
    count, near = index.shape
    source, target = np.repeat(np.arange(count), near), index.reshape(-1)
    step = _steps(points, source, target)
    agreement = (_mirror(normals[source], step) * normals[target]).sum(axis=1)
    # Steps along the normals leave the surface: the last resort.
    steep = (normals[source] * step).sum(axis=1) ** 2 + (normals[target] * step).sum(axis=1) ** 2
    cost = 1.0 - np.abs(agreement) + steep + 1e-6  # a stored zero would be no edge
    graph = coo_array((cost, (source, target)), shape=(count, count)).tocsr()
    return csr_array(minimum_spanning_tree(graph.maximum(graph.T)))


def _propagate(
    points: Floats, normals: Floats, tree: csr_array[np.float64], part: Indices
) -> Floats:
    """[N] signs that agree along the tree, from one point of each part."""
    count = len(points)
    seeds = np.unique(part, return_index=True)[1]
    edges = tree.tocoo()
    # One more node, joined to a seed of every part, makes the forest one tree.
    rows = np.concatenate([edges.row, np.full(len(seeds), count)])
    columns = np.concatenate([edges.col, seeds])
    forest = coo_array((np.ones(len(rows)), (rows, columns)), shape=(count + 1, count + 1))
    parent = breadth_first_order(forest.tocsr(), count, directed=False)[1].astype(np.intp)
    parent[count] = count
    child = np.flatnonzero(parent[:count] < count)
    above = parent[child]
    expected = _mirror(normals[above], _steps(points, above, child))
    signs = np.ones(count + 1)
    signs[child] = np.where((expected * normals[child]).sum(axis=1) < 0, -1.0, 1.0)
    # The product of all signs up to the root, by pointer doubling.
    for _ in range(count.bit_length() + 1):
        signs *= signs[parent]
        parent = parent[parent]
    return signs[:count]


def _open_side(points: Floats, cell: float) -> Floats:
    """[N, 3]: mean of the directions from which each point can be seen, times 2.

    Zero for points seen from nowhere, or equally from opposite sides.
    """
    cell = max(cell, _FINEST_CELL)
    seen = np.zeros_like(points)
    for direction in _half_sphere(_DIRECTION_PAIRS):
        side = np.cross(direction, np.eye(3)[np.argmin(np.abs(direction))])
        side /= np.linalg.norm(side)
        axes = np.stack([side, np.cross(direction, side)], axis=1)
        column = np.floor((points @ axes + 0.5) / cell).astype(np.intp) + 2
        width = int(np.ceil(1 / cell)) + 4
        pixel = column[:, 0] * width + column[:, 1]
        depth = points @ direction
        for sign in (1.0, -1.0):
            front = _depth_buffer(pixel, sign * depth, width)
            visible = sign * depth > front[pixel] - 1.5 * cell
            seen += (sign * visible)[:, None] * direction
    return seen / _DIRECTION_PAIRS


def _depth_buffer(pixel: Indices, depth: Floats, width: int) -> Floats:
    """Greatest depth per pixel, each point drawn as a plus of five pixels."""
    front = np.full(width * width, -np.inf)
    for offset in (0, 1, -1, width, -width):
        np.maximum.at(front, pixel + offset, depth)
    return front


def _half_sphere(count: int) -> Floats:
    """[count, 3] unit directions, no two opposite, evenly spread (Fibonacci)."""
    k = np.arange(count) + 0.5
    z = 1 - k / count
    turn = np.pi * (1 + 5**0.5) * k
    ring = np.sqrt(1 - z * z)
    return np.stack([ring * np.cos(turn), ring * np.sin(turn), z], axis=1)
