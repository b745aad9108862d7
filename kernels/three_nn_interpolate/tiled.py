import torch
from torch import Tensor

from kernels.three_nn_interpolate.reference import rows

_TILE = 1 << 16  # distances held at a time: what fits a core's second-level cache


def three_nearest(points: Tensor, centers: Tensor) -> tuple[Tensor, Tensor]:
    """Blocks of points against all centres: memory O(N + M), and nothing but PyTorch."""
    B, N, _ = points.shape
    M = centers.shape[1]
    least = points.new_full((B, N, 3), torch.inf)
    index = torch.zeros(B, N, 3, dtype=torch.int64, device=points.device)
    height = max(1, _TILE // M)
    for b in range(B):
        columns = centers[b].T.contiguous()  # [3, M]
        for start in range(0, N, height):
            block = slice(start, start + height)
            sq_dist = (points[b, block, :1] - columns[0]).square_()
            for axis in (1, 2):
                sq_dist += (points[b, block, axis : axis + 1] - columns[axis]).square_()
            for place in range(min(3, M)):
                found, at = sq_dist.min(dim=1, keepdim=True)  # the first of equal ones
                least[b, block, place] = found[:, 0]
                index[b, block, place] = at[:, 0]
                sq_dist.scatter_(1, at, torch.inf)
    return least, index.masked_fill_(least.isinf(), 0)


def interpolate(features: Tensor, index: Tensor, weights: Tensor) -> Tensor:
    """A bag of three rows for each point: PyTorch adds them up without copying them out first."""
    B, N, _ = index.shape
    _, M, C = features.shape
    if B == 0:
        return features.new_empty(0, N, C)
    out = torch.nn.functional.embedding_bag(
        rows(index, M).view(B * N, 3),
        features.reshape(B * M, C).to(weights.dtype).contiguous(),
        per_sample_weights=weights.reshape(B * N, 3),
        mode="sum",
    )
    return out.view(B, N, C).to(features.dtype)
