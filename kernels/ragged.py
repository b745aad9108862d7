"""Clouds of different lengths in one tensor."""

import torch
from torch import Tensor


def without_padding(points: Tensor, lengths: Tensor | None, fill: float = 0.0) -> Tensor:
    """`points` [B, N, C] with `fill` behind each cloud's `lengths` [B], or as they are without.

    Whatever padding holds, NaN included, is no reason to refuse or to spoil a cloud.
    """
    if lengths is None:
        return points
    valid = torch.arange(points.shape[1], device=points.device) < lengths[:, None]
    return torch.where(valid[..., None], points, fill)
