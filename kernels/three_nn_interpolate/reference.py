import torch
from torch import Tensor

NEAREST, FARTHEST = 1e-10, 1e10  # what squared distances count as at the least and at the most


def three_nearest(points: Tensor, centers: Tensor) -> tuple[Tensor, Tensor]:
    """All distances at once, [B, N, M]: for reading and for small clouds.

    Returns squared distances and indices, [B, N, 3] each; where there is no centre, inf and 0.
    """
    x, y, z = (points[:, :, None] - centers[:, None]).square().unbind(-1)
    missing = max(0, 3 - centers.shape[1])
    sq_dist = torch.nn.functional.pad(x + y + z, (0, missing), value=torch.inf)
    least, index = sq_dist.sort(dim=2, stable=True)
    least, index = least[..., :3], index[..., :3]
    return least, index.masked_fill(least.isinf(), 0)


def weights(sq_dist: Tensor) -> Tensor:
    """Inverses of three squared distances [..., 3], scaled to add up to 1."""
    a, b, c = sq_dist.clamp(NEAREST, FARTHEST).unbind(-1)
    products = torch.stack([b * c, a * c, a * b], dim=-1)  # 1/a, 1/b, 1/c, each times abc
    return products / products.sum(dim=-1, keepdim=True)


def interpolate(features: Tensor, index: Tensor, weights: Tensor) -> Tensor:
    B, M, C = features.shape
    found = features.reshape(B * M, C)[rows(index, M)].to(weights.dtype)  # [B, N, 3, C]
    return (found * weights[..., None]).sum(dim=2).to(features.dtype)


def rows(index: Tensor, M: int) -> Tensor:
    """Indices [B, N, 3] into M centres each, as rows of all clouds' centres."""
    return index + M * torch.arange(len(index), device=index.device)[:, None, None]
