"""How our variant of DiT-3D sees a picture, which the published one does not.

The frozen encoder's tokens are the keys and values of a cross attention in each block, and a
code of them all is added to the time's embedding. In the space of the crop they also lie over the
grid, and so does the mask: each cell and token gets what the picture has in front of it. All is
computed once for a picture.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kernels.attention import attention
from kernels.modulate_norm import modulate_norm
from models.encoders.own import TOKEN_WIDTH, TOKENS

MASK_SIDE = 24
_SQUEEZED = 32  # channels of a token in the code


@dataclass(frozen=True, slots=True)
class Shown:
    """Attributes:
    code: [B, C], added to the time's embedding.
    keys, values: [B, blocks, heads, K, d].
    laid: [B, C, s, s], what lies over the tokens of the grid.
    mask: [B, 1, S, S], what lies over its cells.
    """

    code: Tensor
    keys: Tensor
    values: Tensor
    laid: Tensor
    mask: Tensor

    def of_block(self, number: int) -> tuple[Tensor, Tensor]:
        return self.keys[:, number], self.values[:, number]

    def hidden_where(self, drop: Tensor, nothing: "Shown") -> "Shown":
        """`nothing` [1] in the rows of `drop` [B] bool."""

        def chosen(some: Tensor, none: Tensor) -> Tensor:
            return torch.where(drop.view(-1, *[1] * (some.ndim - 1)), none, some)

        return Shown(
            chosen(self.code, nothing.code),
            chosen(self.keys, nothing.keys),
            chosen(self.values, nothing.values),
            chosen(self.laid, nothing.laid),
            chosen(self.mask, nothing.mask),
        )


class PictureReader(nn.Module):
    """The encoder's tokens [B, K, W] to what the blocks take of them."""

    def __init__(self, hidden: int, depth: int, heads: int) -> None:
        super().__init__()
        self.depth, self.heads = depth, heads
        self.nothing = nn.Parameter(torch.randn(1, TOKENS, TOKEN_WIDTH) * 0.3)  # for guidance
        self.squeeze = nn.Linear(TOKEN_WIDTH, _SQUEEZED)
        self.code = nn.Sequential(nn.SiLU(), nn.Linear(TOKENS * _SQUEEZED, hidden))
        self.kv = nn.Linear(TOKEN_WIDTH, depth * 2 * hidden)
        self.laid = nn.Linear(TOKEN_WIDTH, hidden)

    def forward(self, tokens: Tensor, alpha: Tensor) -> Shown:
        """`alpha` [B, 1, S, S], S a multiple of the mask's side."""
        B, K, _ = tokens.shape
        tokens = modulate_norm(tokens.contiguous())
        both = self.kv(tokens).view(B, K, self.depth, 2, self.heads, -1)
        keys, values = both.permute(3, 0, 2, 4, 1, 5)
        side = round(K**0.5)
        laid = self.laid(tokens).transpose(1, 2).reshape(B, -1, side, side)
        code = self.code(self.squeeze(tokens).flatten(1))
        return Shown(code, keys, values, laid, F.adaptive_avg_pool2d(alpha, MASK_SIDE))

    def none(self) -> Shown:
        """Of no picture, one row."""
        shown: Shown = self(self.nothing, self.nothing.new_zeros(1, 1, MASK_SIDE, MASK_SIDE))
        return shown


def columns(picture: Tensor, half: Tensor, count: int) -> Tensor:
    """What a picture [B, C, s, s] has at the middles of a grid's columns: [B, count, count, C].

    Axes of the grid are right and up, it reaches from -half to half [B] of the picture's half side
    about the middle, and outside the picture there is 0.
    """
    middles = (torch.arange(count, device=half.device) + 0.5) * (2 / count) - 1
    along = half.to(picture.dtype)[:, None] * middles.to(picture.dtype)  # [B, count]
    right = along[:, :, None].expand(-1, count, count)
    down = -along[:, None, :].expand(-1, count, count)
    grid = torch.stack([right, down], dim=-1)
    return F.grid_sample(picture, grid, align_corners=False).permute(0, 2, 3, 1)


class CrossAttention(nn.Module):
    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, hidden)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        B, N, C = x.shape
        q = self.query(x).view(B, N, self.heads, -1).transpose(1, 2)
        found: Tensor = self.out(attention(q, keys, values).transpose(1, 2).reshape(B, N, C))
        return found
