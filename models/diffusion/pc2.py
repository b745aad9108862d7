"""PC^2 (Melas-Kyriazi et al., CVPR 2023): each point is told what the picture shows where it is.

At every step the noisy cloud is drawn with the picture's camera, and those of its points that can
be seen get the colours, the features of a vision transformer, the mask and its distance transform
at their pixel (`models.diffusion.projection`). PVCNN2 predicts the noise from both. All of that but
the drawing depends on the picture alone and is computed once for a request, where the published
code computes it again at every step.

`mini` is our own size: the frozen network of `draft` stands for the transformer, and guesses the
camera.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud
from kernels.checks import trust_values
from models.cameras import OrbitCamera, PerspectiveCamera, parse_camera
from models.catalog import ModelCard
from models.contract import SamplingParams
from models.diffusion.coloring import picture_colored
from models.diffusion.noise import DiscreteNoise, clean, scale
from models.diffusion.pc2_color import Pc2ColorConfig, Pc2Painter
from models.diffusion.projection import FINE_CHANNELS, Views, fine_maps, looked_up, upright
from models.diffusion.pvcnn2 import Pvcnn2, Pvcnn2Config
from models.diffusion.staged import Given, PointDiffusion
from models.encoders.own import (
    IMAGE_SIZE,
    OwnEncoder,
    OwnFeatures,
    divided,
    enlarged,
    fit,
)
from models.encoders.vit import Vit, VitConfig
from models.errors import NoForegroundError, NonFiniteError, WeightsError
from models.feedforward.draft import Description
from models.schedules import beta_curve, warm_betas

NETWORK, ENCODER = "point_cloud_model.model.", "feature_model.model."
COLOR = "color."  # of the names of the colour model's tensors
_TIMES = 1000
_SMALLEST = 1e-6  # unit of a cloud, and the reciprocal of the largest: beyond, float32 loses points
_CUSTOM = 0.3  # `warm_share` of the schedule of that name
_FULL_HEAD = 128  # channels before the last layer at full width
_LEAST_HEAD = 32  # the same where the narrowest layer has the 8 channels of its norm's groups
_HEAD, _HEADS = 64, 6  # channels of one in usual transformers, and how many others have
_SHARPNESS = (3.0, 18.0)  # of distances to those surfaces, in object diameters
_MOST_NOISE = 4.0  # of a point that is taken to belong to such a surface

_PUBLISHED, _VIT_S = Pvcnn2Config(extra_feature_channels=389), VitConfig()


@dataclass(frozen=True, slots=True)
class Pc2Config:
    """Attributes:
    vit: the published encoder; None for our own.
    features: channels of the encoder's map.
    radius: of a point's disc, in half sides of the picture.
    warm_share: of the times, over which betas rise to `beta_end`: 0.3 in the `custom` schedule.
    scale_factor: published name of how many units of the cloud make one of the camera's.
    diameter: of an object, in units of the cameras that the network was trained with.
    background: grey level that the picture is laid on.
    half, distance, elevation: of the camera of a picture whose own is not known, for networks
        that cannot guess it: half side of the crop at the object's centre and distance in object
        diameters, degrees.
    most_points: that are sampled; more are interpolated. 0: as many as are asked for.
    """

    network: Pvcnn2Config = _PUBLISHED
    vit: VitConfig | None = _VIT_S
    image_size: int = 224
    features: int = 384
    radius: float = 0.0075
    beta_start: float = 1e-5
    beta_end: float = 8e-3
    warm_share: float = 0.0
    scale_factor: float = 1.0
    diameter: float = 1.0
    background: float = 0.0
    half: float = 0.5556
    distance: float = 1.2154  # so that the focal length is 2.1875, that of the ShapeNet renderings
    elevation: float = 20.0
    most_points: int = 0

    def __post_init__(self) -> None:
        if not (_SMALLEST < self.unit < 1 / _SMALLEST and self.radius > 0):
            raise ValueError("scale_factor, diameter and radius must be above 0, and none extreme")

    @property
    def unit(self) -> float:
        """Units of the cloud to one object diameter."""
        return self.scale_factor * self.diameter


MINI = Pc2Config(
    network=Pvcnn2Config(
        extra_feature_channels=47,
        width_multiplier=0.25,
        voxel_resolution_multiplier=0.375,
        centers=(256, 64, 32, 16),
        dropout=0.0,
    ),
    vit=None,
    image_size=IMAGE_SIZE,
    features=32,
    radius=0.0075 * 224 / IMAGE_SIZE,  # as many pixels
    scale_factor=5.0,
    background=0.5,
    most_points=2048,
)
NETWORKS: dict[str, Pc2Config] = {"published": Pc2Config(), "mini": MINI}
_COLOR_FEATURES, _COLOR_WIDTH = 16, 32  # of the colour model beside our own encoder


class _Held(nn.Module):
    """A network under one more name, as the authors keep theirs."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model


