"""The three nearest by a tree of the centres: OpenCV's, or SciPy's for float64, which it lacks."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from kernels.three_nn_interpolate import tiled

_EXACT_TREE = {"algorithm": 4, "leaf_max_size": 10}  # FLANN_INDEX_KDTREE_SINGLE
_WITHOUT_LIMIT = {"checks": -1}
_MIX = np.array([1.0, np.sqrt(2), np.sqrt(3)])
_LARGE = 1e18  # FLANN makes nothing of squares that overflow single precision
_THREADS_FROM = 4096  # points, for which handing half of them to another thread pays
_ASKED = 4  # the fourth shows whether the third has an equal

FloatArray = NDArray[np.floating]
IndexArray = NDArray[np.intp]


def three_nearest(points: Tensor, centers: Tensor) -> tuple[Tensor, Tensor]:
    """Points whose four nearest are not clearly in order are searched without the tree."""
    B, N, _ = points.shape
    least = points.new_empty(B, N, 3)
    index = torch.empty(B, N, 3, dtype=torch.int64)
    for b in range(B):
        cloud, others = points[b].contiguous(), centers[b].contiguous()
        if not _fit_for_a_tree(cloud.numpy(), others.numpy()):
            least[b], index[b] = (
                each[0] for each in tiled.three_nearest(cloud[None], others[None])
            )
            continue
        sq_dist, near = _four_nearest(cloud.numpy(), others.numpy())
        least[b], index[b] = torch.from_numpy(sq_dist[:, :3]), torch.from_numpy(near[:, :3])
        unclear = torch.from_numpy(np.flatnonzero((sq_dist[:, 1:] <= sq_dist[:, :-1]).any(axis=1)))
        if len(unclear):
            again = tiled.three_nearest(cloud[None, unclear], others[None])
            least[b, unclear], index[b, unclear] = (each[0] for each in again)
    return least, index


def _fit_for_a_tree(queries: FloatArray, centers: FloatArray) -> bool:
    """A flood of copies would make the tree as deep as it has points, and a search quadratic."""
    if len(centers) < _ASKED or max(np.abs(queries).max(), np.abs(centers).max()) > _LARGE:
        return False
    # Equal rows have equal sums, and other rows hardly ever do.
    return len(np.unique(centers @ _MIX)) == len(centers)


def _four_nearest(queries: FloatArray, centers: FloatArray) -> tuple[FloatArray, IndexArray]:
    """Squared distances [N, 4], added up in the order of the reference, and indices."""
    if centers.dtype == np.float64:
        search = partial(_by_scipy, cKDTree(centers))
    else:
        search = partial(_by_opencv, cv2.flann.Index(centers, _EXACT_TREE))
    if len(queries) < _THREADS_FROM:
        near = search(queries)
    else:
        near = np.concatenate(list(_pool().map(search, np.array_split(queries, 2))))
    apart = np.square(queries[:, None] - centers[near])
    return apart[..., 0] + apart[..., 1] + apart[..., 2], near


def _by_scipy(tree: cKDTree, queries: FloatArray) -> IndexArray:
    return np.asarray(tree.query(queries, k=_ASKED)[1])


def _by_opencv(tree: cv2.flann.Index, queries: FloatArray) -> IndexArray:
    near, _ = tree.knnSearch(queries, _ASKED, params=_WITHOUT_LIMIT)
    return np.asarray(near, np.intp)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="three-nearest")
