"""The layers of PVCNN2, channels last, under its authors' keys."""

import math
from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kernels.attention import attention
from kernels.ball_query import ball_query
from kernels.devoxelize import devoxelize
from kernels.farthest_point_sampling import farthest_point_sampling
from kernels.group import group
from kernels.scatter import scatter_sum
from kernels.three_nn_interpolate import three_nn_interpolate
from kernels.voxelize import VoxelCoordinates, average_voxelize, voxel_coordinates

_GROUPS = 8  # of every group norm
_SQUEEZE = 8
# Added to twice a cloud's radius: nothing in float32, unless all its points are in one place, which
# as published gives NaN and here the middle of the grid.
_EXTENT = 1e-12


class Level:
    """Places [B, N, 3] at which a level's features stand, and where they lie in grids."""

    def __init__(self, points: Tensor) -> None:
        self.points = points
        self._cells: dict[int, VoxelCoordinates] = {}

    def cells(self, resolution: int) -> VoxelCoordinates:
        if resolution not in self._cells:
            found = voxel_coordinates(self.points, resolution, eps=_EXTENT)
            self._cells[resolution] = found
        return self._cells[resolution]


class Pointwise(nn.Module):
    """A convolution of kernel size 1 along `ndim` axes: a linear map of the last axis here."""

    def __init__(self, channels: int, width: int, ndim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, channels, *[1] * ndim))
        self.bias = nn.Parameter(torch.empty(width))
        bound = channels**-0.5  # as PyTorch starts convolutions
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.flatten(1), self.bias)

    def parts(self, *widths: int) -> list[Tensor]:
        """The map's matrix, for inputs of such widths one behind the other, without its bias."""
        return list(torch.split(self.weight.flatten(1), list(widths), dim=1))


class VoxelConv(nn.Conv3d):
    """Features of points, averaged in the cells of a grid, and a convolution of 3 x 3 x 3."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(channels, width, 3, padding=1)

    def forward(self, features: Tensor, cell: Tensor, resolution: int) -> Tensor:  # type: ignore[override]
        """features [B, N, C] and their cells [B, N] to a grid [B, width, R, R, R]."""
        if features.is_cuda or 2 * cell.shape[1] > resolution**3:
            return super().forward(average_voxelize(features, cell, resolution).mean)
        return self._where_points_are(features, cell, resolution)

    def _where_points_are(self, features: Tensor, cell: Tensor, resolution: int) -> Tensor:
        """The same, work and memory going with occupied cells: a fourth of the time on a CPU."""
        B, side = len(cell), resolution + 2  # a border catches what falls outside
        x, y, z = cell // resolution**2, cell // resolution % resolution, cell % resolution
        rows = torch.arange(B, device=cell.device)[:, None]
        at = ((rows * side + x + 1) * side + y + 1) * side + z + 1
        places, inverse, count = torch.unique(at, return_inverse=True, return_counts=True)
        mean = scatter_sum(features.flatten(0, 1), inverse.flatten(), len(places)) / count[:, None]
        grid = features.new_zeros(B * side**3, self.out_channels)
        taps = torch.arange(-1, 2, device=cell.device)
        for slab, ahead in zip(self.weight.unbind(2), (-1, 0, 1), strict=True):
            matrix = slab.permute(1, 2, 3, 0).flatten(1)  # [C, 9 * width]
            told = (mean @ matrix).view(-1, self.out_channels).to(features.dtype)
            # A cell is ahead of the one that is behind it by as much.
            offsets = (ahead * side**2 + taps[:, None] * side + taps).flatten()
            grid.index_add_(0, (places[:, None] - offsets).flatten(), told)
        whole = grid.view(B, side, side, side, self.out_channels)
        inside = whole[:, 1:-1, 1:-1, 1:-1].permute(0, 4, 1, 2, 3)
        return inside + self.get_parameter("bias").view(1, -1, 1, 1, 1)


class GridNorm(nn.GroupNorm):
    """For [B, C, ...]: statistics over a group of channels and all that is behind them."""

    def __init__(self, channels: int) -> None:
        super().__init__(_GROUPS, channels)

    def forward(self, x: Tensor) -> Tensor:
        # PyTorch's for channels last on a CPU subtracts plain sums of squares: where most cells
        # are alike, as empty ones are, three digits are lost; on a GPU it copies to channels first
        # and leaves them there. Training can live with both.
        if torch.is_grad_enabled() or x.dtype in (torch.float16, torch.bfloat16):
            return super().forward(x)
        shape = *x.shape[:2], *[1] * (x.ndim - 2)
        centred = x - self._mean(x).view(shape)
        variance = self._mean(centred.square())
        scale = self.weight * torch.rsqrt(variance + self.eps)
        bias = self.bias.view(1, *shape[1:])
        return torch.addcmul(bias, centred, scale.view(shape))

    def _mean(self, x: Tensor) -> Tensor:
        """Of each channel's group: [B, C]."""
        B, C = x.shape[:2]
        of_channel = x.mean(dim=tuple(range(2, x.ndim))).view(B, self.num_groups, -1)
        return of_channel.mean(dim=2, keepdim=True).expand_as(of_channel).reshape(B, C)


class PointNorm(GridNorm):
    """The same for [B, ..., C]."""

    def forward(self, x: Tensor) -> Tensor:
        B, C = len(x), x.shape[-1]
        image = x.reshape(B, -1, 1, C).permute(0, 3, 1, 2)  # channels last in memory
        return super().forward(image).permute(0, 2, 3, 1).reshape(x.shape)


