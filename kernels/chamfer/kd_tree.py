"""Nearest neighbours on the CPU by OpenCV's FLANN: half the time of SciPy's tree, in single
precision, which float64 clouds do not want, so they get SciPy's."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

_EXACT_TREE = {"algorithm": 4, "leaf_max_size": 10}  # FLANN_INDEX_KDTREE_SINGLE
_WITHOUT_LIMIT = {"checks": -1}
_MIX = np.array([1.0, np.sqrt(2), np.sqrt(3)])
_BLOCK = 1 << 16
_LARGE = 1e18  # FLANN makes nothing of squares that overflow single precision
_THREADS_FROM = 4096  # points in a search, for which handing it to another thread pays

FloatArray = NDArray[np.floating]
IndexArray = NDArray[np.intp]


def nearest_pairs(
    x: Tensor, y: Tensor, x_lengths: Tensor | None, y_lengths: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A tree for each cloud. Copies of a point are left out of it: a flood of them would make the
    tree as deep as it has points, and a search quadratic."""
    clouds_x, clouds_y = _clouds(x, x_lengths), _clouds(y, y_lengths)
    searches = [*zip(clouds_x, clouds_y, strict=True), *zip(clouds_y, clouds_x, strict=True)]
    if max((len(queries) for queries, _ in searches), default=0) < _THREADS_FROM:
        found = [_nearest(*search) for search in searches]
    else:
        found = list(_pool().map(_nearest, *zip(*searches, strict=True)))
    B = len(clouds_x)
    return (
        *_padded(x, clouds_x, clouds_y, found[:B]),
        *_padded(y, clouds_y, clouds_x, found[B:]),
    )


def _clouds(points: Tensor, lengths: Tensor | None) -> list[FloatArray]:
    rows = points.numpy()
    counts = [points.shape[1]] * len(rows) if lengths is None else lengths.tolist()
    return [np.ascontiguousarray(row[:count]) for row, count in zip(rows, counts, strict=True)]


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="kd-tree")


def _nearest(queries: FloatArray, points: FloatArray) -> IndexArray:
    """[N] which of `points` [M, 3] is nearest to each of `queries` [N, 3], lowest of equal ones."""
    first = _distinct(points)
    if len(first) == 1:
        return np.full(len(queries), first[0])
    if max(np.abs(queries).max(), np.abs(points).max()) > _LARGE:
        return _searched(queries, points)
    distance, index = _two_nearest(queries, points[first])
    found = first[index[:, 0]]
    tied = np.flatnonzero(distance[:, 0] == distance[:, 1])
    found[tied] = _searched(queries[tied], points)
    return found


def _searched(queries: FloatArray, points: FloatArray) -> IndexArray:
    """The same without a tree."""
    found = np.empty(len(queries), np.intp)
    rows = max(1, _BLOCK // len(points))
    for start in range(0, len(queries), rows):
        block = slice(start, start + rows)
        found[block] = _sq_dist(queries[block, None], points).argmin(axis=1)
    return found


def _distinct(points: FloatArray) -> IndexArray:
    """The numbers of the points that are not copies of earlier ones, rising."""
    # Sorting rows is slow; equal rows have equal sums, and other rows hardly ever do.
    if len(np.unique(points @ _MIX)) == len(points):
        return np.arange(len(points))
    return np.sort(np.unique(points, axis=0, return_index=True)[1])


def _two_nearest(queries: FloatArray, points: FloatArray) -> tuple[FloatArray, IndexArray]:
    if points.dtype == np.float64:
        distance, index = cKDTree(points).query(queries, k=2)
        return np.asarray(distance), np.asarray(index)
    tree = cv2.flann.Index(points, _EXACT_TREE)
    near, far = tree.knnSearch(queries, 2, params=_WITHOUT_LIMIT)
    return np.asarray(far), np.asarray(near, np.intp)


def _padded(
    x: Tensor, clouds: list[FloatArray], others: list[FloatArray], found: list[IndexArray]
) -> tuple[Tensor, Tensor]:
    """Squared distances and indices as [B, N] tensors.

    In NumPy: PyTorch's threads would go on spinning for milliseconds after such an operation, on
    the cores that the next search wants.
    """
    B, N, _ = x.shape
    index = np.full((B, N), -1)
    least = np.zeros((B, N), x.numpy().dtype)
    for b, (cloud, other, numbers) in enumerate(zip(clouds, others, found, strict=True)):
        index[b, : len(cloud)] = numbers
        least[b, : len(cloud)] = _sq_dist(cloud, other[numbers])
    return torch.from_numpy(least), torch.from_numpy(index)


def _sq_dist(a: FloatArray, b: FloatArray) -> FloatArray:
    """Of rows [..., 3], in the order in which the reference adds up."""
    with np.errstate(over="ignore"):
        apart = np.square(a - b)
    return np.asarray(apart[..., 0] + apart[..., 1] + apart[..., 2])
