"""The network of DiT-3D (Mo et al. 2023): a plain diffusion transformer over the cells of a grid.

The noisy cloud is averaged into a grid, cut into cubes, each one a token, and what comes out of the
blocks is a grid again, read at each point between its cells. Parameters have the published names.

Own additions, off by default: attention within cubic windows of tokens, and a picture
(`models.diffusion.dit3d_image`), with which the grid has a fixed place.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kernels.attention import attention
from kernels.devoxelize import devoxelize
from kernels.modulate_norm import modulate_norm
from kernels.voxelize import VoxelCoordinates, average_voxelize, voxel_coordinates
from models.diffusion.dit3d_image import CrossAttention, Shown, columns

_CHANNELS = 3  # of the noise
_FREQUENCIES = 256  # channels of the time's embedding
_LONGEST = 10_000.0  # wavelength / 2 pi of times and places

Betas = Literal["linear", "warm0.1"]
BETAS: tuple[Betas, ...] = get_args(Betas)


@dataclass(frozen=True, slots=True)
class Dit3dConfig:
    """Attributes:
    voxels: cells along a side of the grid.
    patch: cells along a side of a token's cube.
    classes: labels, beside the one for none.
    betas: the published noise schedules; `warm0.1` is that of airplanes.
    window: tokens along a side of a window, for the blocks of `window_blocks`.
    pictures: conditioned on one, and not on a label.
    span: half the grid's side, about 0, in the unit of y; with 0 it fits each cloud, as published.
    """

    hidden: int = 384
    depth: int = 12
    heads: int = 6
    patch: int = 4
    voxels: int = 32
    classes: int = 1
    betas: Betas = "linear"
    window: int = 0
    window_blocks: tuple[int, ...] = ()
    pictures: bool = False
    span: float = 0.0

    def __post_init__(self) -> None:
        """Raises ValueError where sizes do not divide one another, or there is nothing of them, or
        no such schedule."""
        if self.betas not in BETAS:
            raise ValueError(f"betas must be one of {', '.join(BETAS)}, got {self.betas!r}")
        if min(self.hidden, self.depth, self.heads, self.classes) < 1:
            raise ValueError("hidden, depth, heads and classes must be at least 1")
        if self.patch < 1 or self.voxels % self.patch:
            raise ValueError(f"a patch that divides {self.voxels} expected, got {self.patch}")
        if self.hidden % 6 or self.hidden % self.heads:
            raise ValueError(f"6 and the heads must divide {self.hidden}, got {self.heads} heads")
        if self.window_blocks and (self.window < 1 or self.side % self.window):
            raise ValueError(f"a window that divides {self.side} expected, got {self.window}")
        if any(not 0 <= block < self.depth for block in self.window_blocks):
            raise ValueError(f"blocks of 0 to {self.depth - 1} expected, got {self.window_blocks}")

    @property
    def side(self) -> int:
        """Tokens along a side of the grid."""
        return self.voxels // self.patch


class Dit3dNet(nn.Module):
    """The noise of clouds y [B, N, 3] at times t [B]."""

    pos_embed: Tensor

    def __init__(self, config: Dit3dConfig) -> None:
        super().__init__()
        self.config = config
        hidden, patch = config.hidden, config.patch
        # A cell holds the mean of its points: in ours of their offsets, and how many they are, and
        # the picture's mask in front of it.
        inside = _CHANNELS + 2 if config.pictures else _CHANNELS
        self.x_embedder = Patches(inside, hidden, patch)
        self.t_embedder = TimeEmbedding(hidden)
        if not config.pictures:
            self.y_embedder = Labels(config.classes, hidden)
        self.register_buffer("pos_embed", place_embedding(hidden, config.side))
        self.blocks = nn.ModuleList(
            Block(config, config.window if number in config.window_blocks else 0)
            for number in range(config.depth)
        )
        self.final_layer = Final(hidden, _CHANNELS * patch**3)
        _initialise(self)

    def forward(
        self,
        y: Tensor,
        t: Tensor,
        label: Tensor | None = None,
        shown: Shown | None = None,
        half: Tensor | None = None,
    ) -> Tensor:
        """[B, N, 3] of y's type.

        Args:
            t: [B], 0 to 999.
            label: [B] int64, `classes` for none.
            shown: of the pictures, where the network takes them.
            half: [B], half the grid's side in half sides of the picture.
        """
        places = self.places(y)
        grid = self.grid(y, places)
        if shown is not None and half is not None:
            x = self._pictured(grid, shown, half)
        else:
            x = self.embed(grid)
        condition = self.t_embedder(t, y.dtype)
        if label is not None:
            condition = condition + self.y_embedder(label)
        if shown is not None:
            condition = condition + shown.code
        for number, block in enumerate(self.blocks):
            x = block(x, condition, None if shown is None else shown.of_block(number))
        cells = self._cells(self.final_layer(x, condition))
        return devoxelize(cells, places.coords)

    def places(self, y: Tensor) -> VoxelCoordinates:
        config = self.config
        if config.span == 0:
            return voxel_coordinates(y, config.voxels)
        R = config.voxels
        coords = ((y.detach() / config.span + 1) * (R / 2) - 0.5).clamp(0, R - 1)
        i, j, k = coords.round().long().unbind(dim=-1)
        return VoxelCoordinates(coords, (i * R + j) * R + k)

    def grid(self, y: Tensor, places: VoxelCoordinates) -> Tensor:
        """[B, 3, R, R, R] mean coordinates of the points in each cell; with pictures their mean
        offsets in the cell and the logarithm of their number, [B, 4, R, R, R]."""
        if not self.config.pictures:
            return average_voxelize(y, places.cell, self.config.voxels).mean
        offset = places.coords - places.coords.round()
        found = average_voxelize(offset, places.cell, self.config.voxels)
        number = found.counts.to(y.dtype).log1p()
        return torch.cat([2 * found.mean, number[:, None]], dim=1)

    def embed(self, grid: Tensor) -> Tensor:
        """The tokens [B, T, C] with their places."""
        tokens: Tensor = self.x_embedder(grid) + self.pos_embed
        return tokens

    def _pictured(self, grid: Tensor, shown: Shown, half: Tensor) -> Tensor:
        """The tokens, with what the picture has in front of them and of their cells."""
        R, g = self.config.voxels, self.config.side
        mask = columns(shown.mask, half, R).permute(0, 3, 1, 2)[..., None].expand(-1, 1, R, R, R)
        x = self.embed(torch.cat([grid, mask], dim=1))
        laid = columns(shown.laid, half, g)[:, :, :, None].expand(-1, g, g, g, -1)
        return x + laid.reshape(x.shape)

    def _cells(self, tokens: Tensor) -> Tensor:
        """Undoes the cutting: [B, T, p^3 * 3] to [B, 3, R, R, R], channels last in memory."""
        B, (g, p) = len(tokens), (self.config.side, self.config.patch)
        cubes = tokens.view(B, g, g, g, p, p, p, _CHANNELS)
        cells = cubes.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(B, g * p, g * p, g * p, _CHANNELS)
        return cells.permute(0, 4, 1, 2, 3)


class Patches(nn.Module):
    """A convolution whose cubes do not overlap, as one matrix product."""

    def __init__(self, inside: int, hidden: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.proj = nn.Conv3d(inside, hidden, patch, stride=patch)

    def forward(self, grid: Tensor) -> Tensor:
        B, C, R = grid.shape[:3]
        p, g = self.patch, R // self.patch
        cells = grid.permute(0, 2, 3, 4, 1).reshape(B, g, p, g, p, g, p, C)
        cubes = cells.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(B, g**3, p**3 * C)
        weight = self.proj.weight.permute(0, 2, 3, 4, 1).reshape(-1, p**3 * C)
        return F.linear(cubes, weight, self.proj.bias)


class TimeEmbedding(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(_FREQUENCIES, hidden), nn.SiLU(), nn.Linear(hidden, hidden)
        )

    def forward(self, t: Tensor, dtype: torch.dtype) -> Tensor:
        half = _FREQUENCIES // 2
        ticks = torch.arange(half, dtype=torch.float32, device=t.device)
        angle = t.float()[:, None] * torch.exp(-math.log(_LONGEST) / half * ticks)
        found: Tensor = self.mlp(torch.cat([angle.cos(), angle.sin()], dim=-1).to(dtype))
        return found


class Labels(nn.Module):
    """The last row is for none."""

    def __init__(self, classes: int, hidden: int) -> None:
        super().__init__()
        self.embedding_table = nn.Embedding(classes + 1, hidden)

    def forward(self, label: Tensor) -> Tensor:
        found: Tensor = self.embedding_table(label)
        return found


class SelfAttention(nn.Module):
    """Of all tokens, or of those in each cubic window of `window` tokens a side.

    Windows are cut out of each cloud by itself. The published code means to have them and never
    does: its checkpoints were trained with global attention throughout.
    """

    def __init__(self, hidden: int, heads: int, side: int, window: int) -> None:
        super().__init__()
        self.heads, self.side, self.window = heads, side, window
        self.qkv = nn.Linear(hidden, 3 * hidden)
        self.proj = nn.Linear(hidden, hidden)

    def forward(self, x: Tensor) -> Tensor:
        if self.window:
            return windows_joined(self._mixed(windows_cut(x, self.side, self.window)), self.side)
        return self._mixed(x)

    def _mixed(self, x: Tensor) -> Tensor:
        B, N, C = x.shape
        q, k, v = self.qkv(x).view(B, N, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        found: Tensor = self.proj(attention(q, k, v).transpose(1, 2).reshape(B, N, C))
        return found


def windows_cut(x: Tensor, side: int, window: int) -> Tensor:
    """Tokens [B, side^3, C] to windows [B * (side / window)^3, window^3, C]."""
    B, _, C = x.shape
    n = side // window
    cubes = x.view(B, n, window, n, window, n, window, C).permute(0, 1, 3, 5, 2, 4, 6, 7)
    return cubes.reshape(B * n**3, window**3, C)


def windows_joined(x: Tensor, side: int) -> Tensor:
    """Undoes `windows_cut`."""
    W, T, C = x.shape
    window = round(T ** (1 / 3))
    n = side // window
    cubes = x.view(W // n**3, n, n, n, window, window, window, C)
    return cubes.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(-1, side**3, C)


class Mlp(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(hidden, 4 * hidden)
        self.fc2 = nn.Linear(4 * hidden, hidden)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return found


class Block(nn.Module):
    """adaLN-Zero; with pictures, cross attention to their tokens before the MLP."""

    def __init__(self, config: Dit3dConfig, window: int) -> None:
        super().__init__()
        hidden = config.hidden
        self.attn = SelfAttention(hidden, config.heads, config.side, window)
        self.mlp = Mlp(hidden)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(hidden, 6 * hidden))
        if config.pictures:
            self.cross = CrossAttention(hidden, config.heads)

    def forward(
        self, x: Tensor, condition: Tensor, shown: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        shift, scale, gate, shift_2, scale_2, gate_2 = (
            part.contiguous() for part in self.adaLN_modulation(condition).chunk(6, dim=-1)
        )
        branch = self.attn(modulate_norm(x, shift, scale))
        if shown is not None:
            x, y = modulate_norm(x, None, None, branch, gate)
            x, y = modulate_norm(x, shift_2, scale_2, self.cross(y, *shown))
        else:
            x, y = modulate_norm(x, shift_2, scale_2, branch, gate)
        found: Tensor = x + gate_2[:, None] * self.mlp(y)
        return found


class Final(nn.Module):
    def __init__(self, hidden: int, out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden, out)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(hidden, 2 * hidden))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        shift, scale = (
            part.contiguous() for part in self.adaLN_modulation(condition).chunk(2, dim=-1)
        )
        found: Tensor = self.linear(modulate_norm(x, shift, scale))
        return found


def place_embedding(hidden: int, side: int) -> Tensor:
    """[1, side^3, hidden]: sines and cosines of x, then of y and z; x changes slowest."""
    d = hidden // 3
    powers = torch.arange(d // 2, dtype=torch.float64) / (d / 2)
    omega: Tensor = torch.exp(-math.log(_LONGEST) * powers)
    angle = torch.arange(side, dtype=torch.float64)[:, None] * omega
    along = torch.cat([angle.sin(), angle.cos()], dim=-1)  # [side, d]
    ticks = torch.arange(side)
    cells = torch.cartesian_prod(ticks, ticks, ticks)  # [side^3, 3]
    found: Tensor = along[cells].flatten(1).float()[None]
    return found


def _initialise(net: Dit3dNet) -> None:
    """Published networks are loaded. Ours begins with the time's modulation at rest but with its
    branches open: from gates of 0 a short training learns little."""
    linear = {name: part for name, part in net.named_modules() if isinstance(part, nn.Linear)}
    for name, part in linear.items():
        nn.init.xavier_uniform_(part.weight)
        nn.init.zeros_(part.bias)
        if name.endswith(("adaLN_modulation.1", "final_layer.linear")):
            nn.init.zeros_(part.weight)
        if name.startswith("blocks.") and name.endswith("adaLN_modulation.1"):
            gates = part.bias.detach().view(6, -1)[2::3]
            gates.fill_(1)
    if net.config.pictures:  # few cells of a cube are not empty: their sum should count for as
        nn.init.normal_(net.x_embedder.proj.weight, std=0.15)  # much as the token's place
