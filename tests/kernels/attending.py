"""What the tests of attention share."""

import pytest
import torch
from torch import Tensor

from kernels.attention.tables import Need, table_for
from tests.kernels.kit import DEVICE, cloud


def able(
    dtype: torch.dtype = torch.float32, head_dim: int = 16, **needs: bool
) -> pytest.MarkDecorator:
    """Parametrise by the backends that can do it here."""
    table = table_for(Need(DEVICE.type, dtype, head_dim, **needs))
    return pytest.mark.parametrize("backend", table.runnable(DEVICE.type, dtype))


def qkv(
    B: int, H: int, N: int, M: int, d: int, seed: int = 0, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor, Tensor]:
    """As models make them: heads beside channels in memory."""
    sizes = (N, M, M)
    q, k, v = (
        cloud(B, n, H, d, seed=3 * seed + i, dtype=dtype).transpose(1, 2)
        for i, n in enumerate(sizes)
    )
    return q, k, v


def exact(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """Row by row in float64, written out apart from the reference."""
    q, k, v = q.double(), k.double(), v.double()
    scores = torch.einsum("bhnd,bhmd->bhnm", q, k) * (scale or q.shape[-1] ** -0.5)
    if bias is not None:
        scores = scores + bias.double()
    weights = (scores - scores.amax(-1, keepdim=True)).exp()
    return torch.einsum("bhnm,bhmd->bhnd", weights / weights.sum(-1, keepdim=True), v)


def eager(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    scores = q @ k.mT * q.shape[-1] ** -0.5
    out: Tensor = (scores if bias is None else scores + bias).softmax(-1) @ v
    return out
