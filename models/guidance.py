"""Classifier-free guidance: uncond + w * (cond - uncond), w by the row; w = 1 is off.

Rows with w = 1 need no unconditional evaluation, so a batch of the network holds all conditional
rows and after them the unconditional ones of those that do.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class GuidedBatch:
    """One network batch of R rows for B clouds, B <= R <= 2B.

    Attributes:
        clouds: B.
        rows: [R] int64, which cloud each row belongs to: 0 .. B - 1, then those with w != 1.
        unconditional: [R] bool, False in the first B rows.
    """

    clouds: int
    rows: Tensor
    unconditional: Tensor


def guided_batch(w: Tensor) -> GuidedBatch:
    """Which rows to evaluate for guidance scales w [B].

    Raises:
        ValueError: w has another shape, or NaN or infinity in it.
    """
    if w.ndim != 1:
        raise ValueError(f"w of shape [B] expected, got {list(w.shape)}")
    if not bool(torch.isfinite(w).all()):
        raise ValueError(f"finite w expected, got {w.tolist()}")
    own = torch.arange(len(w), device=w.device)
    guided = own[w != 1]
    rows = torch.cat([own, guided])
    return GuidedBatch(len(w), rows, torch.arange(len(rows), device=w.device) >= len(w))


def guide(out: Tensor, batch: GuidedBatch, w: Tensor) -> Tensor:
    """What the network gave for `batch`, guided.

    Args:
        out: [R, ...], any float type.
        batch: of the same w.
        w: [B].

    Returns:
        [B, ...] in float32 or, where `out` is, float64. Rows with w = 1 are the conditional ones,
        untouched.

    Raises:
        ValueError: `out` or `w` does not fit `batch`.
    """
    R, B = len(batch.rows), batch.clouds
    if len(out) != R:
        raise ValueError(f"{R} rows expected, got {len(out)}")
    if w.shape != (B,):
        raise ValueError(f"w of shape {[B]} expected, got {list(w.shape)}")
    out = out.to(torch.promote_types(out.dtype, torch.float32))
    cond, uncond = out[:B], out[B:]
    if R == B:
        return cond
    guided = batch.rows[B:]
    scale = w[guided].to(out.dtype).view(-1, *[1] * (out.ndim - 1))
    return cond.index_copy(0, guided, uncond + scale * (cond[guided] - uncond))
