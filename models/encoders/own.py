"""The picture encoder of our own presets of the literature's systems: the network of `draft`.

Their authors start from encoders trained on millions of pictures, which may not be downloaded here.
`draft` was trained on this project's data; its features are frozen as theirs are, and its weights
are pinned once for all systems.
"""

from collections.abc import Mapping
from textwrap import shorten

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.errors import WeightsError
from models.feedforward.draft import Description, DraftConfig, DraftNet

IMAGE_SIZE = 96
TOKENS = (IMAGE_SIZE // 16) ** 2  # of a picture
TOKEN_WIDTH = DraftConfig().width
MAP_CHANNELS = tuple(reversed(DraftConfig().channels))  # at 1/8, 1/4 and 1/2 of the side
OWN_PREFIX = "system."  # of the names of a system's own tensors
_GUESSES = 4  # depth of both surfaces, and the errors to expect
_REASON = 500  # characters: of another system's file, every name would be one


def divided(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The encoder's tensors and the system's own, the latter without their prefix."""
    own = {n.removeprefix(OWN_PREFIX): t for n, t in tensors.items() if n.startswith(OWN_PREFIX)}
    encoder = {n: t for n, t in tensors.items() if not n.startswith(OWN_PREFIX)}
    return encoder, own


class OwnEncoder:
    """The frozen encoder. Raises WeightsError, with `name` in it, where the tensors do not fit."""

    def __init__(
        self, tensors: Mapping[str, Tensor], device: torch.device, name: str = "the encoder"
    ) -> None:
        self.net = DraftNet(DraftConfig(image_size=IMAGE_SIZE))
        fit(self.net, tensors, name)
        self.net.to(device).eval().requires_grad_(False)

    def __call__(self, rgba: Tensor) -> Description:
        """Crops [B, 4, 96, 96], straight alpha, 0..1. Gradients do not go through."""
        with torch.no_grad():
            return self.net.describe(rgba)


class OwnFeatures(nn.Module):
    """The own encoder's maps, tokens and depths, fused, and then the depths of both surfaces as
    they are, in object diameters: [B, features + 2, S / 2, S / 2]."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.tokens = nn.Conv2d(TOKEN_WIDTH, features, 1)
        self.maps = nn.ModuleList(nn.Conv2d(width, features, 1) for width in MAP_CHANNELS)
        self.guesses = nn.Conv2d(_GUESSES, features, 1)

    def forward(self, description: Description) -> Tensor:
        layers = description.layers
        fused: Tensor = self.tokens(token_grid(description))
        for layer, x in zip(self.maps, description.maps, strict=True):
            fused = enlarged(fused, x.shape[-1]) + layer(x)
        known = torch.cat([layers.depth, layers.log_error], dim=1)
        fused = fused + self.guesses(known.to(fused.dtype))
        return torch.cat([fused.float(), layers.depth], dim=1)


def fit(net: nn.Module, tensors: Mapping[str, Tensor], name: str) -> None:
    """Load `tensors` strictly. Raises WeightsError: one line that names some of what is missing,
    too much or of another shape."""
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:
        reason = shorten(str(error), _REASON)
        raise WeightsError(f"{name}: the weights do not fit the network: {reason}") from error


def token_grid(description: Description) -> Tensor:
    """The tokens as a map [B, C, S / 16, S / 16]."""
    B, K, C = description.tokens.shape
    side = round(K**0.5)
    return description.tokens.transpose(1, 2).reshape(B, C, side, side)


def enlarged(x: Tensor, side: int) -> Tensor:
    """A map [B, C, s, s] at another side, bilinearly."""
    return F.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)
