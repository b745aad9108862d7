"""Point-E's transformers over points, under their authors' names (Nichol et al. 2022).

Points are tokens without a position of their own beside their coordinates. Before them stand the
time, the picture and, for the upsampler, the points it adds to; those tokens are dropped at the
end.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kernels.attention import attention
from kernels.checks import trust_values

CHANNELS = 6  # of a point: position and colour
COLOR_SCALE = 0.007843137255  # 2 / 255, with the authors' digits
_LONGEST_PERIOD = 10_000


@dataclass(frozen=True, slots=True)
class TransformerConfig:
    """`picture` says what is known of a picture: one CLIP vector, or a grid of tokens.

    Attributes:
        picture_width: channels of that vector or of a token.
        outputs: 12 with the variances of Nichol and Dhariwal 2021, 6 without.
        predicts: the noise, or the velocity of Salimans and Ho 2022, which says something about the
            points at every time and is learnt from fewer of them.
        adds: whether it adds points to a cloud that it is given.
        position_scale: of positions in the space of diffusion; a colour goes from -1 to 1 there.
        reach: how far from the middle a position may be estimated, before that scale.
    """

    width: int = 512
    layers: int = 12
    heads: int = 8
    picture: Literal["vector", "grid"] = "grid"
    picture_width: int = 1024
    outputs: int = 12
    predicts: Literal["noise", "velocity"] = "noise"
    adds: bool = False
    position_scale: float = 2.0
    reach: float = 0.5


@dataclass(frozen=True, slots=True)
class Channels:
    """Between points with colours of 0 to 255 and the space of diffusion.

    Attributes:
        scales, biases: [6].
        reach: [6], how far an estimate may go from 0 there.
    """

    scales: Tensor
    biases: Tensor
    reach: Tensor

    def scaled(self, points: Tensor) -> Tensor:
        return points * self.scales.to(points) + self.biases.to(points)

    def unscaled(self, x: Tensor) -> Tensor:
        return (x - self.biases.to(x)) / self.scales.to(x)

    def clipped(self, x: Tensor) -> Tensor:
        reach = self.reach.to(x)
        return torch.minimum(torch.maximum(x, -reach), reach)


class Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.c_proj(F.gelu(self.c_fc(x)))
        return y


class SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.c_qkv = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        B, N, C = x.shape
        # The published layout: q, k and v of one head stand together.
        qkv = self.c_qkv(x).view(B, N, self.heads, 3, C // self.heads)
        q, k, v = qkv.permute(3, 0, 2, 1, 4)
        mixed = attention(q, k, v)  # [B, H, N, C / H]
        y: Tensor = self.c_proj(mixed.transpose(1, 2).reshape(B, N, C))
        return y


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn = SelfAttention(width, heads)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = Mlp(width)
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        y: Tensor = x + self.mlp(self.ln_2(x))
        return y


class Backbone(nn.Module):
    def __init__(self, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(Block(width, heads) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.resblocks:
            x = block(x)
        return x


class PointTransformer(nn.Module):
    """Noisy points of the scaled space, at discrete times, to the noise in them."""

    channel_scales: Tensor
    channel_biases: Tensor

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.channels = channels(config)
        width = config.width
        self.time_embed = Mlp(width)
        self.ln_pre = nn.LayerNorm(width)
        self.backbone = Backbone(width, config.layers, config.heads)
        self.ln_post = nn.LayerNorm(width)
        self.input_proj = nn.Linear(CHANNELS, width)
        self.output_proj = nn.Linear(width, config.outputs)
        linear = nn.Linear(config.picture_width, width)
        self.clip_embed: nn.Module = linear
        if config.picture == "grid":
            self.clip_embed = nn.Sequential(nn.LayerNorm(config.picture_width), linear)
        if config.adds:
            self.cond_point_proj = nn.Linear(CHANNELS, width)
            self.register_buffer("channel_scales", self.channels.scales)
            self.register_buffer("channel_biases", self.channels.biases)
        self.apply(_initialise)
        nn.init.zeros_(self.output_proj.weight)
        nn.init.zeros_(self.output_proj.bias)

    def picture(self, known: Tensor) -> Tensor:
        """The picture's tokens [B, K, width] of its vector [B, F] or grid [B, K, F].

        A picture that is not shown is a vector or grid of zeros.
        """
        if self.config.picture == "vector":
            # Of unit length, so that each of its values is brought to about 1.
            known = (known * math.sqrt(self.config.picture_width))[:, None]
        y: Tensor = self.clip_embed(known)
        return y

    @trust_values()  # activations: whoever calls looks at what comes out
    def forward(
        self, x: Tensor, t: Tensor, picture: Tensor, present: Tensor | None = None
    ) -> Tensor:
        """What the noise is, and how much of it to add, before it is interpreted.

        Args:
            x: [B, N, 6] of the scaled space.
            t: [B], the discrete time.
            picture: [B, K, width] as `picture` gives it.
            present: [B, M, 6], for the upsampler: points that are there already, not scaled,
                colours 0 to 255.

        Returns:
            [B, N, outputs].
        """
        width = self.config.width
        time = self.time_embed(time_features(t, width).to(x.dtype))[:, None]
        before = [picture, time] if self.config.picture == "vector" else [time, picture]
        if present is not None:
            scaled = present * self.channel_scales + self.channel_biases
            before.append(self.cond_point_proj(scaled))
        tokens = torch.cat([*before, self.input_proj(x)], dim=1)
        tokens = self.ln_post(self.backbone(self.ln_pre(tokens)))
        y: Tensor = self.output_proj(tokens[:, -x.shape[1] :])
        return y


def time_features(t: Tensor, width: int) -> Tensor:
    """Cosines, then sines of the time [B]: [B, width] float32."""
    half = width // 2
    ticks = torch.arange(half, device=t.device, dtype=torch.float32)
    angle = t[:, None].float() * torch.exp(-math.log(_LONGEST_PERIOD) / half * ticks)
    return torch.cat([angle.cos(), angle.sin()], dim=-1)


def channels(config: TransformerConfig) -> Channels:
    scales = [config.position_scale] * 3 + [COLOR_SCALE] * 3
    biases = [0.0] * 3 + [-1.0] * 3
    reach = [config.position_scale * config.reach] * 3 + [1.0] * 3
    # Numbers, also where a network is built without memory for its weights.
    return Channels(*(torch.tensor(row, device="cpu") for row in (scales, biases, reach)))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.25 * module.in_features**-0.5)
        nn.init.zeros_(module.bias)
