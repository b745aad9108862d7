"""Sums by index that come out the same in every run, for the backward passes of gathers."""

from torch import Tensor


def scatter_sum(values: Tensor, index: Tensor, count: int) -> Tensor:
    """`out[index[i]] += values[i]` over rows.

    Args:
        values: [K, ...] float.
        index: [K] int64, 0 <= index < count.

    Returns:
        [count, ...] of the type of `values`, zero where nothing was added. Deterministic:
        `index_add_` on the CPU adds in order, while on CUDA it is made of atomics, where
        `index_put_` sorts instead.
    """
    out = values.new_zeros(count, *values.shape[1:])
    if values.is_cuda:
        return out.index_put_((index,), values, accumulate=True)
    return out.index_add_(0, index, values)
