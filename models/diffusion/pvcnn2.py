"""PVCNN2, the denoiser that PVD, PC^2, CCD-3DR and BuilDiff share, under its authors' keys.

A U-Net over a cloud (Zhou et al. 2021, arXiv 2104.03670, after Liu et al. 2019): going down, each
level mixes its points through a voxel grid, then passes balls of them to fewer centres; going up,
features are interpolated back. Points move at every step, so no neighbourhood outlives one
evaluation; within one, a level finds its own once for the way down and the way up.

The published layers are kept, not their order of work. A linear map commutes with gathering and
with interpolation, so it is applied where there are fewer points; the time embedding is the same
for all points of a cloud, so its part of such a map is added once to all.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kernels.checks import check_finite, check_shapes, trust_values
from kernels.errors import ShapeError
from models.diffusion.pvcnn2_blocks import (
    FeaturePropagation,
    Level,
    PointAttention,
    PointVoxel,
    Pointwise,
    SetAbstraction,
    SharedMlp,
    sine_cosine,
)

_SLOPE = 0.1  # of LeakyReLU, in the embedding
_HEAD = 128
_NEIGHBORS = 32  # of a ball


@dataclass(frozen=True, slots=True)
class Pvcnn2Config:
    """Attributes:
    num_classes: values predicted of a point, 3 or with colours 6.
    embed_dim: width of the time embedding, even, 4 or more.
    extra_feature_channels: given of a point beside its place.
    width_multiplier: of all widths but the embedding's.
    voxel_resolution_multiplier: of the grids' 32, 16 and 8 cells a side.
    centers: points of the four lower levels. A cloud may have fewer; then some are taken twice.
    use_att: attention in the grid of the second level and over the points of the last.
    condition_dim: of a vector that describes the whole cloud, 0 without one (BuilDiff's variant).
    """

    num_classes: int = 3
    embed_dim: int = 64
    extra_feature_channels: int = 0
    width_multiplier: float = 1.0
    voxel_resolution_multiplier: float = 1.0
    centers: tuple[int, int, int, int] = (1024, 256, 64, 16)
    use_att: bool = True
    dropout: float = 0.1
    condition_dim: int = 0


@dataclass(frozen=True, slots=True)
class _Down:
    """A level on the way down, as published: what its grid convolutions (`convs` of them, 0 to 2)
    and its balls are."""

    convs: int
    channels: int
    resolution: int
    radius: float
    widths: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Up:
    widths: tuple[int, ...]
    convs: int
    resolution: int


# The published tables ask for three convolutions at the second and the third level; the published
# loop builds one, and the checkpoints have one.
_DOWN = (
    _Down(2, 32, 32, 0.1, (32, 64)),
    _Down(1, 64, 16, 0.2, (64, 128)),
    _Down(1, 128, 8, 0.4, (128, 256)),
    _Down(0, 0, 0, 0.8, (256, 256, 512)),
)
_UP = (
    _Up((256, 256), 3, 8),
    _Up((256, 256), 3, 8),
    _Up((256, 128), 2, 16),
    _Up((128, 128, 64), 2, 32),
)


class Pvcnn2(nn.Module):
    """Noisy points and their time to what is predicted of each point, mostly its noise."""

    def __init__(self, config: Pvcnn2Config) -> None:
        super().__init__()
        self.config = config
        embed = config.embed_dim
        self.embedf = nn.Sequential(
            nn.Linear(embed, embed), nn.LeakyReLU(_SLOPE), nn.Linear(embed, embed)
        )
        if config.condition_dim:
            self.condition = nn.Sequential(
                nn.Linear(config.condition_dim + embed, embed),
                nn.LeakyReLU(_SLOPE),
                nn.Linear(embed, embed),
                nn.LeakyReLU(_SLOPE),
            )
        extra = config.extra_feature_channels
        channels, skips = 3 + extra, [extra]
        self.sa_layers = nn.ModuleList()
        for number in range(len(_DOWN)):
            self.sa_layers.append(self._level_down(number, channels))
            channels = self._scaled(_DOWN[number].widths[-1])
            skips.append(channels)
        self.global_att = PointAttention(channels, ndim=1) if config.use_att else None
        self.fp_layers = nn.ModuleList()
        for up, skip in zip(_UP, reversed(skips[:-1]), strict=True):
            self.fp_layers.append(self._level_up(up, channels, skip))
            channels = self._scaled(up.widths[-1])
        head = self._scaled(_HEAD)
        self.classifier = nn.Sequential(
            SharedMlp(channels, [head], ndim=1),
            nn.Dropout(config.dropout),
            Pointwise(head, config.num_classes, ndim=1),
        )

    def _level_down(self, number: int, channels: int) -> nn.Module:
        """With `channels` a point; a last level without grids is a set abstraction alone."""
        config, down = self.config, _DOWN[number]
        if number or config.condition_dim:
            channels += config.embed_dim
        blocks: list[nn.Module] = []
        for _ in range(down.convs):
            width, attends = self._scaled(down.channels), config.use_att and number == 1
            resolution = self._cells(down.resolution)
            blocks.append(PointVoxel(channels, width, resolution, config.dropout, attends))
            channels = width
        widths = [self._scaled(width) for width in down.widths]
        sink = SetAbstraction(channels, config.centers[number], down.radius, _NEIGHBORS, widths)
        return nn.ModuleList([*blocks, sink]) if blocks else sink

    def _level_up(self, up: _Up, channels: int, skip: int) -> nn.ModuleList:
        widths = [self._scaled(width) for width in up.widths]
        resolution, width = self._cells(up.resolution), widths[-1]
        return nn.ModuleList(
            [
                FeaturePropagation(channels, self.config.embed_dim, skip, widths),
                *(
                    PointVoxel(width, width, resolution, self.config.dropout)
                    for _ in range(up.convs)
                ),
            ]
        )

    def _cells(self, resolution: int) -> int:
        return int(resolution * self.config.voxel_resolution_multiplier)

    def _scaled(self, width: int) -> int:
        return int(width * self.config.width_multiplier)

    def forward(self, points: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """
        Args:
            points: [B, N, 3 + extra], float32 or float64, finite: places, and what is known there.
            t: [B], times as the network was trained with them, 0 to 999.
            condition: [B, condition_dim], where the network has one.

        Returns:
            [B, N, num_classes].

        Raises:
            ShapeError: a shape above does not hold, or there is a condition too many or too few.
            ValueError: a place is not finite.
        """
        of_points, of_cloud = 3 + self.config.extra_feature_channels, self.config.condition_dim
        check_shapes(
            points=(points, f"B N {of_points}"),
            t=(t, "B"),
            condition=(condition, f"B {of_cloud}"),
        )
        if of_cloud and condition is None:
            raise ShapeError(f"condition: [B, {of_cloud}] expected, got none")
        places = points[..., :3].contiguous()
        check_finite(points=places)
        with trust_values():
            return self._denoise(places, points, self._shared(t, condition))

    def _shared(self, t: Tensor, condition: Tensor | None) -> Tensor:
        """What all points of a cloud are told: [B, embed_dim]."""
        dtype = next(self.embedf.parameters()).dtype
        waves = sine_cosine(t, self.config.embed_dim, dtype)
        shared: Tensor = self.embedf(waves)
        if condition is not None:
            shared = self.condition(torch.cat([condition.to(shared.dtype), shared], dim=1))
        return shared

    def _denoise(self, places: Tensor, features: Tensor, shared: Tensor) -> Tensor:
        level, levels, kept = Level(places), [], [features[..., 3:]]
        for number, layer in enumerate(self.sa_layers):
            levels.append(level)
            if number:
                kept.append(features)
            if number or self.config.condition_dim:
                told = shared[:, None].expand(-1, features.shape[1], -1)
                features = torch.cat([features, told], dim=2)
            *convs, sink = layer if isinstance(layer, nn.ModuleList) else [layer]
            for conv in convs:
                features = conv(level, features)
            level, features = sink(level, features)
        if self.global_att is not None:
            features = self.global_att(features)
        for layer, upper, skip in zip(
            self.fp_layers, reversed(levels), reversed(kept), strict=True
        ):
            back, *convs = layer.children()
            features = back(upper, level, features, shared, skip)
            for conv in convs:
                features = conv(upper, features)
            level = upper
        predicted: Tensor = self.classifier(features)
        return predicted
