import torch
from torch import Tensor


def average_voxelize(features: Tensor, cell: Tensor, cells: int) -> tuple[Tensor, Tensor]:
    """PyTorch's own mean by index, which on the CPU divides the rows alone that hold something:
    half the reference's time. On CUDA it would add by atomics, in any order."""
    B, _, C = features.shape
    row = (cell + cells * torch.arange(B)[:, None]).masked_fill(cell < 0, B * cells).flatten()
    wide = features.reshape(-1, C).to(torch.promote_types(features.dtype, torch.float32))
    mean = wide.new_zeros(B * cells + 1, C).scatter_reduce_(
        0, row[:, None].expand(-1, C), wide, "mean", include_self=False
    )[:-1]
    count = torch.bincount(row, minlength=B * cells + 1)[:-1].int()
    return mean.to(features.dtype).view(B, cells, C), count.view(B, cells)
