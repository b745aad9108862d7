"""Point-E: a coloured cloud of 1,024 points, then 3,072 more between them (Nichol et al. 2022).

Two transformers over points, each conditioned on CLIP's view of the picture. Our own preset sees
the tokens of `draft` instead, and its clouds live in view space, as those of our own diffusion do.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from geometry.mesh import Mesh
from geometry.normals import known_normals
from geometry.point_cloud import PointCloud
from models.catalog import ModelCard
from models.contract import SamplingParams
from models.diffusion.cleaning import own_colors
from models.diffusion.denoiser import surface_guesses
from models.diffusion.noise import KarrasNoise, scale
from models.diffusion.pointe_network import (
    CHANNELS,
    Channels,
    PointTransformer,
    TransformerConfig,
    channels,
)
from models.diffusion.pointe_sampling import Times, base_betas, upsampler_betas
from models.diffusion.pointe_sdf import SdfConfig, SdfNet, mesh_by_distance
from models.diffusion.staged import Given, PointDiffusion, Stage
from models.diffusion.view_space import from_view, turn_to_view
from models.encoders.clip import PREFIX, ClipConfig, ClipTower, pixels, tower_tensors
from models.encoders.own import TOKEN_WIDTH, OwnEncoder, divided, fit
from models.errors import WeightsError
from models.feedforward.draft import Description

_UPSAMPLER = TransformerConfig(adds=True)
_VIT_L_14 = ClipConfig()
_BASE_NOISE = KarrasNoise(1e-3, 120.0, churn=3.0)
_UPSAMPLER_NOISE = KarrasNoise(1e-3, 160.0)


@dataclass(frozen=True, slots=True)
class PointEConfig:
    """Attributes:
    clip: the tower that sees the picture; None for our own encoder.
    points: of the base.
    added: by the upsampler to those.
    base_noise, upsampler_noise: what Karras' schedule visits.
    sdf: what lays a mesh through the points; without it they go the way of every other model's.
    """

    base: TransformerConfig
    upsample: TransformerConfig = _UPSAMPLER
    clip: ClipConfig | None = _VIT_L_14
    points: int = 1024
    added: int = 3072
    base_noise: KarrasNoise = _BASE_NOISE
    upsampler_noise: KarrasNoise = _UPSAMPLER_NOISE
    sdf: SdfConfig | None = None


_VECTOR = TransformerConfig(picture="vector", picture_width=768)
_GUESSES = 14  # channels of `surface_guesses`
_PATCH = 4  # guesses along each side of a token of our own encoder, two pixels of them each
OWN_WIDTH = TOKEN_WIDTH + _GUESSES * _PATCH**2 + 2
_MINI = TransformerConfig(
    128,
    6,
    2,
    picture_width=OWN_WIDTH,
    outputs=CHANNELS,
    predicts="velocity",
    position_scale=2.5,
    reach=1.5,
)

# The authors' heads are 64 wide in all of them.
NETWORKS: dict[str, PointEConfig] = {
    "base40M-textvec": PointEConfig(_VECTOR),
    "base40M-imagevec": PointEConfig(_VECTOR),
    "base40M": PointEConfig(TransformerConfig()),
    "base300M": PointEConfig(TransformerConfig(1024, 24, 16)),
    "base1B": PointEConfig(TransformerConfig(2048, 24, 32)),
    "mini": PointEConfig(
        _MINI,
        replace(_MINI, layers=3, adds=True),
        clip=None,
        points=512,
        added=1536,
        base_noise=KarrasNoise(0.02, 10.0),
        upsampler_noise=KarrasNoise(0.02, 10.0),
    ),
}
# Of a crop whose object is seen from a little above: where no encoder says what camera took it.
_USUAL_CAMERA = (0.5, 0.45, 0.0, 0.0, 0.43)
OWN_SDF = SdfConfig(width=96, encoder_layers=3, decoder_layers=2, heads=2, points=1024)
_PARTS = ("base.", "upsample.", "clip.")  # before the authors' names, in the tensors of a card


class PointENet(nn.Module):
    """Base and upsampler, and where the network is a published one also CLIP's tower."""

    def __init__(self, config: PointEConfig) -> None:
        super().__init__()
        self.config = config
        self.base = PointTransformer(config.base)
        self.upsample = PointTransformer(config.upsample)
        if config.clip is not None:
            self.clip = ClipTower(config.clip)
        if config.sdf is not None:
            self.sdf = SdfNet(config.sdf)


class BaseStage:
    """Samples the first points."""

    channels = CHANNELS
    guided = True

    def __init__(self, config: PointEConfig, net: PointTransformer) -> None:
        self.count = config.points
        self.noise = config.base_noise
        self.times = Times(base_betas())
        self.net = net

    def size(self, num_points: int) -> int:
        return self.count

    def denoise(
        self, x: Tensor, sigma: Tensor, given: Given, drop: Tensor | None, before: Tensor | None
    ) -> Tensor:
        return estimate(self.net, self.times, x, sigma, tokens(given, "base", drop))

    def settle(self, x: Tensor, sigma: float, before: Tensor | None) -> Tensor:
        return x


