"""Gathering on the CPU by NumPy: moving a row costs less than waking PyTorch's threads for it."""

import numpy as np
import torch
from torch import Tensor


def group(features: Tensor, index: Tensor) -> Tensor:
    out = features.new_empty(*index.shape, features.shape[2])
    # NumPy has no bfloat16; bits are moved as well.
    bits = (
        each.view(torch.int16) if each.dtype == torch.bfloat16 else each for each in (features, out)
    )
    clouds, grouped = (each.numpy() for each in bits)
    for cloud, numbers, rows in zip(clouds, index.numpy(), grouped, strict=True):
        np.take(cloud, numbers, axis=0, out=rows, mode="clip")  # another mode would copy `out`
    return out


def group_relative(
    points: Tensor, centers: Tensor, features: Tensor | None, index: Tensor
) -> Tensor:
    """Points and features are joined before they are gathered: there are fewer of them then."""
    joined = points if features is None else torch.cat([points, features], dim=2)
    out = group(joined, index)
    near = out.numpy()[..., :3]
    near -= centers.numpy()[:, :, None]
    return out
