"""Coloured shape: position and colour of each point from one diffusion.

After the idea of Li, Wei, Liu, Wang, He and Lai (Expert Systems with Applications 252, 2024). They
published neither code nor weights, and their network's details are not known to us: this is PC^2's
conditioning by projection with six channels in place of three, and not their system. The denoiser
is GECCO's set transformer in view space (`models.diffusion.view_network`).

Colours are sRGB, -1..1, divided by their spread. They come from the diffusion on all sides, and
nothing is copied from the picture afterwards.
"""

import torch
from torch import Tensor

from geometry.mesh import Mesh
from geometry.normals import known_normals
from geometry.point_cloud import PointCloud
from models.catalog import ModelCard
from models.contract import SamplingParams
from models.diffusion.gecco import ViewStage
from models.diffusion.staged import Given, PointDiffusion
from models.diffusion.view_network import COLORED, ViewNet
from models.diffusion.view_space import from_view
from models.encoders.own import OwnEncoder, divided, fit
from models.errors import WeightsError

NETWORKS = {"mini": COLORED}


class ColoredShape:
    def __init__(self, net: ViewNet, encoder: OwnEncoder) -> None:
        self.net = net
        self.encoder = encoder
        self.stages = (ViewStage(net),)

    def encode(self, rgba: Tensor) -> Given:
        description = self.encoder(rgba)
        features, plain = self.net.encode(rgba, description)
        return Given(rgba, description.layers.camera, {"map": features, "plain": plain})

    def begin(self, given: Given, params: SamplingParams) -> Given:
        return given

    def cloud(self, x: Tensor, given: Given) -> PointCloud:
        x = (x * self.net.spread).float()
        bare = PointCloud(from_view(x[None, :, :3], given.camera)[0].cpu().numpy())
        rounded = ((x[:, 3:] + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return PointCloud(bare.positions, rounded.cpu().numpy(), known_normals(bare))

    def mesh(self, x: Tensor, given: Given) -> Mesh | None:
        return None


def load_colored_shape(
    card: ModelCard, tensors: dict[str, Tensor], device: torch.device
) -> PointDiffusion:
    """`card`'s model with the weights `tensors`. Raises WeightsError where they do not fit."""
    if card.network not in NETWORKS:
        raise WeightsError(f"{card.id}: no network {card.network!r} of coloured shape")
    encoder, own = divided(tensors)
    net = ViewNet(NETWORKS[card.network])
    fit(net, own, card.id)
    frozen = OwnEncoder(encoder, device, name=f"{card.id}: the encoder")
    return PointDiffusion(card, ColoredShape(net, frozen), device)
