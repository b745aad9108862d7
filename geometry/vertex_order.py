"""Orders of triangles and vertices in which neighbours follow each other, for compression."""

import numpy as np
from numpy.typing import NDArray

_GRID_BITS = 10  # per axis, of the curve's grid


def order_triangles(faces: NDArray[np.integer]) -> NDArray[np.intp]:
    """[F]: a walk over `faces` [F, 3] that goes on across the edge met last.

    Where there is no way on it goes back to the last edge left open, and to the first face left
    in the list when there is none. So it winds along the border of what it has covered, where
    the mesh's vertices are met again in the order in which they were met first.
    """
    count = len(faces)
    size = int(faces.max()) + 1
    a, b, c = (faces[:, corner].astype(np.int64) for corner in range(3))
    keys = np.concatenate([a * size + b, b * size + c, c * size + a]).tolist()
    apexes = np.concatenate([c, a, b]).tolist()
    # Where more than one face has an edge in the same sense, the others are met by other ways.
    owners = dict(zip(keys, range(3 * count), strict=True))
    done = bytearray(count)
    order: list[int] = []
    edges: list[int] = []
    for first, (a, b, c) in enumerate(faces.tolist()):
        if done[first]:
            continue
        done[first] = 1
        order.append(first)
        edges += (b * size + a, c * size + b, a * size + c)
        while edges:
            key = edges.pop()
            owner = owners.get(key)
            if owner is None or done[owner % count]:
                continue
            done[owner % count] = 1
            order.append(owner % count)
            start, end = divmod(key, size)
            edges += (apexes[owner] * size + end, start * size + apexes[owner])
    return np.array(order, np.intp)


def first_use(faces: NDArray[np.integer]) -> NDArray[np.intp]:
    """The vertices that `faces` [F, 3] use, in the order of their first use."""
    used, first = np.unique(faces.reshape(-1), return_index=True)
    in_order: NDArray[np.intp] = used[np.argsort(first)]
    return in_order


def order_points(positions: NDArray[np.floating]) -> NDArray[np.intp]:
    """[N]: `positions` [N, 3] along a Z-order curve through their box; ties keep their order."""
    exact = positions.astype(np.float64)
    low = exact.min(axis=0)
    extent = float((exact.max(axis=0) - low).max())
    cells = np.zeros(exact.shape, np.int64)
    if extent > 0:
        cells = ((exact - low) / extent * (2**_GRID_BITS - 1)).astype(np.int64)
    code = np.zeros(len(cells), np.int64)
    for bit in range(_GRID_BITS):
        for axis in range(3):
            code |= (cells[:, axis] >> bit & 1) << (3 * bit + axis)
    return np.argsort(code, kind="stable")
