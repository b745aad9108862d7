import torch
from torch import Tensor

_TILE = 1 << 16  # distances held at a time: what fits a core's second-level cache


def nearest_pairs(
    x: Tensor, y: Tensor, x_lengths: Tensor | None, y_lengths: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Blocks of rows against the whole other cloud: memory O(N + M), and nothing but PyTorch."""
    return *_nearest(x, y, x_lengths, y_lengths), *_nearest(y, x, y_lengths, x_lengths)


def _nearest(
    x: Tensor, y: Tensor, x_lengths: Tensor | None, y_lengths: Tensor | None
) -> tuple[Tensor, Tensor]:
    B, N, _ = x.shape
    least, index = x.new_zeros(B, N), torch.full((B, N), -1, device=x.device)
    for b in range(B):
        count = N if x_lengths is None else int(x_lengths[b])
        others = y[b] if y_lengths is None else y[b, : int(y_lengths[b])]
        columns = others.T.contiguous()  # [3, M]
        rows = max(1, _TILE // len(others))
        for start in range(0, count, rows):
            block = slice(start, min(start + rows, count))
            sq_dist = (x[b, block, :1] - columns[0]).square_()
            for axis in (1, 2):
                sq_dist += (x[b, block, axis : axis + 1] - columns[axis]).square_()
            least[b, block], index[b, block] = sq_dist.min(dim=1)
    return least, index