class Pc2Net(nn.Module):
    """Encoder's part and point network; for the published sizes under the authors' keys."""

    def __init__(self, config: Pc2Config) -> None:
        super().__init__()
        self.config = config
        self.point_cloud_model = _Held(Pvcnn2(config.network))
        features = Vit(config.vit) if config.vit else OwnFeatures(config.features)
        self.feature_model = _Held(features)
        self.noise = noise_of(config)

    def eps(
        self,
        y: Tensor,
        t: Tensor,
        views: Views,
        coarse: Tensor,
        fine: Tensor,
        drop: Tensor | None = None,
        centre: Tensor | None = None,
    ) -> Tensor:
        """The predicted noise [B, N, 3] of y [B, N, 3] at times t [B].

        Args:
            drop: [B] bool, rows that are told nothing of the picture.
            centre: [B, 3], where y's origin is in the scene, in the unit of y.
        """
        places = y if centre is None else y + centre[:, None]
        ndc = views.to_ndc(places, self.config.unit)
        local = looked_up(ndc, coarse, fine, self.config.radius)
        if self.config.vit is None:
            sigma = self.noise.sigmas.to(t.device)[t].to(y).view(-1, 1, 1)
            local = _against_guesses(local, y, sigma, ndc, views, self.config.unit)
        if drop is not None:
            local = local.masked_fill(drop.view(-1, 1, 1), 0.0)
        predicted: Tensor = self.point_cloud_model.model(torch.cat([y, local.to(y)], dim=-1), t)
        return predicted


def _against_guesses(
    local: Tensor, y: Tensor, sigma: Tensor, ndc: Tensor, views: Views, unit: float
) -> Tensor:
    """`local` of `looked_up` with what follows from the guessed depths in place of those.

    Of seen points: how far each lies before both surfaces, and what its noise would be if it had
    been on one of them, on the same ray.

    Args:
        local: [B, N, ..], the two depths before the mask and the distance transform.
        sigma: [B, 1, 1] of y [B, N, 3].
    """
    told, guessed, rest = local[..., :-4], local[..., -4:-2], local[..., -2:]
    seen = rest.sum(dim=-1, keepdim=True) > 0  # one of both is, wherever a pixel is
    depth = views.T[:, None, 2:] - ndc[..., 2:] / unit
    off = torch.where(seen, guessed - depth, 0.0)
    flat = (ndc[..., :2] - views.principal[:, None]) / views.focal[:, None]
    ray = F.pad(torch.where(seen, flat, 0.0), (0, 1), value=1.0) @ -views.R.mT  # to the camera
    shrunk = (1 + sigma.square()).sqrt() - 1  # what is lost of a place between x and y
    noises = [(shrunk * y - unit * off[..., k, None] * ray) / sigma for k in range(2)]
    noise = torch.cat(noises, dim=-1).clamp(-_MOST_NOISE, _MOST_NOISE) * seen
    waves = [torch.tanh(factor * off) for factor in _SHARPNESS]
    return torch.cat([told, *waves, noise, rest], dim=-1)