class UpsamplerStage:
    """Adds points to those of the base, which come first and stay as they are."""

    channels = CHANNELS
    guided = False

    def __init__(self, config: PointEConfig, net: PointTransformer, base: Channels) -> None:
        self.count = config.points + config.added
        self.noise = config.upsampler_noise
        self.times = Times(upsampler_betas())
        self.net = net
        self.base = base

    def size(self, num_points: int) -> int:
        return self.count

    def denoise(
        self, x: Tensor, sigma: Tensor, given: Given, drop: Tensor | None, before: Tensor | None
    ) -> Tensor:
        before = _there(before)
        shown = tokens(given, "upsample", drop)
        present = self.base.unscaled(before)
        x = x[:, before.shape[1] :]
        return torch.cat([before, estimate(self.net, self.times, x, sigma, shown, present)], dim=1)

    def settle(self, x: Tensor, sigma: float, before: Tensor | None) -> Tensor:
        before = _there(before)
        return torch.cat([before, x[len(before) :]])


def _there(before: Tensor | None) -> Tensor:
    if before is None:
        raise ValueError("the upsampler comes after the base, and needs its points")
    return before


def estimate(
    net: PointTransformer,
    times: Times,
    x: Tensor,
    sigma: Tensor,
    picture: Tensor,
    present: Tensor | None = None,
) -> Tensor:
    """x_0 [R, N, 6] of x at sigma [R]; the network is asked about the whole time below."""
    t = times.whole(sigma)
    y = x * scale(sigma)
    out = net(y, t, picture, present)[..., :CHANNELS]
    if net.config.predicts == "noise":
        return net.channels.clipped(times.estimate(y, t, out))
    signal, noise = times.shares(t)
    return net.channels.clipped(signal * y - noise * out)


def tokens(given: Given, name: str, drop: Tensor | None) -> Tensor:
    """The picture's [R, K, width], or where `drop` [R] those of none."""
    shown = given.features[name]
    if drop is None:
        return shown
    return torch.where(drop.view(-1, 1, 1), given.features[f"no_{name}"], shown)


class PointESystem:
    """A `System`. `own` stands in for CLIP in our own preset."""

    def __init__(self, net: PointENet, own: OwnEncoder | None = None) -> None:
        self.net = net
        self.own = own
        config = net.config
        self.base_channels = channels(config.base)
        self.channels = channels(config.upsample)
        base = BaseStage(config, net.base)
        self.stages: Sequence[Stage] = (
            base,
            UpsamplerStage(config, net.upsample, self.base_channels),
        )

    def encode(self, rgba: Tensor) -> Given:
        if self.own is not None:
            description = self.own(rgba)
            grid, vector = own_tokens(rgba, description), None
            camera = description.layers.camera
        else:
            seen = self.net.clip(pixels(rgba))
            grid, vector = seen.grid, seen.vector
            camera = rgba.new_tensor(_USUAL_CAMERA).expand(len(rgba), -1)
        features = {}
        for name, part in (("base", self.net.base), ("upsample", self.net.upsample)):
            known = grid if vector is None or part.config.picture == "grid" else vector
            features[name] = part.picture(known)
            features[f"no_{name}"] = part.picture(torch.zeros_like(known))
        return Given(rgba, camera, features)

    def begin(self, given: Given, params: SamplingParams) -> Given:
        return given

    def cloud(self, x: Tensor, given: Given) -> PointCloud:
        points = self.channels.unscaled(x)
        positions, colors = points[:, :3], points[:, 3:].clamp(0, 255)
        if self.own is None:
            return PointCloud(turned_up(positions.cpu().numpy()), _bytes(colors))
        upright = from_view(positions[None], given.camera)[0]
        normals = known_normals(PointCloud(upright.cpu().numpy()))
        turned = turn_to_view(torch.from_numpy(normals)[None].to(x), given.camera[:, 4])
        seen = own_colors(positions[None], colors[None] / 255, turned, given.rgba, sided=False)[0]
        return PointCloud(upright.cpu().numpy(), _bytes(seen * 255), normals)

    def mesh(self, x: Tensor, given: Given) -> Mesh | None:
        """Ours is laid in the upright frame, and sees clouds of diameter 1."""
        if self.net.config.sdf is None:
            return None
        if self.own is not None:
            return mesh_by_distance(self.net.sdf, self.cloud(x, given))
        points = self.channels.unscaled(x)
        colors = _bytes(points[:, 3:].clamp(0, 255))
        mesh = mesh_by_distance(self.net.sdf, PointCloud(points[:, :3].cpu().numpy(), colors))
        if mesh is None or mesh.normals is None:
            return mesh
        return replace(mesh, vertices=turned_up(mesh.vertices), normals=turned_up(mesh.normals))


