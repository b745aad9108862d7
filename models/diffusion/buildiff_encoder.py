"""BuilDiff's image auto-encoder: a picture to a code of 128 numbers, and back.

A residual trunk to 1/32 of the side, four dilated convolutions, and a 1 x 1 convolution with a
linear layer to the code; transposed convolutions from the code to the picture. The paper leaves
open what the decoder starts from. Here it is the code: were it the map before it, nothing would
keep the code from being the same for all pictures, which suits the consistency loss best.

Widths beyond the trunk's are not published. Group norms stand where ResNet has batch norms. Only
the code itself is standardised over the batches of training, each number to mean 0 and variance 1:
codes cannot come to agree by shrinking, or by being mostly constant.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_GROUPS = 8
_PACE = 0.02  # of the running moments
_LEAST = 1e-6  # variance


@dataclass(frozen=True, slots=True)
class AutoEncoderConfig:
    image_size: int = 1024
    stem: int = 64
    widths: tuple[int, ...] = (64, 128, 256, 512)  # of the trunk's stages, at 1/4 .. 1/32
    blocks: tuple[int, ...] = (3, 4, 6, 3)  # ResNet-34
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    squeezed: int = 16  # channels of the map that becomes the code
    decoder: tuple[int, ...] = (256, 128, 64, 32, 16)  # at 1/32 .. 1/2
    code: int = 128

    @property
    def side(self) -> int:
        """Of the map at 1/32."""
        return self.image_size // 32


MINI_ENCODER = AutoEncoderConfig(
    image_size=96,
    stem=16,
    widths=(16, 32, 64, 96),
    blocks=(1, 1, 1, 1),
    dilations=(1, 2),  # a map of 3 x 3 has nothing farther away
    squeezed=64,
    decoder=(96, 64, 32, 24, 16),
)


def as_input(rgba: Tensor) -> Tensor:
    """Crops [B, 4, S, S], straight alpha, 0..1, as the network sees and gives them: colours around
    0, nothing of the background, and alpha."""
    alpha = rgba[:, 3:]
    return torch.cat([(2 * rgba[:, :3] - 1) * alpha, alpha], dim=1)


class ResidualBlock(nn.Module):
    """ResNet's basic block."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.norm_1 = nn.GroupNorm(_GROUPS, outside)
        self.conv_2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.norm_2 = nn.GroupNorm(_GROUPS, outside)
        self.skip: nn.Module = nn.Identity()
        if stride > 1 or inside != outside:
            self.skip = nn.Conv2d(inside, outside, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm_1(self.conv_1(x)))
        return F.relu(self.skip(x) + self.norm_2(self.conv_2(y)))


class Standardised(nn.Module):
    """[B, C] to mean 0 and variance 1 of each column: in training those of the batch, later the
    running ones."""

    mean: Tensor
    variance: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        mean, variance = self.mean, self.variance
        if self.training:
            x = x.float()
            variance, mean = torch.var_mean(x, dim=0, correction=0)
            with torch.no_grad():
                self.mean.lerp_(mean, _PACE)
                self.variance.lerp_(variance, _PACE)
        return (x - mean) * torch.rsqrt(variance + _LEAST)


class Encoder(nn.Module):
    """Pictures as `as_input` gives them [B, 4, S, S] to codes [B, code]."""

    def __init__(self, config: AutoEncoderConfig) -> None:
        super().__init__()
        self.stem = nn.Conv2d(4, config.stem, 7, 2, 3, bias=False)
        self.stem_norm = nn.GroupNorm(_GROUPS, config.stem)
        layers: list[nn.Module] = []
        width = config.stem
        for stage, (outside, count) in enumerate(zip(config.widths, config.blocks, strict=True)):
            for block in range(count):
                stride = 2 if stage and not block else 1
                layers.append(ResidualBlock(width, outside, stride))
                width = outside
        self.trunk = nn.Sequential(*layers)
        self.dilated = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=step, dilation=step) for step in config.dilations
        )
        self.squeeze = nn.Conv2d(width, config.squeezed, 1)
        self.code = nn.Linear(config.squeezed * config.side**2, config.code)
        self.standard = Standardised(config.code)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.stem_norm(self.stem(x))), 3, 2, 1)
        x = self.trunk(x)  # [B, C, S / 32, S / 32]
        for layer in self.dilated:
            x = x + F.relu(layer(x))
        code: Tensor = self.standard(self.code(self.squeeze(x).flatten(1)))
        return code


class Decoder(nn.Module):
    """Codes [B, code] to pictures [B, 4, S, S]."""

    def __init__(self, config: AutoEncoderConfig) -> None:
        super().__init__()
        first, last = config.decoder[0], config.decoder[-1]
        self.shape = (first, config.side, config.side)
        self.spread = nn.Linear(config.code, first * config.side**2)
        self.layers = nn.ModuleList(
            nn.ConvTranspose2d(inside, outside, 4, 2, 1)
            for inside, outside in pairwise(config.decoder)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(_GROUPS, width) for width in config.decoder[1:])
        self.last = nn.ConvTranspose2d(last, 4, 4, 2, 1)

    def forward(self, code: Tensor) -> Tensor:
        x = F.relu(self.spread(code)).view(-1, *self.shape)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = F.relu(norm(layer(x)))
        picture: Tensor = self.last(x)
        return picture


class AutoEncoder(nn.Module):
    def __init__(self, config: AutoEncoderConfig) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def forward(self, rgba: Tensor) -> Tensor:
        """Crops [B, 4, S, S], straight alpha, 0..1, to codes [B, code]."""
        code: Tensor = self.encoder(as_input(rgba))
        return code
