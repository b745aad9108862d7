"""BuilDiff (Wei, Vosselman, Yang 2023, ICCV Workshops): a building's cloud from its picture, twice.

An auto-encoder makes 128 numbers of the picture. A first diffusion samples 1,024 points under
them, a second one 4,096, the first 1,024 of which are held to what the first one gave. Written from
the paper's description: its authors have published neither code nor weights, so there is no layout
to be compatible with (`identify` says so), and what the paper leaves open is decided here:
docs/models/buildiff.md lists it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import torch
from torch import Tensor, nn

from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud
from kernels.checks import trust_values
from models.catalog import ModelCard
from models.contract import SamplingParams
from models.diffusion.buildiff_encoder import MINI_ENCODER, AutoEncoder, AutoEncoderConfig
from models.diffusion.coloring import picture_colored
from models.diffusion.noise import DiscreteNoise, clean, scale
from models.diffusion.pvcnn2 import Pvcnn2, Pvcnn2Config
from models.diffusion.staged import Given, PointDiffusion, Stage
from models.encoders.own import IMAGE_SIZE, OwnEncoder, divided, enlarged, fit
from models.errors import WeightsError
from models.schedules import beta_curve

_CODE = 128
_EMBED = 128


@dataclass(frozen=True, slots=True)
class BuildiffConfig:
    """Attributes:
    base_points, points: of the first and of the second cloud.
    base_times, times: of the first and of the second diffusion.
    unit: what lengths of the upright frame, whose bounding sphere has diameter 1, are multiplied by
        for the networks: clouds then have about variance 1.
    closer: what the denoisers' points are multiplied by besides: PVCNN2's balls have fixed radii,
        and fewer centres are farther apart.
    """

    autoencoder: AutoEncoderConfig = field(default_factory=AutoEncoderConfig)
    base: Pvcnn2Config = field(
        default_factory=lambda: Pvcnn2Config(embed_dim=_EMBED, condition_dim=_CODE)
    )
    upsampler: Pvcnn2Config = field(
        default_factory=lambda: Pvcnn2Config(embed_dim=_EMBED, condition_dim=_CODE)
    )
    base_points: int = 1024
    points: int = 4096
    base_times: int = 1000
    times: int = 500
    unit: float = 5.0
    closer: float = 1.0


_MINI = Pvcnn2Config(
    embed_dim=64,
    width_multiplier=0.25,
    voxel_resolution_multiplier=0.375,
    centers=(256, 64, 32, 16),
    dropout=0.0,
    condition_dim=_CODE,
)

NETWORKS: dict[str, BuildiffConfig] = {
    "paper": BuildiffConfig(),
    "mini": BuildiffConfig(
        autoencoder=MINI_ENCODER,
        base=_MINI,
        upsampler=_MINI,
        closer=0.5,
    ),
}


class BuildiffNet(nn.Module):
    """What is trained: the auto-encoder first, then both denoisers under its frozen codes."""

    def __init__(self, config: BuildiffConfig) -> None:
        super().__init__()
        self.config = config
        self.autoencoder = AutoEncoder(config.autoencoder)
        self.base = Pvcnn2(config.base)
        self.upsampler = Pvcnn2(config.upsampler)

    def base_noise(self, y: Tensor, t: Tensor, code: Tensor) -> Tensor:
        """In y [B, K, 3] at the times t [B] under codes [B, C]: [B, K, 3]."""
        noise: Tensor = self.base(y * self.config.closer, t, code)
        return noise

    def dense_noise(self, y: Tensor, t: Tensor, code: Tensor) -> Tensor:
        """The same for [B, N, 3], whose first K points have no noise in them."""
        noise: Tensor = self.upsampler(y * self.config.closer, t, code)
        return noise


def shown(code: Tensor, drop: Tensor | None) -> Tensor:
    """Codes [B, C], of which those of `drop` [B] bool are 0, the mean of all codes."""
    return code if drop is None else code.masked_fill(drop[:, None], 0.0)


def held(x: Tensor, sigma: float, low: Tensor) -> Tensor:
    """x [N, 3] with `low` [K, 3] as its first points, so large that the network sees it as it is
    at any noise."""
    return torch.cat([low * (1 + sigma**2) ** 0.5, x[len(low) :]])


class BaseStage:
    channels = 3

    def __init__(self, net: BuildiffNet) -> None:
        self.net = net
        self.noise = DiscreteNoise(beta_curve("linear", net.config.base_times))

    def size(self, num_points: int) -> int:
        return self.net.config.base_points

    @trust_values()
    def denoise(
        self, x: Tensor, sigma: Tensor, given: Given, drop: Tensor | None, before: Tensor | None
    ) -> Tensor:
        code = shown(given.features["code"], drop)
        eps = self.net.base_noise(x * scale(sigma), self.noise.times(sigma), code)
        return clean(x, sigma, eps)

    def settle(self, x: Tensor, sigma: float, before: Tensor | None) -> Tensor:
        return x


class UpsamplerStage:
    channels = 3

    def __init__(self, net: BuildiffNet) -> None:
        self.net = net
        self.noise = DiscreteNoise(beta_curve("linear", net.config.times))

    def size(self, num_points: int) -> int:
        """What is asked for, from the first cloud's size to the published one's."""
        config = self.net.config
        return min(max(num_points, config.base_points), config.points)

    @trust_values()
    def denoise(
        self, x: Tensor, sigma: Tensor, given: Given, drop: Tensor | None, before: Tensor | None
    ) -> Tensor:
        """The low-resolution points come back as they are."""
        low = _known(before)
        code = shown(given.features["code"], drop)
        eps = self.net.dense_noise(x * scale(sigma), self.noise.times(sigma), code)
        return torch.cat([low, clean(x, sigma, eps)[:, low.shape[1] :]], dim=1)

    def settle(self, x: Tensor, sigma: float, before: Tensor | None) -> Tensor:
        return held(x, sigma, _known(before))


def _known(before: Tensor | None) -> Tensor:
    if before is None:
        raise ValueError("the upsampler needs the base's points")
    return before


class Buildiff:
    """The networks on a device. The camera, of which BuilDiff knows nothing, is the guess of our
    own encoder; it says where the picture's colours go and which candidate fits the outline."""

    def __init__(self, net: BuildiffNet, viewer: OwnEncoder) -> None:
        self.net = net
        self.viewer = viewer
        self.stages: Sequence[Stage] = (BaseStage(net), UpsamplerStage(net))

    def encode(self, rgba: Tensor) -> Given:
        size = self.net.config.autoencoder.image_size
        code = self.net.autoencoder(_at(rgba, size))
        return Given(rgba, self.viewer(_at(rgba, IMAGE_SIZE)).layers.camera, {"code": code})

    def begin(self, given: Given, params: SamplingParams) -> Given:
        return given

    def cloud(self, x: Tensor, given: Given) -> PointCloud:
        return picture_colored(x / self.net.config.unit, given.camera, given.rgba)

    def mesh(self, x: Tensor, given: Given) -> Mesh | None:
        return None


def _at(rgba: Tensor, side: int) -> Tensor:
    return rgba if rgba.shape[-1] == side else enlarged(rgba, side)


def identify(tensors: Mapping[str, Tensor], notes: Mapping[str, object]) -> NoReturn:
    """Always raises WeightsError: no checkpoint of BuilDiff has been published."""
    raise WeightsError(
        "buildiff: its authors have published no checkpoint and no code, so no layout is known "
        f"that these {len(tensors)} tensors could have"
    )


def load_buildiff(
    card: ModelCard, tensors: dict[str, Tensor], device: torch.device
) -> PointDiffusion:
    """The card's network; both sizes need our own encoder's tensors beside their own.

    Raises WeightsError where the tensors do not fit.
    """
    if card.network not in NETWORKS:
        raise WeightsError(f"{card.id}: {card.network!r} is none of {', '.join(NETWORKS)}")
    encoder, own = divided(tensors)
    net = BuildiffNet(NETWORKS[card.network])
    fit(net, own, card.id)
    viewer = OwnEncoder(encoder, device, f"{card.id}: the encoder")
    return PointDiffusion(card, Buildiff(net, viewer), device)
