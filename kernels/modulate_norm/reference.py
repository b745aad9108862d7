import torch
from torch import Tensor


def modulate_norm(
    x: Tensor,
    shift: Tensor | None,
    scale: Tensor | None,
    residual: Tensor | None,
    gate: Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor]:
    """(x', y), step by step, at least in float32."""
    wide = torch.promote_types(x.dtype, torch.float32)
    if residual is not None:
        branch = residual.to(wide)
        if gate is not None:
            branch = gate.to(wide)[:, None] * branch
        x = (x.to(wide) + branch).to(x.dtype)
    centred = x.to(wide)
    # Twice: a mean far from 0 is rounded, by as much as a small spread.
    for _ in range(2):
        centred = centred - centred.mean(dim=-1, keepdim=True)
    variance = centred.square().mean(dim=-1, keepdim=True)
    y = centred / (variance + eps).sqrt()
    if scale is not None:
        y = y * (1 + scale.to(wide)[:, None])
    if shift is not None:
        y = y + shift.to(wide)[:, None]
    return x, y.to(x.dtype)
