import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree


def nearest(
    points: NDArray[np.float64], k: int, query: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Distance and index, both [M, k], of the `k` points nearest to each query, nearest first.

    Without a `query` the points ask for themselves, and are their own first neighbour.
    1 <= k <= len(points). The points should be distinct: thousands of copies of one of them make
    the tree quadratic.
    """
    found = cKDTree(points).query(points if query is None else query, np.arange(1, k + 1))
    return np.asarray(found[0], np.float64), np.asarray(found[1], np.intp)
