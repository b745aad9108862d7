"""The nearest points on the CPU by a tree: OpenCV's FLANN, and for float64 SciPy's.

Neither is asked to settle ties, or to be right in the last digit: a tree gives candidates, one more
than wanted, and is believed where that one is clearly farther. Distances are then computed anew.
"""

from collections.abc import Callable
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
_CLEARLY = {np.dtype(np.float32): 1 + 1e-5, np.dtype(np.float64): 1 + 1e-12}
_THREADS_FROM = 4096  # queries of a cloud, for which handing half to another thread pays

FloatArray = NDArray[np.floating]
IndexArray = NDArray[np.intp]
Search = Callable[[FloatArray, int], tuple[FloatArray, IndexArray]]


def knn(query: Tensor, points: Tensor, k: int, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
    """A tree for each cloud, two threads for its queries where there are many."""
    B, M, _ = query.shape
    # In NumPy throughout: PyTorch's threads would go on spinning on the cores of the next search.
    index = np.full((B, M, k), -1)
    least = np.full((B, M, k), np.inf, query.numpy().dtype)
    counts = [points.shape[1]] * B if lengths is None else lengths.tolist()
    for b, count in enumerate(counts):
        cloud = np.ascontiguousarray(points[b, :count].numpy())
        queries = np.ascontiguousarray(query[b].numpy())
        found = min(k, count)
        numbers = _nearest(queries, cloud, found)
        index[b, :, :found] = numbers
        least[b, :, :found] = _sq_dist(queries[:, None], cloud[numbers])
    return torch.from_numpy(index), torch.from_numpy(least)


def _nearest(queries: FloatArray, points: FloatArray, k: int) -> IndexArray:
    """[M, k] which of `points` [N, 3] are nearest to each of `queries` [M, 3], k <= N."""
    kept = _few_copies(points, k)
    few = points[kept]
    if len(few) == k or max(np.abs(queries).max(), np.abs(few).max()) > _LARGE:
        return np.asarray(kept[_searched(queries, few, k)])
    search = _tree(few)
    if len(queries) < _THREADS_FROM:
        return np.asarray(kept[_by_tree(search, queries, few, k)])
    halves = np.array_split(queries, 2)
    found = _pool().map(lambda half: _by_tree(search, half, few, k), halves)
    return np.asarray(kept[np.concatenate(list(found))])


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="kd-tree")


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
    order = np.argsort(_sq_dist(queries[:, None], points[index]), axis=1, kind="stable")
    return np.take_along_axis(index, order, axis=1)


def _searched(queries: FloatArray, points: FloatArray, k: int) -> IndexArray:
    """The same without a tree."""
    found = np.empty((len(queries), k), np.intp)
    rows = max(1, _BLOCK // len(points))
    for start in range(0, len(queries), rows):
        block = queries[start : start + rows]
        sq_dist = _sq_dist(block[:, None], points)
        last = np.partition(sq_dist, k - 1, axis=1)[:, k - 1 : k]
        nearer, equal = sq_dist < last, sq_dist == last
        room = k - nearer.sum(axis=1, keepdims=True)
        chosen = nearer | (equal & (equal.cumsum(axis=1) <= room))
        index = np.nonzero(chosen)[1].reshape(len(block), k)
        found[start : start + rows] = _sorted(block, points, index)
    return found


def _sq_dist(a: FloatArray, b: FloatArray) -> FloatArray:
    """Of rows [..., 3], in the order in which the reference adds up."""
    with np.errstate(over="ignore"):
        apart = np.square(a - b)
    return np.asarray(apart[..., 0] + apart[..., 1] + apart[..., 2])
