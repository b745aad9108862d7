"""Ball query in NumPy: PyTorch's threads wait for each other on blocks of this size."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_BLOCK = 1 << 15  # distances held at a time


def ball_query(
    centers: Tensor, points: Tensor, sq_radius: float, max_neighbors: int, lengths: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Blocks of centres against the whole cloud."""
    B, M, _ = centers.shape
    index = np.zeros((B, M, max_neighbors), np.int64)
    count = np.zeros((B, M), np.int64)
    counts = [points.shape[1]] * B if lengths is None else lengths.tolist()
    for b, valid in enumerate(counts):
        columns = np.ascontiguousarray(points[b, :valid].numpy().T)  # [3, N]
        queries = centers[b].numpy()
        rows = max(1, _BLOCK // valid)
        sq_dist, square = (np.empty((rows, valid), columns.dtype) for _ in range(2))
        for start in range(0, M, rows):
            block = queries[start : start + rows]
            total, term = sq_dist[: len(block)], square[: len(block)]
            with np.errstate(over="ignore"):
                for axis in range(3):
                    out = term if axis else total
                    np.subtract(block[:, axis : axis + 1], columns[axis], out=out)
                    np.square(out, out=out)
                    if axis:
                        total += term
            found = slice(start, start + len(block))
            _first_hits(total < sq_radius, index[b, found], count[b, found])
    return torch.from_numpy(index), torch.from_numpy(count)


def _first_hits(hit: NDArray[np.bool_], index: NDArray[np.int64], count: NDArray[np.int64]) -> None:
    """Fill `index` [M, U] and `count` [M] for `hit` [M, N]."""
    M, N = hit.shape
    U = index.shape[1]
    row, column = np.divmod(np.flatnonzero(hit), N)  # by row, then by column
    if not len(column):
        return
    hits = np.bincount(row, minlength=M)
    count[:] = np.minimum(hits, U)
    place = np.arange(U)
    place = np.where(place < count[:, None], place, 0) + (hits.cumsum() - hits)[:, None]
    index[:] = np.where(count[:, None] > 0, column[np.minimum(place, len(column) - 1)], 0)
