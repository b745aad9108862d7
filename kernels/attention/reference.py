import torch
from torch import Tensor


def attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float
) -> tuple[Tensor, Tensor]:
    """Softmax of all scores at once, in float32 at the least; `mask` is added to them."""
    wide = torch.promote_types(q.dtype, torch.float32)
    scores = q.to(wide) @ k.to(wide).mT * scale  # [B, H, N, M]
    if mask is not None:
        scores = scores + mask
    out = scores.softmax(dim=-1) @ v.to(wide)
    return out.to(q.dtype), scores.logsumexp(dim=-1)