def painter_of(config: Pc2Config) -> Pc2Painter:
    """The colour model of a size of PC^2, with weights still to be loaded."""
    own = None if config.vit else OwnFeatures(_COLOR_FEATURES)
    told = config.features if config.vit else _COLOR_FEATURES + 2
    width = Pc2ColorConfig().width if config.vit else _COLOR_WIDTH
    sizes = Pc2ColorConfig(told + FINE_CHANNELS, width, network=config.network)
    return Pc2Painter(sizes, own, config.unit, config.radius)


def noise_of(config: Pc2Config) -> DiscreteNoise:
    first, last, share = config.beta_start, config.beta_end, config.warm_share
    if share:
        return DiscreteNoise(warm_betas("linear", _TIMES, first, last, share))
    return DiscreteNoise(beta_curve("linear", _TIMES, first, last))


class ProjectedStage:
    """The one stage of PC^2."""

    channels = 3

    def __init__(self, net: Pc2Net) -> None:
        self.net = net
        self.noise = net.noise

    def size(self, num_points: int) -> int:
        return min(num_points, self.net.config.most_points or num_points)

    def denoise(
        self, x: Tensor, sigma: Tensor, given: Given, drop: Tensor | None, before: Tensor | None
    ) -> Tensor:
        return clean(x, sigma, self.eps(x, sigma, given, drop))

    @trust_values()  # of a cloud that was found finite after the step before
    def eps(self, x: Tensor, sigma: Tensor, given: Given, drop: Tensor | None) -> Tensor:
        kept = given.features
        return self.net.eps(
            x * scale(sigma),
            self.noise.times(sigma),
            Views.unpacked(kept["view"]),
            kept["coarse"],
            kept["fine"],
            drop,
            kept.get("centre"),
        )

    def settle(self, x: Tensor, sigma: float, before: Tensor | None) -> Tensor:
        return x


