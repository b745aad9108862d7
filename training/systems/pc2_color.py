"""Training of the colour model of `pc2-mini`: squared error of colours, as published.

True points are moved a little, because sampled ones are not on the surface, and keep their colour.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file
from torch import Tensor

from models.diffusion.pc2 import NETWORKS, laid_on, painter_of
from models.diffusion.projection import Views, fine_maps
from models.encoders.own import OwnEncoder, OwnFeatures
from training.losses import true_camera
from training.systems.pc2 import ENCODER

_FIRST = 0.02  # of the last layer's usual weights: the first colours are about grey


@dataclass(frozen=True, slots=True)
class ColorTraining:
    n_points: int = 1024
    jitter: float = 0.1  # spread of a point, in units of the cloud
    encoder: str = ENCODER


class ColorObjective:
    def __init__(self, config: ColorTraining) -> None:
        self.config = config
        self.sizes = NETWORKS["mini"]
        self.net = painter_of(self.sizes)
        self.features = cast(OwnFeatures, self.net.features)
        with torch.no_grad():
            self.net.net.out.weight.mul_(_FIRST)
        self.image_size = self.sizes.image_size
        self.n_points = config.n_points
        self.encoder = OwnEncoder(load_file(Path(config.encoder)), torch.device("cpu"))

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        rgba = batch["picture"].float().div(255).permute(0, 3, 1, 2).contiguous()
        self.encoder.net.to(rgba.device)
        coarse = self.features(self.encoder(rgba)).float()
        fine = fine_maps(laid_on(rgba, self.sizes.background), rgba[:, 3:])
        views = Views.of_windows(true_camera(batch["camera"]))
        places = self.net.unit * batch["points"].float()
        places = places + self.config.jitter * torch.randn_like(places)
        colors = batch["colors"].float().div(255)
        errors = (self.net(places, views, coarse, fine) - colors).square()
        plain = (colors - colors.mean(dim=1, keepdim=True)).square().mean()
        loss = errors.mean()
        return loss, {"loss": float(loss.detach()), "mean_colour": float(plain)}