class SharedMlp(nn.Module):
    """Linear map, group norm and SiLU, as many times as there are widths."""

    def __init__(self, channels: int, widths: Sequence[int], ndim: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in widths:
            layers += [Pointwise(channels, width, ndim), PointNorm(width), nn.SiLU()]
            channels = width
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y

    @property
    def first(self) -> Pointwise:
        return cast(Pointwise, self.layers[0])

    def after_first(self, x: Tensor) -> Tensor:
        """What `forward` does once the first map is applied, its bias included."""
        for layer in list(self.layers)[1:]:
            x = layer(x)
        return x


class PointAttention(nn.Module):
    """Attention of one head over all points of x [B, N, C], its logits not scaled."""

    def __init__(self, channels: int, ndim: int) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out = (Pointwise(channels, channels, ndim) for _ in range(4))
        self.norm = PointNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (layer(x)[:, None] for layer in (self.q, self.k, self.v))
        mixed = attention(q, k, v, scale=1.0)[:, 0]
        return F.silu(self.norm(x + self.out(mixed)))


class VoxelAttention(PointAttention):
    """The same over the cells of a grid [B, C, R, R, R]."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, ndim=3)

    def forward(self, x: Tensor) -> Tensor:
        cells = x.permute(0, 2, 3, 4, 1)
        mixed = super().forward(cells.flatten(1, 3))
        return mixed.view(cells.shape).permute(0, 4, 1, 2, 3)


class Excitation(nn.Module):
    """How much each channel of a grid [B, C, R, R, R] counts, empty cells included: [B, 1, C]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // _SQUEEZE, bias=False),
            nn.ReLU(),
            nn.Linear(channels // _SQUEEZE, channels, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc(x.mean(dim=(2, 3, 4)))
        return y[:, None]


class PointVoxel(nn.Module):
    """Features mixed in a grid and read back at the points, plus a map of each point's own."""

    def __init__(
        self,
        channels: int,
        width: int,
        resolution: int,
        dropout: float,
        attends: bool = False,
    ) -> None:
        super().__init__()
        self.resolution = resolution
        self.voxel_layers = nn.Sequential(
            VoxelConv(channels, width),
            GridNorm(width),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Conv3d(width, width, 3, padding=1),
            GridNorm(width),
            VoxelAttention(width) if attends else nn.SiLU(),
            Excitation(width),
        )
        self.point_features = SharedMlp(channels, [width], ndim=1)

    def forward(self, level: Level, features: Tensor) -> Tensor:
        """features [B, N, C] to [B, N, width]."""
        conv, *mixers, excitation = self.voxel_layers
        cells = level.cells(self.resolution)
        grid = conv(features, cells.cell, self.resolution)
        for layer in mixers:
            grid = layer(grid)
        # A factor of a channel may as well be applied at the points, which are fewer than cells.
        mixed: Tensor = devoxelize(grid, cells.coords) * excitation(grid)
        own: Tensor = self.point_features(features)
        return own + mixed


class SetAbstraction(nn.Module):
    """A level's points to fewer: each centre takes the largest of what its neighbours say."""

    def __init__(
        self, channels: int, centers: int, radius: float, neighbors: int, widths: Sequence[int]
    ) -> None:
        super().__init__()
        self.channels, self.centers = channels, centers
        self.radius, self.neighbors = radius, neighbors
        self.mlps = nn.ModuleList([SharedMlp(3 + channels, widths, ndim=2)])

    def forward(self, level: Level, features: Tensor) -> tuple[Level, Tensor]:
        """features [B, N, C] to those of the centres [B, M, width]."""
        points = level.points
        picked = farthest_point_sampling(points, self.centers, ties="pvcnn")
        centers = points.gather(1, picked[..., None].expand(-1, -1, 3))
        near = ball_query(centers, points, self.radius, self.neighbors).index  # [B, M, U]
        mlp = cast(SharedMlp, self.mlps[0])
        # The map of (neighbour - centre, features), applied before neighbours are gathered.
        of_place, of_features = mlp.first.parts(3, self.channels)
        told = F.linear(points, of_place) + F.linear(features, of_features, mlp.first.bias)
        away = F.linear(centers, of_place)
        said = mlp.after_first(group(told, near) - away[:, :, None])
        return Level(centers), said.amax(dim=2)


class FeaturePropagation(nn.Module):
    """Features of a level's centres, brought back to its points and put to those kept there."""

    def __init__(self, channels: int, shared: int, skip: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths = channels, shared, skip
        self.mlp = SharedMlp(channels + shared + skip, widths, ndim=1)

    def forward(
        self, level: Level, centers: Level, features: Tensor, shared: Tensor, kept: Tensor
    ) -> Tensor:
        """features [B, M, C] of the centres, shared [B, E], kept [B, N, S] of the points (S may be
        0), to [B, N, width]."""
        of_features, of_shared, of_kept = self.mlp.first.parts(*self.widths)
        there = F.linear(features, of_features)
        x = three_nn_interpolate(level.points, centers.points, there)
        x = x + F.linear(shared, of_shared, self.mlp.first.bias)[:, None]
        if kept.shape[-1]:
            x = x + F.linear(kept, of_kept)
        return self.mlp.after_first(x)


def sine_cosine(t: Tensor, width: int, dtype: torch.dtype) -> Tensor:
    """Times [B] as `width` waves: sines, then cosines."""
    half = width // 2
    exponents = torch.arange(half, device=t.device, dtype=dtype) * (-math.log(10_000) / (half - 1))
    angles = t.to(dtype)[:, None] * exponents.exp()
    return torch.cat([angles.sin(), angles.cos()], dim=1)
