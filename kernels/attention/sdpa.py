"""PyTorch's own attention, pinned: which of its backends it takes by itself changes from release to
release."""

from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

_BACKENDS = {
    "sdpa_math": SDPBackend.MATH,
    "sdpa_flash": SDPBackend.FLASH_ATTENTION,
    "sdpa_efficient": SDPBackend.EFFICIENT_ATTENTION,
    "sdpa_cudnn": SDPBackend.CUDNN_ATTENTION,
}


def attention(
    backend: str, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float
) -> Tensor:
    """`mask` is of the type of q: cuDNN misreads a float32 one beside halves, without a word."""
    # Fused kernels want whole rows in memory.
    q, k, v = (_with_whole_rows(x) for x in (q, k, v))
    if mask is not None:
        mask = _with_whole_rows(mask.expand(*mask.shape[:3], k.shape[2]))
    with sdpa_kernel(_BACKENDS[backend]):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)


def _with_whole_rows(x: Tensor) -> Tensor:
    return x if x.stride(-1) == 1 else x.contiguous()
