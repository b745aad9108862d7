"""Attention of queries to keys and values: softmax(scale q k^T + bias) v."""

from typing import Literal, overload

import torch
from torch import Tensor

from kernels.attention import eager, reference, sdpa
from kernels.attention.tables import TABLE, Need, table_for
from kernels.checks import (
    check_alike,
    check_devices,
    check_dtype,
    check_finite,
    check_lengths,
    check_shapes,
    values_are_trusted,
)
from kernels.errors import ShapeError

__all__ = ["TABLE", "attention"]

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@overload
def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None = ...,
    key_lengths: Tensor | None = ...,
    scale: float | None = ...,
    return_lse: Literal[False] = ...,
) -> Tensor: ...


@overload
def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None = ...,
    key_lengths: Tensor | None = ...,
    scale: float | None = ...,
    *,
    return_lse: Literal[True],
) -> tuple[Tensor, Tensor]: ...


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None = None,
    key_lengths: Tensor | None = None,
    scale: float | None = None,
    return_lse: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Mix values by the softmax of scores: every query of a head over all its keys.

    Args:
        q: [B, H, N, d] float16, bfloat16, float32 or float64, finite; any strides, so also a
            transposed [B, N, H, d].
        k: [B, H, M, d], same type and device.
        v: [B, H, M, d].
        bias: what broadcasts to [B, H, N, M], of any floating type: added to the scores once it is
            rounded to the type of q, finite values staying finite. -inf shuts a key out.
        key_lengths: [B] int64, 1 to M, valid keys of each row of the batch; the rest is padding,
            whatever it holds.
        scale: of q k^T, above 0; d^-0.5 without one. PVCNN2 has 1.
        return_lse: also return the logarithm of the sum of exponentials.

    Returns:
        [B, H, N, d] of the type of q; with `return_lse` also [B, H, N] float32 (float64 for
        float64), natural logarithm. A query that is shut out from all keys gets 0, and -inf.

    Raises:
        ShapeError: a shape above does not hold, or N, M, H or d is 0.
        BackendError: a backend was forced that cannot do this: `triton` has no gradient and takes
            d up to 128; PyTorch's fused ones know neither `return_lse` nor a gradient of `bias`.
        ValueError: types or devices differ, or a value is out of range.

    Differentiable in q, k, v and bias; the table takes a backend that is. Gradients are the same in
    every run on the CPU, on CUDA where `torch.use_deterministic_algorithms` asks for it. Error
    against float64: 1e-2 in bfloat16, 2e-3 in float16, at most twice eager PyTorch's in float32.
    Source: Dao 2023, FlashAttention-2, for the order of the sums.
    """
    sizes = check_shapes(q=(q, "B H N d"), k=(k, "B H M d"), v=(v, "B H M d"))
    B, H, N, M, d = (sizes[letter] for letter in "BHNMd")
    check_dtype("q", q, _FLOATS)
    check_alike(q=q, k=k, v=v)
    check_lengths("key_lengths", key_lengths, B, M, q)
    if bias is not None:
        bias = _checked_bias(bias, q, (B, H, N, M))
    if scale is None:
        scale = d**-0.5
    if not 0 < scale < float("inf"):
        raise ValueError(f"scale: a number above 0 expected, got {scale}")
    if not values_are_trusted():
        check_finite(q=q, k=_unpadded(k, key_lengths), v=_unpadded(v, key_lengths))

    bias_gradient = torch.is_grad_enabled() and bias is not None and bias.requires_grad
    need = Need(
        device=q.device.type,
        dtype=q.dtype,
        head_dim=d,
        masked=bias is not None or key_lengths is not None,
        lse=return_lse,
        gradient=bias_gradient
        or (torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, v))),
        bias_gradient=bias_gradient,
        deterministic=torch.are_deterministic_algorithms_enabled(),
    )
    backend = table_for(need).pick(q, B * H * N * M)
    if backend == "triton":
        from kernels.attention import kernel

        out, lse = kernel.attention(q, k, v, bias, key_lengths, scale, return_lse)
    else:
        out, lse = _by_pytorch(backend, q, k, v, bias, key_lengths, scale, return_lse)
    if lse is None:
        return out
    return out, lse


def _by_pytorch(
    backend: str,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    key_lengths: Tensor | None,
    scale: float,
    return_lse: bool,
) -> tuple[Tensor, Tensor | None]:
    k, v = _unpadded(k, key_lengths), _unpadded(v, key_lengths)
    mask = _mask(bias, key_lengths, q, k.shape[2])
    shut_out = None
    if bias is not None and mask is not None:
        # Softmax of nothing but -inf is NaN here and 0 there, and its gradient is NaN.
        shut_out = (mask == -torch.inf).all(dim=-1, keepdim=True)
        mask = mask.masked_fill(shut_out, 0)
    lse = None
    match backend:
        case "reference":
            out, lse = reference.attention(q, k, v, mask, scale)
        case "eager":
            out, lse = eager.attention(q, k, v, mask, scale, return_lse)
        case _:
            out = sdpa.attention(backend, q, k, v, mask, scale)
    if not return_lse:
        lse = None
    if shut_out is not None:
        out = out.masked_fill(shut_out, 0)
        lse = None if lse is None else lse.masked_fill(shut_out[..., 0], -torch.inf)
    return out, lse


def _mask(bias: Tensor | None, key_lengths: Tensor | None, like: Tensor, M: int) -> Tensor | None:
    """What is added to scores, in four dimensions, -inf at padding."""
    if key_lengths is None:
        return bias
    padding = torch.arange(M, device=like.device) >= key_lengths[:, None, None, None]
    if bias is None:
        bias = like.new_zeros(1, 1, 1, M)
    return bias.masked_fill(padding, -torch.inf)


def _checked_bias(bias: Tensor, q: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The bias in four dimensions and in the type of q."""
    view = bias[(None,) * (4 - bias.ndim)] if bias.ndim < 4 else bias
    pairs = zip(view.shape, shape, strict=False)
    if view.ndim > 4 or not all(size in (1, wanted) for size, wanted in pairs):
        raise ShapeError(f"bias: what broadcasts to {list(shape)} expected, got {list(bias.shape)}")
    check_dtype("bias", bias, _FLOATS)
    check_devices(q=q, bias=bias)
    if not values_are_trusted():
        bad = int((bias.isnan() | (bias == torch.inf)).sum())
        if bad:
            raise ValueError(f"bias: finite values or -inf expected, got {bad} of others")
    if view.dtype == q.dtype:
        return view
    limits = torch.finfo(q.dtype)
    near = view.clamp(limits.min, limits.max) if limits.max < torch.finfo(bias.dtype).max else view
    return torch.where(view == -torch.inf, view, near).to(q.dtype)


def _unpadded(x: Tensor, key_lengths: Tensor | None) -> Tensor:
    """Padding made 0: whatever it holds, NaN included, is no reason to refuse or to spoil."""
    if key_lengths is None:
        return x
    valid = torch.arange(x.shape[2], device=x.device) < key_lengths[:, None]
    return torch.where(valid[:, None, :, None], x, 0.0)
