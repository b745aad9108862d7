"""Rows gathered by index, each with its coordinates relative to a centre before it or without.

A thread writes whatever element of the flat output its number is, so that stores are whole lines
for any number of channels, and coordinates take no launch of their own.
"""

import triton
import triton.language as tl
from torch import Tensor

BLOCK = 512
WARPS = 4


@triton.jit
def group_kernel(
    features_ptr,
    points_ptr,
    centers_ptr,
    index_ptr,
    out_ptr,
    N,
    groups,
    size,
    C: tl.constexpr,
    U: tl.constexpr,
    RELATIVE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    WIDTH: tl.constexpr = C + 3 if RELATIVE else C
    b = tl.program_id(1).to(tl.int64)
    # Within a cloud 32 bits are enough, the contract sees to that: they divide faster.
    element = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    within = element < size
    row = element // WIDTH
    column = element - row * WIDTH
    source = tl.load(index_ptr + b * (groups * U) + row, mask=within, other=0) + b * N
    if RELATIVE:
        near = within & (column < 3)
        point = tl.load(points_ptr + source * 3 + column, mask=near, other=0.0)
        center_row = b * groups + row // U
        center = tl.load(centers_ptr + center_row * 3 + column, mask=near, other=0.0)
        value = point - center
        if C > 0:
            of_features = within & (column >= 3)
            feature = tl.load(features_ptr + source * C + column - 3, mask=of_features, other=0.0)
            value = tl.where(column < 3, value, feature)
    else:
        value = tl.load(features_ptr + source * C + column, mask=within, other=0.0)
    tl.store(out_ptr + b * size + element, value, mask=within)


def group(features: Tensor, index: Tensor) -> Tensor:
    """See `kernels.group.group`."""
    return _launched(features, features, None, None, index)


def group_relative(
    points: Tensor, centers: Tensor, features: Tensor | None, index: Tensor
) -> Tensor:
    """See `kernels.group.group_relative`."""
    return _launched(points, features, points, centers, index)


def _launched(
    given: Tensor,
    features: Tensor | None,
    points: Tensor | None,
    centers: Tensor | None,
    index: Tensor,
) -> Tensor:
    B, M, U = index.shape
    C = 0 if features is None else features.shape[2]
    width = C + (0 if points is None else 3)
    out = given.new_empty(B, M, U, width)
    size = M * U * width
    if B:
        group_kernel[(triton.cdiv(size, BLOCK), B)](
            None if features is None else features.contiguous(),
            None if points is None else points.contiguous(),
            None if centers is None else centers.contiguous(),
            index.contiguous(),
            out,
            given.shape[1],
            M,
            size,
            C=C,
            U=U,
            RELATIVE=points is not None,
            BLOCK=BLOCK,
            num_warps=WARPS,
        )
    return out
