import torch
from torch import Tensor

from kernels.scatter import scatter_sum


def average_voxelize(features: Tensor, cell: Tensor, cells: int) -> tuple[Tensor, Tensor]:
    """[B, cells, C] means and [B, cells] int32 counts; padding, cell -1, goes to a row of its own
    behind all others, which is cut off."""
    B, _, C = features.shape
    first = cells * torch.arange(B, device=cell.device)[:, None]
    row = torch.where(cell < 0, B * cells, cell + first).flatten()
    wide = torch.promote_types(features.dtype, torch.float32)
    total = scatter_sum(features.reshape(-1, C).to(wide), row, B * cells + 1)[:-1]
    count = scatter_sum(torch.ones_like(row, dtype=torch.int32), row, B * cells + 1)[:-1]
    mean = total.div_(count.clamp(min=1)[:, None])
    return mean.to(features.dtype).view(B, cells, C), count.view(B, cells)
