"""The first stages of ConvNeXt-Tiny (Liu et al. 2022), GECCO's picture encoder.

Names of tensors are those of GECCO's checkpoints. Stochastic depth is left out: it does nothing
once a network is trained.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

WIDTHS = (96, 192, 384, 768)
DEPTHS = (3, 3, 9, 3)
_EPS = 1e-6


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of a map [B, C, h, w]."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Permute(nn.Module):
    """[B, C, h, w] to [B, h, w, C] or back. It holds a place in the authors' numbering."""

    def __init__(self, order: Sequence[int]) -> None:
        super().__init__()
        self.order = tuple(order)

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.order)


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer_scale = nn.Parameter(torch.full((width, 1, 1), 1e-6))
        self.block = nn.Sequential(
            nn.Conv2d(width, width, 7, padding=3, groups=width),
            Permute((0, 2, 3, 1)),
            nn.LayerNorm(width, eps=_EPS),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
            Permute((0, 3, 1, 2)),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.layer_scale * self.block(x)
        return y


def _down(stage: int, width: int, inside: int) -> nn.Sequential:
    if stage == 0:
        return nn.Sequential(nn.Conv2d(inside, width, 4, stride=4), ChannelNorm(width, eps=_EPS))
    return nn.Sequential(ChannelNorm(inside, eps=_EPS), nn.Conv2d(inside, width, 2, stride=2))


class ConvNeXt(nn.Module):
    """Pictures [B, 3, H, W] in 0..1, not standardised, to one map for each stage.

    Sides must be at least 4 * 2^(stages - 1).
    """

    def __init__(
        self, widths: Sequence[int] = WIDTHS[:3], depths: Sequence[int] = DEPTHS[:3]
    ) -> None:
        super().__init__()
        stages = []
        inside = 3
        for number, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            blocks = nn.Sequential(*(Block(width) for _ in range(depth)))
            stages.append(nn.Sequential(_down(number, width, inside), blocks))
            inside = width
        self.stages = nn.ModuleList(stages)

    def forward(self, rgb: Tensor) -> list[Tensor]:
        maps = []
        for stage in self.stages:
            rgb = stage(rgb)
            maps.append(rgb)
        return maps
