import torch
from torch import Tensor

from kernels.scatter import scatter_sum


def trilinear_sample(grid: Tensor, points: Tensor, align_corners: bool, padding: str) -> Tensor:
    """Each point's eight nodes, gathered and weighted one corner after the other."""
    B, C, D, H, W = grid.shape
    rows = grid.permute(0, 2, 3, 4, 1).reshape(B * D * H * W, C)
    sides = torch.tensor([W, H, D], device=grid.device)
    place = (points + 1) / 2 * (sides - 1) if align_corners else ((points + 1) * sides - 1) / 2
    if padding == "border":
        place = _onto_grid(place, sides - 1)
    # Whatever is farther away than one cell reads nothing, and would not fit an integer.
    low = place.detach().clamp(min=-2).minimum(sides.to(place)).floor()
    part = torch.where((low == -2) | (low == sides), 0.0, place - low)
    first = torch.arange(B, device=grid.device)[:, None] * (D * H * W)
    out = grid.new_zeros(B, points.shape[1], C)
    for corner in torch.cartesian_prod(*[torch.arange(2, device=grid.device)] * 3):
        node = low.long() + corner  # [B, N, 3]
        inside = ((node >= 0) & (node < sides)).all(dim=-1)
        x, y, z = torch.where(inside[..., None], node, 0).unbind(dim=-1)
        weight = torch.where(corner == 1, part, 1 - part).prod(dim=-1) * inside
        found: Tensor = _Rows.apply(rows, first + (z * H + y) * W + x)  # type: ignore[no-untyped-call]
        out = out + found * weight[..., None]
    return out


def _onto_grid(place: Tensor, last: Tensor) -> Tensor:
    """Clamped to 0 .. last; what lies on the rim or beyond has no slope, as in PyTorch's own."""
    between = (place > 0) & (place < last)
    return torch.where(between, place, place.detach().clamp(min=0).minimum(last.to(place)))


class _Rows(torch.autograd.Function):
    """`rows[index]`, whose gradient PyTorch would add up in any order."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, rows: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        ctx.count = len(rows)  # type: ignore[attr-defined]
        return rows[index]

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, of_found: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return scatter_sum(of_found.flatten(0, 1), index.flatten(), ctx.count), None  # type: ignore[attr-defined]
