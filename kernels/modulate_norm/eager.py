import torch
from torch import Tensor
from torch.nn import functional as F


def modulate_norm(
    x: Tensor,
    shift: Tensor | None,
    scale: Tensor | None,
    residual: Tensor | None,
    gate: Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor]:
    """PyTorch's own layer norm and as few passes around it as there can be; in half precision each
    of them rounds. Other backends take their gradient from it."""
    x = gated_sum(x, residual, None if gate is None else gate[:, None])
    y = F.layer_norm(x, x.shape[-1:], eps=eps).to(x.dtype)  # autocast may widen it
    if scale is None:
        return x, y if shift is None else y + shift[:, None]
    factor = 1 + scale[:, None]
    return x, y * factor if shift is None else torch.addcmul(shift[:, None], y, factor)


def gated_sum(x: Tensor, residual: Tensor | None, gate: Tensor | None) -> Tensor:
    if residual is None:
        return x
    return x + residual if gate is None else torch.addcmul(x, gate, residual)