class Pc2:
    """A `System`. `encoder` stands beside networks that have none of their own; without `painter`,
    colours are the picture's."""

    def __init__(
        self,
        net: Pc2Net,
        encoder: OwnEncoder | None,
        device: torch.device,
        painter: Pc2Painter | None = None,
    ) -> None:
        self.net = net
        self.painter = painter
        if painter is not None:
            painter.to(device).eval().requires_grad_(False)
        self.config = net.config
        self.encoder = encoder
        self.device = device
        self.stages: tuple[ProjectedStage, ...] = (ProjectedStage(net),)

    def encode(self, rgba: Tensor) -> Given:
        """Raises NoForegroundError where a crop is transparent everywhere."""
        original = rgba
        if rgba.shape[-1] != self.config.image_size:
            rgba = enlarged(rgba, self.config.image_size)
        alpha = rgba[:, 3:]
        if bool((alpha.amax(dim=(1, 2, 3)) <= 0).any()):
            raise NoForegroundError("the mask is empty: there is no object to project points onto")
        rgb = laid_on(rgba, self.config.background)
        description = None if self.encoder is None else self.encoder(rgba)
        if description is None:
            vit = cast(Vit, self.net.feature_model.model)
            coarse, camera = vit.grid(vit(rgb)), self._usual_camera(rgba)
        else:
            coarse = self.net.feature_model.model(description)
            camera = description.layers.camera
        turn = torch.eye(3, device=rgba.device).expand(len(rgba), 3, 3)
        features = {
            "view": Views.of_windows(camera).packed,
            "coarse": coarse,
            "fine": fine_maps(rgb, alpha),
            "turn": turn,
        }
        if self.painter is not None and self.painter.features is not None:
            features["color"] = self.painter.features(description)
        return Given(original, camera, features | self.describe(rgba, description))

    def describe(self, rgba: Tensor, description: Description | None) -> dict[str, Tensor]:
        """More features, of systems that build on this one."""
        return {}

    def _usual_camera(self, rgba: Tensor) -> Tensor:
        config = self.config
        elevation = config.elevation * torch.pi / 180
        row = rgba.new_tensor([config.half, 1 / config.distance, 0.0, 0.0, elevation])
        return row.expand(len(rgba), 5)

    def begin(self, given: Given, params: SamplingParams) -> Given:
        """Raises CameraError."""
        camera = parse_camera(params.camera)
        if camera is None:
            return given
        if isinstance(camera, OrbitCamera):
            row = given.camera.clone()
            row[:, 1] = 1 / camera.distance
            row[:, 4] = camera.elevation * torch.pi / 180
            view = {"view": Views.of_windows(row).packed}
            return replace(given, camera=row, features=given.features | view)
        return self._seen_by(given, camera)

    def _seen_by(self, given: Given, camera: PerspectiveCamera) -> Given:
        views = Views.of(camera, given.camera)
        rgba, row, turn = upright(given.rgba, views)
        if self.encoder is not None:  # trained with objects that are turned to the camera
            views = replace(views, R=turn.mT @ views.R)
            turn = given.features["turn"]
        changed = {"view": views.packed, "turn": turn}
        return Given(rgba, row, given.features | changed)

    def cloud(self, x: Tensor, given: Given) -> PointCloud:
        points = x / self.config.unit @ given.features["turn"][0]
        return picture_colored(points, given.camera, given.rgba)

    def painted(self, x: Tensor, given: Given) -> NDArray[np.uint8] | None:
        """The colour model's colours of the finished cloud x [N, 3]; None without one.

        Raises NonFiniteError.
        """
        if self.painter is None:
            return None
        kept = given.features
        coarse = kept.get("color", kept["coarse"])
        views = Views.unpacked(kept["view"])
        colors = self.painter(x[None].to(coarse), views, coarse, kept["fine"])[0]
        if not bool(colors.isfinite().all()):
            raise NonFiniteError((0,))
        rounded: NDArray[np.uint8] = (
            (colors.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
        )
        return rounded

    def mesh(self, x: Tensor, given: Given) -> Mesh | None:
        return None


def laid_on(rgba: Tensor, grey: float) -> Tensor:
    """Pictures [B, 4, S, S] over a plain background: [B, 3, S, S]."""
    return grey + (rgba[:, :3] - grey) * rgba[:, 3:]


def config_of(network: str, known: Mapping[str, Pc2Config] = NETWORKS) -> Pc2Config:
    """The sizes that a card names, or writes out as JSON with those fields that differ.

    Raises WeightsError: neither.
    """
    if network in known:
        return known[network]
    try:
        given = json.loads(network)
        parts: dict[str, Any] = dict(given)
        for name, kind in (("network", Pvcnn2Config), ("vit", VitConfig)):
            if name in parts:
                parts[name] = kind(**parts[name])
        return Pc2Config(**parts)
    except (ValueError, TypeError) as error:
        raise WeightsError(f"no such network of PC^2: {network!r} ({error})") from error


N = TypeVar("N", bound=Pc2Net)


def built(kind: type[N], network: str) -> N:
    """The network of `config_of`, of class `kind`. Raises WeightsError: it cannot have such sizes
    or betas."""
    config = config_of(network)
    try:
        return kind(config)
    except (ValueError, TypeError, ArithmeticError, RuntimeError) as error:
        raise WeightsError(f"no such network of PC^2: {network!r} ({error})") from error


def load_parts(
    card: ModelCard, tensors: Mapping[str, Tensor], device: torch.device, kind: type[N]
) -> tuple[N, OwnEncoder | None, Pc2Painter | None]:
    """The network of a card, the encoder beside it and the colour model. Raises WeightsError."""
    net, encoder, painter = built(kind, card.network), None, None
    if net.config.vit is None:
        rest, tensors = divided(tensors)
        encoder = OwnEncoder(rest, device, f"{card.id}: the encoder")
    color = {n.removeprefix(COLOR): t for n, t in tensors.items() if n.startswith(COLOR)}
    fit(net, {n: t for n, t in tensors.items() if not n.startswith(COLOR)}, card.id)
    if color:
        painter = painter_of(net.config)
        fit(painter, color, f"{card.id}: the colour model")
    return net, encoder, painter


def load_pc2(card: ModelCard, tensors: dict[str, Tensor], device: torch.device) -> PointDiffusion:
    """`card`'s model with the weights `tensors`. Raises WeightsError where they do not fit."""
    net, encoder, painter = load_parts(card, tensors, device, Pc2Net)
    return PointDiffusion(card, Pc2(net, encoder, device, painter), device)


def identify(
    tensors: Mapping[str, Tensor], notes: Mapping[str, object]
) -> tuple[str, dict[str, Tensor]]:
    """What a published checkpoint is: its sizes, for a card, and its tensors without the rest.

    Heads of an encoder leave no trace in its tensors: `notes` may have their number as `num_heads`,
    else they have 64 channels where that divides the width. The scale of the cloud and the betas
    are kept, where the notes have them.

    Raises:
        WeightsError: it is no checkpoint of PC^2.
    """
    kept = {n: t for n, t in tensors.items() if n.startswith((NETWORK, ENCODER))}
    try:
        network = _network_sizes(kept)
        vit = _encoder_sizes(kept, notes)
    except KeyError as error:
        raise WeightsError(f"no checkpoint of PC^2: it has no tensor {error.args[0]!r}") from error
    except (IndexError, TypeError, ValueError) as error:
        raise WeightsError(f"no checkpoint of PC^2: a tensor's shape is odd ({error})") from error
    extra = network["extra_feature_channels"]
    if extra != vit["width"] + FINE_CHANNELS:
        raise WeightsError(
            f"no checkpoint of PC^2: its points are told {extra} numbers, where its encoder and "
            f"the picture give {vit['width'] + FINE_CHANNELS}"
        )
    sizes: dict[str, object] = {
        "network": network,
        "vit": vit,
        "image_size": vit["image_size"],
        "features": vit["width"],
    }
    for name in ("scale_factor", "beta_start", "beta_end"):
        value = notes.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            sizes[name] = float(value)
    if notes.get("beta_schedule") == "custom":
        sizes["warm_share"] = _CUSTOM
    text = json.dumps(sizes)
    with torch.device("meta"):
        fit(built(Pc2Net, text), {n: t.to("meta") for n, t in kept.items()}, "PC^2")
    published = asdict(config_of(text)) == asdict(NETWORKS["published"])
    return "published" if published else text, kept


def _network_sizes(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Raises KeyError, ValueError."""
    head = tensors[NETWORK + "classifier.2.weight"]
    first = tensors[NETWORK + "sa_layers.0.0.voxel_layers.0.weight"]
    if head.shape[1] % _LEAST_HEAD or not min(t.numel() for t in tensors.values()):
        raise ValueError(f"the last layer's is {list(head.shape)}, or one is empty")
    return {
        "num_classes": len(head),
        "embed_dim": len(tensors[NETWORK + "embedf.0.weight"]),
        "extra_feature_channels": first.shape[1] - 3,
        "width_multiplier": head.shape[1] / _FULL_HEAD,
    }


def _encoder_sizes(tensors: Mapping[str, Tensor], notes: Mapping[str, object]) -> dict[str, int]:
    """Raises KeyError; WeightsError: no number of heads, or one that does not divide the width."""
    width, _, patch, _ = tensors[ENCODER + "patch_embed.proj.weight"].shape
    side = math.isqrt(tensors[ENCODER + "pos_embed"].shape[1] - 1)
    blocks = {n.split(".")[3] for n in tensors if n.startswith(ENCODER + "blocks.")}
    heads = notes.get("num_heads", width // _HEAD if width % _HEAD == 0 else _HEADS)
    if not isinstance(heads, int) or heads < 1 or width % heads:
        raise WeightsError(f"PC^2: an encoder of width {width} cannot have {heads!r} heads")
    return {
        "image_size": side * patch,
        "patch_size": patch,
        "width": width,
        "depth": len(blocks),
        "heads": heads,
    }
