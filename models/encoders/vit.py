"""The vision transformer that PC^2 describes pictures with, under the names of timm's tensors."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kernels.attention import attention
from kernels.checks import trust_values

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
_EPS = 1e-6  # of every layer norm


@dataclass(frozen=True, slots=True)
class VitConfig:
    """As a rule a head has 64 channels; the default is ViT-S/16."""

    image_size: int = 224
    patch_size: int = 16
    width: int = 384
    depth: int = 12
    heads: int = 6

    @property
    def side(self) -> int:
        """Of the grid of patches."""
        return self.image_size // self.patch_size


class PatchEmbed(nn.Module):
    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, config.width, config.patch_size, config.patch_size)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.proj(x).flatten(2).transpose(1, 2)  # [B, side^2, C]
        return y


class SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        B, N, C = x.shape
        qkv = self.qkv(x).view(B, N, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4)
        mixed = attention(*qkv.unbind(0))  # [B, heads, N, C / heads]
        y: Tensor = self.proj(mixed.transpose(1, 2).reshape(B, N, C))
        return y


class Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return y


class Block(nn.Module):
    """Pre-norm transformer layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=_EPS)
        self.attn = SelfAttention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=_EPS)
        self.mlp = Mlp(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        y: Tensor = x + self.mlp(self.norm2(x))
        return y


class Vit(nn.Module):
    """Pictures [B, 3, S, S], sRGB 0..1, to tokens [B, 1 + (S / P)^2, C]: the class token first,
    then the patches row by row, after the last norm."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.config = config
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + config.side**2, config.width))
        self.patch_embed = PatchEmbed(config)
        self.blocks = nn.ModuleList(Block(config.width, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width, eps=_EPS)
        self.register_buffer("mean", torch.tensor(_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(3, 1, 1), persistent=False)

    @trust_values()  # activations: whoever calls looks at what comes out
    def forward(self, rgb: Tensor) -> Tensor:
        x = self.patch_embed((rgb - self.mean) / self.std)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        y: Tensor = self.norm(x)
        return y

    def grid(self, tokens: Tensor) -> Tensor:
        """The patches' tokens as a map [B, C, S / P, S / P], channels side by side in memory."""
        side = self.config.side
        B, _, C = tokens.shape
        return tokens[:, 1:].reshape(B, side, side, C).permute(0, 3, 1, 2)
