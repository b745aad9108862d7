"""Nearest points on the CPU by a tree: OpenCV's FLANN, and for float64 SciPy's.

Neither is asked to settle ties, or to be right in the last digit: a tree gives candidates, one more
than wanted, and is believed where that one is clearly farther. All in NumPy: PyTorch's threads
would go on spinning for milliseconds after an operation, on the cores that the next search wants.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

_EXACT_TREE = {"algorithm": 4, "leaf_max_size": 10}  # FLANN_INDEX_KDTREE_SINGLE
_WITHOUT_LIMIT = {"checks": -1}
_MIX = np.array([1.0, np.sqrt(2), np.sqrt(3)])
_BLOCK = 1 << 16
_LARGE = 1e18  # FLANN makes nothing of squares that overflow single precision
_CLEARLY = {np.dtype(np.float32): 1 + 1e-5, np.dtype(np.float64): 1 + 1e-12}
_THREADS_FROM = 4096  # queries of a cloud, for which handing half to another thread pays

FloatArray = NDArray[np.floating]
IndexArray = NDArray[np.intp]
Search = Callable[[FloatArray, int], tuple[FloatArray, IndexArray]]


def clouds(points: Tensor, lengths: Tensor | None) -> list[FloatArray]:
    """The valid points of each cloud of [B, N, 3]."""
    rows = points.numpy()
    counts = [points.shape[1]] * len(rows) if lengths is None else lengths.tolist()
    return [np.ascontiguousarray(row[:count]) for row, count in zip(rows, counts, strict=True)]


def nearest(searches: Sequence[tuple[FloatArray, FloatArray]], k: int) -> list[IndexArray]:
    """Of each search, `queries` [M, 3] in `points` [N, 3], the numbers [M, k] of the nearest.

    Nearest first, lowest of equal ones, by distances as `sq_dist` has them; where a cloud has fewer
    than k points, as many as it has. Large searches share two threads.
    """
    if max((len(queries) for queries, _ in searches), default=0) < _THREADS_FROM:
        return [_found(queries, _Cloud(points, k)) for queries, points in searches]
    if len(searches) > 1:
        return list(_pool().map(lambda search: _found(search[0], _Cloud(search[1], k)), searches))
    ((queries, points),) = searches
    cloud = _Cloud(points, k)
    halves = _pool().map(lambda half: _found(half, cloud), np.array_split(queries, 2))
    return [np.concatenate(list(halves))]


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="kd-tree")


class _Cloud:
    """Points to search for the `k` nearest, and a tree of them where one is safe."""

    def __init__(self, points: FloatArray, k: int) -> None:
        self.k = min(k, len(points))
        self.kept = _few_copies(points, self.k)
        self.points = points[self.kept]
        fit = len(self.points) > self.k and np.abs(self.points).max() <= _LARGE
        self.search = _tree(self.points) if fit else None


def _found(queries: FloatArray, cloud: _Cloud) -> IndexArray:
    if cloud.search is None or np.abs(queries).max() > _LARGE:
        index = _searched(queries, cloud.points, cloud.k)
    else:
        index = _by_tree(cloud.search, queries, cloud.points, cloud.k)
    return np.asarray(cloud.kept[index])


def _few_copies(points: FloatArray, k: int) -> IndexArray:
    """The numbers of the points that are not copies of k earlier ones, rising.

    No answer has others, and a flood of copies would make the tree as deep as it has points.
    """
    # Sorting rows is slow; equal rows have equal sums, and other rows hardly ever do.
    if len(np.unique(points @ _MIX)) == len(points):
        return np.arange(len(points))
    group = np.unique(points, axis=0, return_inverse=True)[1].reshape(-1)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    rank = np.arange(len(points)) - np.repeat(starts, np.diff(starts, append=len(points)))
    return np.sort(order[rank < k])


def _tree(points: FloatArray) -> Search:
    if points.dtype == np.float64:
        tree = cKDTree(points)

        def in_double(queries: FloatArray, k: int) -> tuple[FloatArray, IndexArray]:
            far, near = tree.query(queries, k=k)
            return np.asarray(far), np.asarray(near)

        return in_double
    index = cv2.flann.Index(points, _EXACT_TREE)

    def search(queries: FloatArray, k: int) -> tuple[FloatArray, IndexArray]:
        near, far = index.knnSearch(queries, k, params=_WITHOUT_LIMIT)
        return np.asarray(far), np.asarray(near, np.intp)

    return search


def _by_tree(search: Search, queries: FloatArray, points: FloatArray, k: int) -> IndexArray:
    index = np.empty((len(queries), k), np.intp)
    rows = np.arange(len(queries))
    clearly = _CLEARLY[points.dtype]
    for reach in (k + 1, 4 * k + 4):
        reach = min(reach, len(points))
        far, near = search(queries[rows], reach)
        sure = (far[:, -1] > far[:, k - 1] * clearly) | (reach == len(points))
        ordered = (far[:, 1:] > far[:, :-1] * clearly).all(axis=1)
        index[rows[ordered]] = near[ordered, :k]
        again = sure & ~ordered
        index[rows[again]] = _sorted(queries[rows[again]], points, near[again])[:, :k]
        rows = rows[~sure]
        if not len(rows):
            return index
    index[rows] = _searched(queries[rows], points, k)
    return index


def _sorted(queries: FloatArray, points: FloatArray, index: IndexArray) -> IndexArray:
    """Each query's points [M, k] by distance, then by index."""
    index = np.sort(index, axis=1)
    order = np.argsort(sq_dist(queries[:, None], points[index]), axis=1, kind="stable")
    return np.take_along_axis(index, order, axis=1)


def _searched(queries: FloatArray, points: FloatArray, k: int) -> IndexArray:
    """The same without a tree."""
    found = np.empty((len(queries), k), np.intp)
    rows = max(1, _BLOCK // len(points))
    for start in range(0, len(queries), rows):
        block = queries[start : start + rows]
        apart = sq_dist(block[:, None], points)
        last = np.partition(apart, k - 1, axis=1)[:, k - 1 : k]
        nearer, equal = apart < last, apart == last
        room = k - nearer.sum(axis=1, keepdims=True)
        chosen = nearer | (equal & (equal.cumsum(axis=1) <= room))
        index = np.nonzero(chosen)[1].reshape(len(block), k)
        found[start : start + rows] = _sorted(block, points, index)
    return found


def sq_dist(a: FloatArray, b: FloatArray) -> FloatArray:
    """Of rows [..., 3], in the order in which the reference adds up."""
    with np.errstate(over="ignore"):
        apart = np.square(a - b)
    return np.asarray(apart[..., 0] + apart[..., 1] + apart[..., 2])
