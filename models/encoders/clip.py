"""CLIP's image tower, under OpenAI's names (Radford et al. 2021), as Point-E uses it."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kernels.attention import attention
from kernels.checks import trust_values

PREFIX = "visual."  # of the tower's tensors in a checkpoint of the whole of CLIP
_HEAD_WIDTH = 64
_MEAN = (0.48145466, 0.4578275, 0.40821073)  # of the pictures it was trained on, by channel
_SPREAD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True)
class ClipConfig:
    """The defaults are those of ViT-L/14."""

    image_size: int = 224
    patch: int = 14
    width: int = 1024
    layers: int = 24
    embedding: int = 768


@dataclass(frozen=True, slots=True)
class Seen:
    """Attributes:
    vector: [B, embedding] of unit length.
    grid: [B, K, width], a token for each patch, row by row, before the last normalisation.
    """

    vector: Tensor
    grid: Tensor


class SelfAttention(nn.Module):
    """q, k and v of all heads stand in three blocks, as in PyTorch's own attention."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.zeros(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, x: Tensor) -> Tensor:
        B, N, C = x.shape
        qkv = F.linear(x, self.in_proj_weight, self.in_proj_bias)
        q, k, v = qkv.view(B, N, 3, -1, _HEAD_WIDTH).permute(2, 0, 3, 1, 4)
        y: Tensor = self.out_proj(attention(q, k, v).transpose(1, 2).reshape(B, N, C))
        return y


class Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.c_fc(x)
        y: Tensor = self.c_proj(x * torch.sigmoid(1.702 * x))  # their approximation of GELU
        return y


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn = SelfAttention(width)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = Mlp(width)
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        y: Tensor = x + self.mlp(self.ln_2(x))
        return y


class Transformer(nn.Module):
    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.resblocks = nn.Sequential(*(Block(width) for _ in range(layers)))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.resblocks(x)
        return y


class ClipTower(nn.Module):
    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        K = (config.image_size // config.patch) ** 2
        self.conv1 = nn.Conv2d(3, width, config.patch, config.patch, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(width) * width**-0.5)
        self.positional_embedding = nn.Parameter(torch.randn(K + 1, width) * width**-0.5)
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = Transformer(width, config.layers)
        self.ln_post = nn.LayerNorm(width)
        self.proj = nn.Parameter(torch.randn(width, config.embedding) * width**-0.5)

    @trust_values()  # activations
    def forward(self, pixels: Tensor) -> Seen:
        """Pixels [B, 3, S, S], normalised."""
        patches = self.conv1(pixels).flatten(2).transpose(1, 2)  # [B, K, width]
        first = self.class_embedding.to(patches.dtype).expand(len(pixels), 1, -1)
        x = torch.cat([first, patches], dim=1) + self.positional_embedding
        x = self.transformer(self.ln_pre(x))
        vector = self.ln_post(x[:, 0]) @ self.proj
        return Seen(F.normalize(vector, dim=-1), x[:, 1:])


def pixels(rgba: Tensor) -> Tensor:
    """Crops [B, 4, S, S] 0..1, straight alpha, on white, as the tower wants them: [B, 3, S, S]."""
    alpha = rgba[:, 3:]
    mean, spread = (rgba.new_tensor(value).view(1, 3, 1, 1) for value in (_MEAN, _SPREAD))
    return (rgba[:, :3] * alpha + 1 - alpha - mean) / spread


def tower_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The image tower's tensors, without their prefix, of those of the whole of CLIP."""
    return {n.removeprefix(PREFIX): t for n, t in tensors.items() if n.startswith(PREFIX)}
