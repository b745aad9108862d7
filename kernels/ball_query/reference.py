import torch
from torch import Tensor


def ball_query(
    centers: Tensor, points: Tensor, sq_radius: float, max_neighbors: int, lengths: Tensor | None
) -> tuple[Tensor, Tensor]:
    """All distances at once, [B, M, N]: for reading and for small clouds."""
    B, M, _ = centers.shape
    N = points.shape[1]
    hit = (centers[:, :, None] - points[:, None]).square().sum(dim=-1) < sq_radius  # [B, M, N]
    if lengths is not None:
        hit &= (torch.arange(N, device=hit.device) < lengths[:, None])[:, None]
    count = hit.sum(dim=2).clamp(max=max_neighbors)
    hits_first = (~hit).int().argsort(dim=2, stable=True)[..., :max_neighbors]
    index = centers.new_zeros(B, M, max_neighbors, dtype=torch.int64)
    index[..., : hits_first.shape[2]] = hits_first
    filling = torch.where(count > 0, index[..., 0], 0)[..., None]
    unfilled = torch.arange(max_neighbors, device=hit.device) >= count[..., None]
    return torch.where(unfilled, filling, index), count
