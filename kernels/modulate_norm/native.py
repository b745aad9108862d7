import torch
from torch import Tensor
from torch.nn import functional as F

from kernels.modulate_norm.eager import gated_sum


def modulate_norm(
    x: Tensor,
    shift: Tensor | None,
    scale: Tensor | None,
    residual: Tensor | None,
    gate: Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor]:
    """One cloud's scale and shift are the weight and bias of PyTorch's layer norm, which applies
    them in the pass that normalises, in single precision whatever x has. Several clouds are
    modulated in place: fresh memory costs more than the arithmetic."""
    x = gated_sum(x, residual, None if gate is None else gate[:, None])
    if len(x) == 1:
        wide = torch.promote_types(x.dtype, torch.float32)
        weight = None if scale is None else 1 + scale[0].to(wide)
        bias = None if shift is None else shift[0].to(wide)
        return x, F.layer_norm(x, x.shape[-1:], weight, bias, eps)
    y = F.layer_norm(x, x.shape[-1:], eps=eps)
    if scale is None:
        return x, y if shift is None else y.add_(shift[:, None])
    factor = 1 + scale[:, None]
    return x, y.mul_(factor) if shift is None else torch.addcmul(shift[:, None], y, factor, out=y)
