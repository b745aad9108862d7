"""`bozzetto-s` and `bozzetto-xs` as one network: picture encoder and denoiser."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from models.diffusion.denoiser import (
    Denoised,
    Denoiser,
    DenoiserConfig,
    PictureEncoder,
    PictureTokens,
)
from models.feedforward.draft import DraftConfig, DraftNet, Layers


@dataclass(frozen=True, slots=True)
class BozzettoConfig:
    encoder: DraftConfig = field(default_factory=DraftConfig)
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)


CONFIGS = {
    "bozzetto-xs": BozzettoConfig(),  # what two CPU cores can train
    "bozzetto-s": BozzettoConfig(
        DraftConfig(image_size=128, channels=(48, 96, 192), width=384, layers=5),
        DenoiserConfig(width=288, features=96, latents=64, rounds=4),
    ),
}


class BozzettoNet(nn.Module):
    """The encoder is the network of `draft`: it is trained on depth, colour and camera beside the
    diffusion, and its guess of both surfaces is part of what the denoiser looks up."""

    def __init__(self, config: BozzettoConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = DraftNet(config.encoder)
        self.picture = PictureEncoder(
            config.denoiser, config.encoder.channels, config.encoder.width
        )
        self.denoiser = Denoiser(config.denoiser)

    def encode(self, rgba: Tensor) -> tuple[Layers, PictureTokens]:
        """Crops [B, 4, S, S], straight alpha, 0..1."""
        description = self.encoder.describe(rgba)
        return description.layers, self.picture(rgba[:, 3], description)

    def forward(
        self, x: Tensor, sigma: Tensor, picture: PictureTokens, drop: Tensor | None = None
    ) -> Denoised:
        """x [B, N, 3] in view space, sigma [B]; rows where `drop` [B] see no picture."""
        if drop is not None:
            picture = self.picture.dropped(picture, drop)
        denoised: Denoised = self.denoiser(x, sigma, picture)
        return denoised


def parameter_count(net: nn.Module) -> int:
    return sum(item.numel() for item in net.parameters())


def finite_rows(*values: Tensor) -> Tensor:
    """[B] bool: which rows hold neither NaN nor infinity in any of `values` [B, ...]."""
    return torch.stack([value.flatten(1).isfinite().all(dim=1) for value in values]).all(dim=0)
