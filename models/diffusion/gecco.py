"""GECCO (Tyszkiewicz, Fua, Trulls 2023): a set transformer on points that look the picture up.

Every point samples the picture's features, bilinearly and without a test of visibility, where it is
projected. What is projected is the preconditioned point c_in * x, as published: neither x nor an
estimate of x_0.

`gecco-mini` is the same with the encoder of `draft` in place of ConvNeXt and view space in place of
the camera's (`models.diffusion.view_space`), where projection is no more than the first two
coordinates.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud
from kernels.checks import trust_values
from models.cameras import OrbitCamera, parse_camera
from models.catalog import ModelCard
from models.contract import SamplingParams
from models.diffusion.coloring import picture_colored, plain
from models.diffusion.gecco_reparam import GaussianReparam, UVLReparam, look_up, projected
from models.diffusion.gecco_transformer import RayNetwork, SetConfig, SetTransformer, edm_scales
from models.diffusion.noise import KarrasNoise
from models.diffusion.staged import Given, PointDiffusion
from models.diffusion.view_network import POINTS, ViewConfig, ViewNet
from models.diffusion.view_space import from_view, turn_from_view
from models.encoders.convnext import DEPTHS, WIDTHS, ConvNeXt
from models.encoders.own import OwnEncoder, divided, fit
from models.errors import WeightsError

Space = Literal["gaussian", "uvl"]

_FAR = 8.0  # spreads of the data: nothing is out there, and UVL's distance is an exponential
_ANY_DISTANCE = 2.0  # of the camera, for the outlines of clouds that were seen by none
_CHURN = 0.5  # of the published sampler, which is Heun's
# Of 3D-R2N2's pictures of ShapeNet as the authors' loader divides them: by side + 1.
_FOCAL, _CENTRE = 149.84375 / 138, 68.5 / 138


@dataclass(frozen=True, slots=True)
class GeccoConfig:
    """Attributes:
    widths, depths: of the picture encoder's stages; none for a network that sees no picture.
    """

    layers: int = 6
    width: int = 384
    inducers: int = 64
    heads: int = 8
    ratio: int = 2
    widths: tuple[int, ...] = WIDTHS[:3]
    depths: tuple[int, ...] = DEPTHS[:3]
    space: Space = "uvl"
    sigma_min: float = 0.002
    sigma_max: float = 180.0  # of the training's configuration; a checkpoint does not say

    @property
    def transformer(self) -> SetConfig:
        return SetConfig(self.layers, self.width, self.inducers, self.heads, self.ratio)


NETWORKS: dict[str, GeccoConfig | ViewConfig] = {
    "taskonomy": GeccoConfig(),
    "shapenet": GeccoConfig(space="gaussian", sigma_max=165.0),
    "airplane": GeccoConfig(widths=(), depths=(), space="gaussian", sigma_max=165.0),
    "mini": POINTS,
}


class LinearLift(nn.Module):
    """The same without a picture."""

    def __init__(self, config: SetConfig) -> None:
        super().__init__()
        self.lift = nn.Linear(3, config.width)
        self.inner = SetTransformer(config)
        norm = nn.LayerNorm(config.width, elementwise_affine=False)
        self.lower = nn.Sequential(norm, nn.Linear(config.width, 3))

    def forward(
        self, x: Tensor, noise: Tensor, states: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        h, told = self.inner(self.lift(x), noise, states)
        return self.lower(h), told


class Precond(nn.Module):
    """Holds the network under its name in the checkpoints."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model


