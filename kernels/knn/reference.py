import torch
from torch import Tensor


def knn(query: Tensor, points: Tensor, k: int, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
    """All distances at once, [B, M, N]: for reading and for small clouds."""
    sq_dist = (query[:, :, None] - points[:, None]).square().sum(dim=-1)  # [B, M, N]
    least, index = sq_dist.sort(dim=2, stable=True)
    if lengths is not None:
        # A distance that overflows is infinite too, so padding is told by its number.
        padding = index >= lengths[:, None, None]
        order = padding.int().argsort(dim=2, stable=True)
        index = index.masked_fill(padding, -1).gather(2, order)
        least = least.masked_fill(padding, torch.inf).gather(2, order)
    return index[..., :k].contiguous(), least[..., :k].contiguous()
