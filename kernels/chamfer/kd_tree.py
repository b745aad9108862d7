import numpy as np
import torch
from torch import Tensor

from kernels.trees import FloatArray, IndexArray, clouds, nearest, sq_dist


def nearest_pairs(
    x: Tensor, y: Tensor, x_lengths: Tensor | None, y_lengths: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A tree for each cloud, all searched together."""
    B = len(x)
    there = list(zip(clouds(x, x_lengths), clouds(y, y_lengths), strict=True))
    back = [(y_cloud, x_cloud) for x_cloud, y_cloud in there]
    found = nearest([*there, *back], 1)
    return *_padded(x, there, found[:B]), *_padded(y, back, found[B:])


def _padded(
    x: Tensor, searches: list[tuple[FloatArray, FloatArray]], found: list[IndexArray]
) -> tuple[Tensor, Tensor]:
    """Squared distances and indices as [B, N] tensors."""
    index = np.full(x.shape[:2], -1)
    least = np.zeros(x.shape[:2], x.numpy().dtype)
    for b, (cloud, other) in enumerate(searches):
        numbers = found[b][:, 0]
        index[b, : len(cloud)] = numbers
        least[b, : len(cloud)] = sq_dist(cloud, other[numbers])
    return torch.from_numpy(least), torch.from_numpy(index)
