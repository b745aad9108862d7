import numpy as np
import torch
from torch import Tensor

from kernels.trees import clouds, nearest, sq_dist


def knn(query: Tensor, points: Tensor, k: int, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
    """A tree for each cloud."""
    B, M, _ = query.shape
    index = np.full((B, M, k), -1)
    least = np.full((B, M, k), np.inf, query.numpy().dtype)
    searches = list(zip(clouds(query, None), clouds(points, lengths), strict=True))
    for b, numbers in enumerate(nearest(searches, k)):
        queries, cloud = searches[b]
        found = numbers.shape[1]
        index[b, :, :found] = numbers
        least[b, :, :found] = sq_dist(queries[:, None], cloud[numbers])
    return torch.from_numpy(index), torch.from_numpy(least)