class GeccoNet(nn.Module):
    """A published network, conditional or not, under the authors' keys."""

    def __init__(self, config: GeccoConfig) -> None:
        super().__init__()
        self.config = config
        self.reparam = UVLReparam() if config.space == "uvl" else GaussianReparam()
        model: nn.Module
        if config.widths:
            model = RayNetwork(config.transformer, sum(config.widths), self.reparam)
            self.conditioner = ConvNeXt(config.widths, config.depths)
        else:
            model = LinearLift(config.transformer)
        self.backbone = Precond(model)

    def encode(self, rgb: Tensor) -> list[Tensor]:
        """[B, 3, H, W] in 0..1 to the maps that points look up."""
        maps: list[Tensor] = self.conditioner(rgb) if self.config.widths else []
        return maps

    def seen(self, x: Tensor, maps: Sequence[Tensor], K: Tensor) -> Tensor:
        """[B, N, context]: the maps at diffusion-space points x [B, N, 3]."""
        place = projected(self.reparam.diffusion_to_data(x, K), K)
        return torch.cat([look_up(item, place) for item in maps], dim=-1)

    @trust_values()  # activations: whoever calls looks at what comes out
    def denoise(
        self,
        x: Tensor,
        sigma: Tensor,
        maps: Sequence[Tensor],
        K: Tensor,
        states: Sequence[Tensor] | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """x [B, N, 3] at sigma [B] to x_0 and the inducers' states of all layers."""
        skip, out, scale, noise = edm_scales(sigma.to(x.dtype))
        y = x * scale
        seen = (self.seen(y, maps, K),) if self.config.widths else ()
        found, told = self.backbone.model(y, noise, *seen, states=states)
        return skip * x + out * found, list(told)


class GeccoStage:
    channels = 3

    def __init__(self, net: GeccoNet) -> None:
        self.net = net
        self.noise = KarrasNoise(net.config.sigma_min, net.config.sigma_max, churn=_CHURN)

    def size(self, num_points: int) -> int:
        return num_points

    def denoise(
        self, x: Tensor, sigma: Tensor, given: Given, drop: Tensor | None, before: Tensor | None
    ) -> Tensor:
        """`drop` is not looked at: it was never trained without its picture."""
        names = sorted(name for name in given.features if name.startswith("map"))
        maps = [given.features[name] for name in names]
        x_0, _ = self.net.denoise(x, sigma, maps, given.features["K"])
        return x_0

    def settle(self, x: Tensor, sigma: float, before: Tensor | None) -> Tensor:
        return x


class Gecco:
    """A published network. Raises WeightsError where its data is not in front of the camera."""

    def __init__(self, net: GeccoNet) -> None:
        self.net = net
        self.stages = (GeccoStage(net),)
        self.middle = net.reparam.distance()
        self.distance = self.middle if net.config.widths else _ANY_DISTANCE
        if not (0 < self.distance < math.inf and math.isfinite(self.middle)):
            raise WeightsError(f"GECCO: clouds at a distance of {self.distance} from the camera")

    def encode(self, rgba: Tensor) -> Given:
        """The crop is laid on white, as the pictures of ShapeNet's objects are; their lens."""
        alpha = rgba[:, 3:]
        maps = self.net.encode(rgba[:, :3] * alpha + (1 - alpha))
        features = {f"map{number}": item for number, item in enumerate(maps)}
        K = torch.tensor([[_FOCAL, 0, _CENTRE], [0, _FOCAL, _CENTRE], [0, 0, 1]])
        return self._seen_by(Given(rgba, rgba.new_zeros(len(rgba), 5), features), K.to(rgba))

    def _seen_by(self, given: Given, K: Tensor, elevation: float = 0.0) -> Given:
        """`given` with a lens K [3, 3], and the camera that follows from it."""
        B = len(given.rgba)
        across, up = (self.distance / (2 * float(K[axis, axis])) for axis in (0, 1))
        half = max(across, up)
        right, down = (float(2 * K[axis, 2] - 1) * h for axis, h in ((0, across), (1, up)))
        camera = given.rgba.new_tensor([half, 1 / self.distance, -right, down, elevation])
        features = given.features | {"K": K.expand(B, 3, 3)}
        rgba = given.rgba
        if across != up:  # the camera's picture is as wide as high; the network has seen its own
            squeezed = rgba.new_tensor([[half / across, 0, 0], [0, half / up, 0]])
            grid = F.affine_grid(squeezed.expand(B, 2, 3), list(rgba.shape), align_corners=False)
            weighted = torch.cat([rgba[:, :3] * rgba[:, 3:], rgba[:, 3:]], dim=1)
            found = F.grid_sample(weighted, grid, padding_mode="zeros", align_corners=False)
            rgba = torch.cat([found[:, :3] / found[:, 3:].clamp(min=1e-3), found[:, 3:]], dim=1)
        return Given(rgba, camera.expand(B, 5), features)

    def begin(self, given: Given, params: SamplingParams) -> Given:
        """Of a given camera the lens counts, and how high it stands: the cloud is made in its own
        space, at the distance of the training's clouds. Raises CameraError."""
        camera = parse_camera(params.camera)
        if camera is None:
            return given
        K = given.features["K"][0]
        if isinstance(camera, OrbitCamera):
            return self._seen_by(given, K, math.radians(camera.elevation))
        K = K.clone()
        for axis in (0, 1):  # PyTorch3D's picture has its first axis to the left, its second up
            K[axis, axis] = camera.focal[axis] / 2
            K[axis, 2] = (1 - camera.principal[axis]) / 2
        forwards = camera.R[1][2]  # of the axis that points up, along the camera's
        return self._seen_by(given, K, -math.asin(max(-1.0, min(1.0, forwards))))

    def cloud(self, x: Tensor, given: Given) -> PointCloud:
        x = x.clamp(-_FAR, _FAR)[None]
        data = self.net.reparam.diffusion_to_data(x, given.features["K"])
        right, down, ahead = data.unbind(dim=-1)
        seen = torch.stack([right, -down, self.middle - ahead], dim=-1)
        points = turn_from_view(seen, given.camera[:, 4])[0]
        if not self.net.config.widths:
            return plain(points.float().cpu().numpy())
        return picture_colored(points, given.camera, given.rgba)

    def mesh(self, x: Tensor, given: Given) -> Mesh | None:
        return None


class ViewStage:
    """Of a network in view space."""

    def __init__(self, net: ViewNet) -> None:
        self.net = net
        self.channels = net.config.channels
        self.noise = KarrasNoise(net.config.sigma_min, net.config.sigma_max)

    def size(self, num_points: int) -> int:
        return num_points

    def denoise(
        self, x: Tensor, sigma: Tensor, given: Given, drop: Tensor | None, before: Tensor | None
    ) -> Tensor:
        """`drop` is not looked at: it was never trained without its picture."""
        found: Tensor = self.net(x, sigma, given.features["map"], given.features["plain"])
        return found

    def settle(self, x: Tensor, sigma: float, before: Tensor | None) -> Tensor:
        return x


class GeccoMini:
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
        view = (x[:, :3] * self.net.spread[:3])[None]
        return picture_colored(from_view(view, given.camera)[0], given.camera, given.rgba)

    def mesh(self, x: Tensor, given: Given) -> Mesh | None:
        return None


def load_gecco(card: ModelCard, tensors: dict[str, Tensor], device: torch.device) -> PointDiffusion:
    """`card`'s model with the weights `tensors`. Raises WeightsError where they do not fit."""
    config = _config(card)
    if isinstance(config, GeccoConfig):
        net = GeccoNet(config)
        fit(net, tensors, card.id)
        return PointDiffusion(card, Gecco(net), device)
    encoder, own = divided(tensors)
    mini = ViewNet(config)
    fit(mini, own, card.id)
    frozen = OwnEncoder(encoder, device, name=f"{card.id}: the encoder")
    return PointDiffusion(card, GeccoMini(mini, frozen), device)


def _config(card: ModelCard) -> GeccoConfig | ViewConfig:
    if card.network in NETWORKS:
        return NETWORKS[card.network]
    try:
        values = json.loads(card.network)
        known = {item.name for item in fields(GeccoConfig)}
        odd = values.keys() - known
    except (ValueError, AttributeError) as error:
        raise WeightsError(f"{card.id}: no network {card.network!r} of GECCO") from error
    if odd:
        raise WeightsError(f"{card.id}: GECCO has no setting {min(odd)!r}")
    lists = {name: tuple(values[name]) for name in ("widths", "depths") if name in values}
    return GeccoConfig(**values | lists)


def identify(
    tensors: Mapping[str, Tensor], notes: Mapping[str, object]
) -> tuple[str, dict[str, Tensor]]:
    """The network of a published checkpoint, as `ModelCard.network` has it, and its tensors.

    Raises WeightsError where they are no GECCO.
    """
    found = {name.replace("_orig_mod.", ""): tensor for name, tensor in tensors.items()}
    inner = "backbone" if "backbone.model.xyz_embed.weight" in found else "inner"
    prefix = f"backbone.model.{inner}.layers."
    inducers = found.get(f"{prefix}0.broadcast.pool.inducers")
    hidden = found.get(f"{prefix}0.mlp.0.weight")
    if inducers is None or hidden is None or inducers.ndim != 4:
        raise WeightsError(f"no GECCO: {prefix}0 has no inducers and no hidden layer")
    _, heads, count, width = inducers.shape
    widths, depths = _stages(found)
    if not all((heads, count, width, len(hidden), *widths)):
        raise WeightsError(f"no GECCO: {prefix}0 or a stage of the encoder is empty")
    config = GeccoConfig(
        layers=len({name.split(".")[4] for name in found if name.startswith(prefix)}),
        width=heads * width,
        inducers=count,
        heads=heads,
        ratio=len(hidden) // (heads * width),
        widths=widths,
        depths=depths,
        space="uvl" if "reparam.uvl_mean" in found else "gaussian",
    )
    with torch.device("meta"):
        wanted = {name: item.shape for name, item in GeccoNet(config).state_dict().items()}
    odd = sorted(wanted.keys() ^ found.keys())
    odd += sorted(n for n in wanted.keys() & found.keys() if wanted[n] != found[n].shape)
    if odd:
        raise WeightsError(f"no GECCO that is known: {', '.join(odd[:3])} of {len(odd)} differ")
    for name, known in NETWORKS.items():
        if isinstance(known, GeccoConfig) and replace(known, sigma_max=config.sigma_max) == config:
            return name, found
    return json.dumps(asdict(config)), found


def _stages(tensors: Mapping[str, Tensor]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Widths and depths of the picture encoder's stages."""
    widths: list[int] = []
    depths: list[int] = []
    while (f"conditioner.stages.{len(widths)}.1.0.layer_scale") in tensors:
        stage = f"conditioner.stages.{len(widths)}.1."
        widths.append(len(tensors[f"{stage}0.layer_scale"]))
        depth = 0
        while f"{stage}{depth}.layer_scale" in tensors:
            depth += 1
        depths.append(depth)
    return tuple(widths), tuple(depths)
