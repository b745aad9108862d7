import torch
from torch import Tensor

_TILE = 1 << 16  # distances held at a time: what fits a core's second-level cache


def ball_query(
    centers: Tensor, points: Tensor, sq_radius: float, max_neighbors: int, lengths: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Blocks of centres against the whole cloud: memory O(M U + N), and nothing but PyTorch."""
    B, M, _ = centers.shape
    index = centers.new_zeros(B, M, max_neighbors, dtype=torch.int64)
    count = centers.new_zeros(B, M, dtype=torch.int64)
    for b in range(B):
        cloud = points[b] if lengths is None else points[b, : int(lengths[b])]
        columns = cloud.T.contiguous()  # [3, N]
        rows = max(1, _TILE // len(cloud))
        for start in range(0, M, rows):
            block = slice(start, start + rows)
            sq_dist = (centers[b, block, :1] - columns[0]).square_()
            for axis in (1, 2):
                sq_dist += (centers[b, block, axis : axis + 1] - columns[axis]).square_()
            _first_hits(sq_dist < sq_radius, index[b, block], count[b, block])
    return index, count


def _first_hits(hit: Tensor, index: Tensor, count: Tensor) -> None:
    """Fill `index` [M, U] and `count` [M] for `hit` [M, N]."""
    M, U = index.shape
    row, column = hit.nonzero(as_tuple=True)  # by row, then by column
    hits = torch.bincount(row, minlength=M)
    start = hits.cumsum(0) - hits
    place = torch.arange(U, device=hit.device).expand(M, U)
    count.copy_(hits.clamp(max=U))
    if len(column):
        place = (start[:, None] + torch.where(place < count[:, None], place, 0)).clamp(
            max=len(column) - 1
        )
        index.copy_(torch.where(count[:, None] > 0, column[place], 0))
