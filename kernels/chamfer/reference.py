import torch
from torch import Tensor


def nearest_pairs(
    x: Tensor, y: Tensor, x_lengths: Tensor | None, y_lengths: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """All distances at once, [B, N, M]: for reading and for small clouds."""
    sq_dist = (x[:, :, None] - y[:, None]).square().sum(dim=-1)  # [B, N, M]
    return *_nearest(sq_dist, x_lengths, y_lengths), *_nearest(sq_dist.mT, y_lengths, x_lengths)


def _nearest(
    sq_dist: Tensor, of_lengths: Tensor | None, in_lengths: Tensor | None
) -> tuple[Tensor, Tensor]:
    _, N, M = sq_dist.shape
    if in_lengths is not None:
        padding = torch.arange(M, device=sq_dist.device) >= in_lengths[:, None]
        sq_dist = sq_dist.masked_fill(padding[:, None], torch.inf)
    least, index = sq_dist.min(dim=2)  # the first of equal ones
    if of_lengths is not None:
        padding = torch.arange(N, device=sq_dist.device) >= of_lengths[:, None]
        least, index = least.masked_fill(padding, 0), index.masked_fill(padding, -1)
    return least, index
