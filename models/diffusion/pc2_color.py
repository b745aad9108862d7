"""PC^2's second model: the colour of each point of a finished cloud, in one pass.

It is told the same of the picture as the denoiser. A linear map, one residual block of PVCNN2 and
of a perceptron, a linear map to colours; no noise, no time.

The published block hands PVCNN2 its 64 embedded channels as they are, so that the first three of
them stand where a place is expected, and neighbourhoods are those of an embedding
(`published=True`). The default takes the point's true place beside the embedding.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.diffusion.projection import Views, looked_up
from models.diffusion.pvcnn2 import Pvcnn2, Pvcnn2Config

_FULL = Pvcnn2Config()


@dataclass(frozen=True, slots=True)
class Pc2ColorConfig:
    """Attributes:
    local: numbers that a point is told of the picture.
    network: of the block, apart from its channels.
    """

    local: int = 389
    width: int = 64
    published: bool = False
    network: Pvcnn2Config = _FULL

    @property
    def block(self) -> Pvcnn2Config:
        extra = self.width - 3 if self.published else self.width
        return replace(self.network, num_classes=self.width, extra_feature_channels=extra)


class Pc2ColorNet(nn.Module):
    """Clouds [B, N, 3] and what their points are told [B, N, local] to colours [B, N, 3], sRGB
    0..1 where it knows them well, else anything."""

    def __init__(self, config: Pc2ColorConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.embed = nn.Linear(3 + config.local, width)
        self.point_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.points = Pvcnn2(config.block)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.out = nn.Linear(width, 3)

    def forward(self, places: Tensor, local: Tensor) -> Tensor:
        h = self.embed(torch.cat([places, local], dim=-1))
        normed = self.point_norm(h)
        given = normed if self.config.published else torch.cat([places, normed], dim=-1)
        h = h + self.points(given, torch.zeros(len(h), dtype=torch.int64, device=h.device))
        h = h + self.down(F.gelu(self.up(self.mlp_norm(h))))
        y: Tensor = self.out(h) / 2 + 0.5
        return y


class Pc2Painter(nn.Module):
    """The colour network, and beside our own encoder its own map of what that found.

    Args:
        features: None where the denoiser's encoder gives a map that is fit for both.
        unit, radius: as in `Pc2Config`.
    """

    def __init__(
        self, config: Pc2ColorConfig, features: nn.Module | None, unit: float, radius: float
    ) -> None:
        super().__init__()
        self.features = features
        self.net = Pc2ColorNet(config)
        self.unit, self.radius = unit, radius

    def forward(self, places: Tensor, views: Views, coarse: Tensor, fine: Tensor) -> Tensor:
        """Colours [B, N, 3] of clouds [B, N, 3] that stand in the scene, in the unit of the cloud.

        Args:
            coarse, fine: as in `looked_up`.
        """
        local = looked_up(views.to_ndc(places, self.unit), coarse, fine, self.radius)
        y: Tensor = self.net(places, local.to(places))
        return y
