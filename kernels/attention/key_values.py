"""Keys and values that are worked out once and asked many times, as those of a picture are by all
steps of its job."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.attention import attention


@dataclass(frozen=True, slots=True)
class KeyValues:
    """One row per job.

    Attributes:
        k: [B, H, M, d].
        v: [B, H, M, d].
        lengths: [B] int64, valid keys of each row; None where all are.
    """

    k: Tensor
    v: Tensor
    lengths: Tensor | None = None

    def attend(self, q: Tensor, bias: Tensor | None = None, scale: float | None = None) -> Tensor:
        """Attention of q [B, H, N, d] over these."""
        return attention(q, self.k, self.v, bias, self.lengths, scale)

    @staticmethod
    def stack(parts: Sequence["KeyValues"]) -> "KeyValues":
        """The rows of all parts in their order, padded to the longest. Without a need of padding
        there are no lengths either, and the quicker path is open."""
        M = max(part.k.shape[2] for part in parts)
        k = torch.cat([_padded(part.k, M) for part in parts])
        v = torch.cat([_padded(part.v, M) for part in parts])
        if all(part.lengths is None and part.k.shape[2] == M for part in parts):
            return KeyValues(k, v)
        return KeyValues(k, v, torch.cat([_lengths(part) for part in parts]))


def _padded(x: Tensor, M: int) -> Tensor:
    return torch.nn.functional.pad(x, (0, 0, 0, M - x.shape[2]))


def _lengths(part: KeyValues) -> Tensor:
    if part.lengths is not None:
        return part.lengths
    B, _, M, _ = part.k.shape
    return torch.full((B,), M, dtype=torch.int64, device=part.k.device)
