"""The z-buffer on the CPU in NumPy: discs are painted from the farthest to the nearest, so that the
last to be written is the one that is seen. PyTorch's scattered minima take longer."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_MOST_TESTS = 1 << 16  # of pixels against discs at a time: bounds the memory, fits the cache
_FAR = 1e30
_SLACK = 2.0**-20  # of the numbers that a window is made of: eight times their rounding

Floats = NDArray[np.floating]
Indices = NDArray[np.int64]


def rasterize_points(
    points: Tensor, radius: float | Tensor, H: int, W: int
) -> tuple[Tensor, Tensor]:
    B, N, _ = points.shape
    clouds = points.numpy()
    radii = radius.numpy() if isinstance(radius, Tensor) else np.full((B, N), radius, clouds.dtype)
    index = np.full((B, H * W), -1)
    depth = np.full((B, H * W), np.inf, clouds.dtype)
    for b in range(B):
        # Far away squares overflow to infinity, which is right.
        with np.errstate(over="ignore"):
            picture = _Picture(clouds[b], radii[b], H, W)
            picture.paint(_far_to_near(clouds[b, :, 2]))
        seen = np.flatnonzero(picture.index >= 0)
        index[b] = picture.index
        depth[b, seen] = clouds[b, picture.index[seen], 2]
    return torch.from_numpy(index).view(B, H, W), torch.from_numpy(depth).view(B, H, W)


def pixels_of_points(index: Tensor, N: int) -> Tensor:
    """See `kernels.point_rasterize.pixels_of_points`; `index` is [B, H * W]."""
    found = np.full((len(index), N), -1)
    for row, of_points in zip(index.numpy(), found, strict=True):
        seen = np.flatnonzero(row >= 0)
        of_points[row[seen]] = seen  # rising, and the last stays
    return torch.from_numpy(found)


class _Picture:
    """Numbers of points by pixel, `index` [H * W]. x, y and radii are in half pixels, in which
    centres of pixels are whole numbers."""

    def __init__(self, cloud: Floats, radii: Floats, H: int, W: int) -> None:
        self.H, self.W = H, W
        side = cloud.dtype.type(min(H, W))
        self.x, self.y, reach = cloud[:, 0] * side, cloud[:, 1] * side, radii * side
        self.left, self.columns = _window(self.x, reach, W)
        self.top, self.rows = _window(self.y, reach, H)
        self.sq_reach = np.square(reach)
        self.buffer = np.full(H * W + 1, -1)  # the last is for what misses
        self.index = self.buffer[:-1]

    def paint(self, order: Indices) -> None:
        """Halves of too many points are painted one after the other: few have to share the window
        of a large one."""
        rows, columns = self.rows[order].max(initial=0), self.columns[order].max(initial=0)
        if len(order) > 1 and len(order) * int(rows) * int(columns) > _MOST_TESTS:
            self.paint(order[: len(order) // 2])
            self.paint(order[len(order) // 2 :])
            return
        column = self.left[order, None] + np.arange(columns, dtype=np.int32)
        row = self.top[order, None] + np.arange(rows, dtype=np.int32)
        across = np.square((self.W - 1 - 2 * column).astype(self.x.dtype) - self.x[order, None])
        up = np.square((self.H - 1 - 2 * row).astype(self.y.dtype) - self.y[order, None])
        across[column >= self.W] = np.inf
        up[row >= self.H] = np.inf
        covered = up[:, :, None] + across[:, None] < self.sq_reach[order, None, None]
        pixel = row[:, :, None] * np.int32(self.W) + column[:, None]
        self.buffer[np.where(covered, pixel, self.H * self.W)] = order[:, None, None]


def _window(x: Floats, reach: Floats, size: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The first pixel along a side that each disc may cover, and how many there are."""
    x, reach = np.clip(x, -_FAR, _FAR), np.minimum(reach, x.dtype.type(_FAR))
    reach = reach + (size + np.abs(x) + reach) * x.dtype.type(_SLACK)
    first = np.clip(np.ceil((size - 1 - x - reach) / 2), 0, size).astype(np.int32)
    last = np.clip(np.floor((size - 1 - x + reach) / 2), -1, size - 1).astype(np.int32)
    return first, np.maximum(last - first + 1, 0)


def _far_to_near(z: Floats) -> Indices:
    """The points before the camera; of equally deep ones the lowest number comes last."""
    seen = np.flatnonzero(z >= 0)
    if z.dtype != np.float32:
        return seen[::-1][np.argsort(-z[seen][::-1], kind="stable")]
    # Depths that are not negative are in the order of their bits; one integer with the number is
    # sorted faster.
    bits = np.abs(z[seen]).view(np.int32).astype(np.int64)
    return np.sort(bits << 32 | seen)[::-1] & 0xFFFFFFFF
