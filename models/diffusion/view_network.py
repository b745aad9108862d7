"""GECCO's network in view space, over the features of our own encoder.

(u, v) of a point is its place in the crop, so that no camera takes part. Points look up a map of
features, a sum over all scales of the encoder, and the encoder's own guess of both surfaces, which
comes in lengths of the cloud's unit and is therefore not normalised over the cloud.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kernels.checks import trust_values
from models.diffusion.denoiser import surface_guesses
from models.diffusion.gecco_reparam import look_up
from models.diffusion.gecco_transformer import (
    RayNetwork,
    SetConfig,
    edm_scales,
    initialise,
)
from models.encoders.own import MAP_CHANNELS, TOKEN_WIDTH, enlarged, token_grid
from models.feedforward.draft import Description

# Of (u, v, w) over 2,000 training pictures, and of colours in -1..1, about.
VIEW_SIGMA, COLOR_SIGMA = (0.36, 0.41, 0.39), 0.5
_DEPTHS = slice(2, 4)  # of `surface_guesses`: front and back
_MAPS = 14 + 3  # those, and the picture's own colour
_RELATIVE = 6  # numbers in `_relative`


_SMALL = SetConfig(layers=4, width=160, inducers=32, heads=5)


@dataclass(frozen=True, slots=True)
class ViewConfig:
    """Attributes:
    channels: of a point: 3, or 6 with its colour.
    features: channels of the map that points look up.
    """

    channels: int = 3
    transformer: SetConfig = _SMALL
    features: int = 64
    sigma_min: float = 0.04  # finer than a cloud of a few thousand points can show
    sigma_max: float = 8.0


POINTS, COLORED = ViewConfig(), ViewConfig(channels=6)


class ViewNet(nn.Module):
    """Standardised points of view space, perhaps with colours, and their noise to x_0."""

    spread: Tensor

    def __init__(self, config: ViewConfig) -> None:
        super().__init__()
        self.config = config
        self.token_map = nn.Conv2d(TOKEN_WIDTH, config.features, 1)
        self.maps = nn.ModuleList(nn.Conv2d(c, config.features, 1) for c in MAP_CHANNELS)
        self.model = RayNetwork(
            config.transformer, config.features, plain=_MAPS + _RELATIVE, channels=config.channels
        )
        spread = torch.tensor((*VIEW_SIGMA, *[COLOR_SIGMA] * 3)[: config.channels])
        self.register_buffer("spread", spread, persistent=False)
        initialise(self.model)
        nn.init.normal_(self.model.output_proj.get_parameter("1.weight"), std=0.005)

    def encode(self, rgba: Tensor, description: Description) -> tuple[Tensor, Tensor]:
        """What a picture's points look up: [B, F, T, T] and [B, 17, T, T]; rgba [B, 4, S, S]."""
        x = self.token_map(token_grid(description))
        for layer, item in zip(self.maps, description.maps, strict=True):
            x = enlarged(x, item.shape[-1]) + layer(item)
        guesses = surface_guesses(rgba[:, 3], description)
        depths = guesses[:, _DEPTHS] / self.spread[2]
        shown = F.adaptive_avg_pool2d((2 * rgba[:, :3] - 1) * rgba[:, 3:], x.shape[-1])
        parts = [guesses[:, : _DEPTHS.start], depths, guesses[:, _DEPTHS.stop :], shown]
        return x, torch.cat(parts, dim=1)

    @trust_values()  # activations: whoever calls looks at what comes out
    def forward(self, x: Tensor, sigma: Tensor, features: Tensor, plain: Tensor) -> Tensor:
        """x [B, N, C] at sigma [B] to x_0; the rest as `encode` gives it."""
        skip, out, scale, noise = edm_scales(sigma.to(x.dtype))
        y = x * scale
        u, v = (y[..., :2] * self.spread[:2]).unbind(dim=-1)
        place = torch.stack([u + 1, 1 - v], dim=-1) / 2  # rows go down
        maps = look_up(plain, place)
        near = torch.cat([maps, _relative(y[..., 2:3], sigma, maps)], dim=-1)
        found, _ = self.model(y, noise, look_up(features, place), plain=near)
        denoised: Tensor = skip * x + out * found
        return denoised


def _relative(depth: Tensor, sigma: Tensor, maps: Tensor) -> Tensor:
    """How far before the guessed surfaces a point [B, N, 1] lies: coarse, fine, in the noise."""
    away = maps[..., _DEPTHS] - depth
    level = sigma.to(depth.dtype).view(-1, 1, 1) + 0.1
    return torch.cat([away.tanh(), (8 * away).tanh(), (away / level).clamp(-3, 3)], dim=-1)