def own_tokens(rgba: Tensor, description: Description) -> Tensor:
    """What stands in for CLIP's grid: [B, 36, OWN_WIDTH] float32.

    To the encoder's tokens come its guesses of the surface in each one's part of the crop, and
    where that is: a small network cannot learn from few pictures what those tokens mean.
    """
    side = _PATCH * math.isqrt(description.tokens.shape[1])
    guesses = F.adaptive_avg_pool2d(surface_guesses(rgba[:, 3], description).float(), side)
    patches = F.pixel_unshuffle(guesses, _PATCH)
    ticks = (torch.arange(patches.shape[-1], device=rgba.device) + 0.5) * (2 / patches.shape[-1])
    up, right = torch.meshgrid(1 - ticks, ticks - 1, indexing="ij")
    place = torch.stack([right, up]).expand(len(rgba), -1, -1, -1)
    own = torch.cat([patches, place], dim=1).flatten(2).transpose(1, 2)
    return torch.cat([description.tokens.float(), own], dim=-1)


def turned_up(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """[N, 3] of the authors' frame, where objects stand along z, in that where they do along y."""
    right, back, up = vectors.T
    return np.stack([right, up, -back], axis=1)


def _bytes(colors: Tensor) -> NDArray[np.uint8]:
    return np.asarray(colors.round().to(torch.uint8).cpu().numpy())


def load_pointe(
    card: ModelCard, tensors: dict[str, Tensor], device: torch.device
) -> PointDiffusion:
    """`card`'s model with the weights `tensors`: of a published one those of its base, of the
    upsampler and of CLIP, as `identify` names them.

    Raises WeightsError where they do not fit, or one of the three is missing.
    """
    config = NETWORKS.get(card.network)
    if config is None:
        known = ", ".join(NETWORKS)
        raise WeightsError(f"{card.id}: network {card.network!r} cannot be served, only {known}")
    if config.clip is None:
        encoder, own = divided(tensors)
        if any(name.startswith("sdf.") for name in own):
            config = replace(config, sdf=OWN_SDF)
        net = PointENet(config)
        fit(net, own, card.id)
        seen_by = OwnEncoder(encoder, device, f"{card.id}: the encoder")
        return PointDiffusion(card, PointESystem(net, seen_by), device)
    for part in _PARTS:
        if not any(name.startswith(part) for name in tensors):
            raise WeightsError(
                f"{card.id}: no tensors of {part[:-1]}; {card.network} needs a base, the "
                "upsampler and CLIP's ViT-L/14"
            )
    with torch.device("meta"):
        net = PointENet(config)
    net = net.to_empty(device="cpu")
    fit(net, tensors, card.id)
    return PointDiffusion(card, PointESystem(net), device)


def identify(
    tensors: Mapping[str, Tensor], notes: Mapping[str, object]
) -> tuple[str, dict[str, Tensor]]:
    """Which part of Point-E a checkpoint is, and its tensors as `load_pointe` wants them.

    The part is a base by its name, "upsample" or "clip". The bases of a text's and of a picture's
    vector have one layout, so that the former is taken for the latter.

    Raises WeightsError where it is none of these.
    """
    tower = tower_tensors(tensors)
    if tower:
        return "clip", _named("clip.", tower, ClipTower, NETWORKS["base40M"].clip)
    width = tensors["input_proj.weight"].shape[0] if "input_proj.weight" in tensors else 0
    blocks = {name.split(".")[2] for name in tensors if name.startswith("backbone.resblocks.")}
    if not width or not blocks:
        raise WeightsError(
            "not a checkpoint of Point-E or CLIP: no input_proj.weight beside backbone.resblocks, "
            f"nor {PREFIX}conv1.weight, among {len(tensors)} tensors"
        )
    size = (width, len(blocks))
    if "cond_point_proj.weight" in tensors:
        return "upsample", _named("upsample.", tensors, PointTransformer, _UPSAMPLER)
    picture = "grid" if "clip_embed.1.weight" in tensors else "vector"
    for name, config in NETWORKS.items():
        base = config.base
        fits = (base.width, base.layers, base.picture) == (*size, picture)
        if fits and name not in ("mini", "base40M-textvec"):
            return name, _named("base.", tensors, PointTransformer, base)
    raise WeightsError(f"no base of Point-E has width {size[0]} and {size[1]} layers ({picture})")


def _named(
    prefix: str, tensors: Mapping[str, Tensor], kind: Callable[[Any], nn.Module], config: object
) -> dict[str, Tensor]:
    """`tensors` with the prefix, once they fit a network of that kind."""
    with torch.device("meta"):
        expected = {name: value.shape for name, value in kind(config).state_dict().items()}
    odd = sorted(expected.keys() ^ tensors.keys())
    odd += sorted(n for n in expected.keys() & tensors.keys() if expected[n] != tensors[n].shape)
    if odd:
        raise WeightsError(
            f"{prefix[:-1]}: the weights do not fit the network: {', '.join(odd[:5])}"
        )
    return {prefix + name: value for name, value in tensors.items()}
