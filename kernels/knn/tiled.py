import torch
from torch import Tensor

_TILE = 1 << 16  # distances held at a time: what fits a core's second-level cache


def knn(query: Tensor, points: Tensor, k: int, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
    """Blocks of queries against the whole cloud: memory O(M k + N), and nothing but PyTorch."""
    B, M, _ = query.shape
    index = torch.full((B, M, k), -1, device=query.device)
    least = query.new_full((B, M, k), torch.inf)
    for b in range(B):
        cloud = points[b] if lengths is None else points[b, : int(lengths[b])]
        columns = cloud.T.contiguous()  # [3, N]
        rows, found = max(1, _TILE // len(cloud)), min(k, len(cloud))
        for start in range(0, M, rows):
            block = slice(start, start + rows)
            sq_dist = (query[b, block, :1] - columns[0]).square_()
            for axis in (1, 2):
                sq_dist += (query[b, block, axis : axis + 1] - columns[axis]).square_()
            ordered, numbers = sq_dist.sort(dim=1, stable=True)
            least[b, block, :found] = ordered[:, :found]
            index[b, block, :found] = numbers[:, :found]
    return index, least
