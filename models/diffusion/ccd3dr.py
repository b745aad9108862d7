"""CCD-3DR (Di et al. 2023, arXiv 2308.07837): PC^2 among the clouds whose mean is zero.

The noise, the first cloud, the predicted noise and the cloud after every step have their mean taken
away, so that the network never has to say where an object is, only its shape. Where it is, is
needed for projection, and comes from the picture once: from the mask, and in our own size from a
small head that corrects it. The authors' code was never published.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geometry.point_cloud import PointCloud
from models.catalog import ModelCard
from models.contract import SamplingParams
from models.diffusion.noise import clean
from models.diffusion.pc2 import Pc2, Pc2Config, Pc2Net, ProjectedStage, load_parts
from models.diffusion.pc2_color import Pc2Painter
from models.diffusion.projection import Views
from models.diffusion.staged import Given, PointDiffusion
from models.encoders.own import TOKEN_WIDTH, OwnEncoder
from models.feedforward.draft import Description

_HIDDEN = 64
_CAMERA = 5


class CentreHead(nn.Module):
    """How far, in object diameters, the mean of a cloud is from where the mask has it: [B, 3]."""

    def __init__(self) -> None:
        super().__init__()
        self.read = nn.Linear(TOKEN_WIDTH + _CAMERA + 3, _HIDDEN)
        self.say = nn.Linear(_HIDDEN, 3)
        nn.init.zeros_(self.say.weight)
        nn.init.zeros_(self.say.bias)

    def forward(self, description: Description, by_mask: Tensor) -> Tensor:
        pooled = description.tokens.float().mean(dim=1)
        known = torch.cat([pooled, description.layers.camera.float(), by_mask], dim=1)
        moved: Tensor = self.say(torch.nn.functional.silu(self.read(known)))
        return moved


class Ccd3drNet(Pc2Net):
    """PC^2's network, with a head for the centre where our own encoder describes the picture."""

    def __init__(self, config: Pc2Config) -> None:
        super().__init__(config)
        self.centre_head = CentreHead() if config.vit is None else None

    def correction(self, description: Description, alpha: Tensor) -> Tensor:
        """[B, 3] object diameters, to be added to what the mask alpha [B, S, S] says."""
        by_mask = Views.of_windows(description.layers.camera.float()).centred_at(alpha)
        if self.centre_head is None:
            return torch.zeros_like(by_mask)
        moved: Tensor = self.centre_head(description, by_mask)
        return moved


def centred(x: Tensor) -> Tensor:
    """Clouds [..., N, 3] without their mean."""
    return x - x.mean(dim=-2, keepdim=True)


class CentredStage(ProjectedStage):
    def denoise(
        self, x: Tensor, sigma: Tensor, given: Given, drop: Tensor | None, before: Tensor | None
    ) -> Tensor:
        return clean(x, sigma, centred(self.eps(x, sigma, given, drop)))

    def settle(self, x: Tensor, sigma: float, before: Tensor | None) -> Tensor:
        return centred(x)


class Ccd3dr(Pc2):
    """A `System`. `centre` among the features is in the unit of the cloud."""

    net: Ccd3drNet

    def __init__(
        self,
        net: Ccd3drNet,
        encoder: OwnEncoder | None,
        device: torch.device,
        painter: Pc2Painter | None = None,
    ) -> None:
        super().__init__(net, encoder, device, painter)
        self.stages = (CentredStage(net),)

    def describe(self, rgba: Tensor, description: Description | None) -> dict[str, Tensor]:
        if description is None:
            return {"correction": rgba.new_zeros(len(rgba), 3)}
        return {"correction": self.net.correction(description, rgba[:, 3])}

    def encode(self, rgba: Tensor) -> Given:
        return self._centred(super().encode(rgba), rgba[:, 3])

    def begin(self, given: Given, params: SamplingParams) -> Given:
        return self._centred(super().begin(given, params), given.rgba[:, 3])

    def _centred(self, given: Given, alpha: Tensor) -> Given:
        views = Views.unpacked(given.features["view"])
        centre = views.centred_at(alpha) + given.features["correction"]
        return replace(given, features=given.features | {"centre": self.config.unit * centre})

    def cloud(self, x: Tensor, given: Given) -> PointCloud:
        return super().cloud(x + given.features["centre"][0], given)

    def painted(self, x: Tensor, given: Given) -> NDArray[np.uint8] | None:
        return super().painted(x + given.features["centre"][0], given)


def load_ccd3dr(
    card: ModelCard, tensors: Mapping[str, Tensor], device: torch.device
) -> PointDiffusion:
    """`card`'s model with the weights `tensors`. Raises WeightsError where they do not fit."""
    net, encoder, painter = load_parts(card, tensors, device, Ccd3drNet)
    return PointDiffusion(card, Ccd3dr(net, encoder, device, painter), device)
