import torch
from torch import Tensor


def devoxelize(rows: Tensor, coords: Tensor, R: int) -> Tensor:
    """All eight features of each point at once, [B, N, 8, C], from `rows` [B, R^3, C]."""
    (B, N, _), C = coords.shape, rows.shape[2]
    index, weight = corners(coords, R)
    taps = torch.gather(rows, 1, index.view(B, 8 * N, 1).expand(-1, -1, C)).view(B, N, 8, C)
    return (weight[..., None] * taps).sum(dim=2).to(rows.dtype)


def corners(coords: Tensor, R: int) -> tuple[Tensor, Tensor]:
    """The cells that a point is blended of, and their shares.

    Args:
        coords: [B, N, 3] float, in cells, 0 to R - 1.
        R: cells along a side.

    Returns:
        Index [B, N, 8] int64, `x * R * R + y * R + z`, and weight [B, N, 8] of the coordinates'
        type, in the order 000, 001, 010 ... 111 of the neighbours above in x, y, z. Where a
        coordinate is whole the neighbour above is the cell itself, with the weight 0.
    """
    lower = coords.floor()
    above = coords - lower
    cell = lower.long()
    index = torch.stack([cell, cell + (above > 0)], dim=-1)  # [B, N, 3, 2]
    weight = torch.stack([1 - above, above], dim=-1)
    x, y, z = (
        index[:, :, 0, :, None, None],
        index[:, :, 1, None, :, None],
        index[:, :, 2, None, None, :],
    )
    u, v, w = (
        weight[:, :, 0, :, None, None],
        weight[:, :, 1, None, :, None],
        weight[:, :, 2, None, None, :],
    )
    return ((x * R + y) * R + z).flatten(2), (u * v * w).flatten(2)
