"""DiT-3D (Mo et al. 2023), a class of object to a cloud, and our variant of it that sees a picture.

The published networks take a label alone: their clouds are some object of the class and have
nothing of the picture, not even its colours. Ours works in the space of the crop
(`models.diffusion.view_space`), so that a place in the grid is always at the same place in the
picture, and is turned upright with the camera that the encoder saw.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace

import torch
from torch import Tensor, nn

from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud
from kernels.checks import trust_values
from models.catalog import ModelCard
from models.contract import SamplingParams
from models.diffusion.coloring import picture_colored
from models.diffusion.dit3d_image import PictureReader, Shown
from models.diffusion.dit3d_network import Dit3dConfig, Dit3dNet
from models.diffusion.noise import DiscreteNoise, clean, scale
from models.diffusion.staged import Given, PointDiffusion
from models.diffusion.view_space import from_view
from models.encoders.own import OwnEncoder, divided, fit
from models.errors import ParameterError, WeightsError
from models.schedules import beta_curve, warm_betas

_SIZES = {"S": (384, 12, 6), "B": (768, 12, 12), "L": (1152, 24, 16), "XL": (1152, 28, 16)}
_HEADS = {hidden: heads for hidden, _, heads in _SIZES.values()}  # no tensor tells their number
MINI = Dit3dConfig(hidden=192, depth=4, heads=6, patch=4, voxels=16, pictures=True, span=2.5)
NETWORKS: dict[str, Dit3dConfig] = {
    **{
        f"{size}/{patch}": Dit3dConfig(hidden, depth, heads, patch)
        for size, (hidden, depth, heads) in _SIZES.items()
        for patch in (2, 4, 8)
    },
    "mini": MINI,
}
POINTS = 2048  # of a published cloud
MOST_POINTS = 4096  # of ours
SPREAD = 0.45  # of view space, about: y has unit variance
_ANYWHERE = (0.5, 0.45, 0.0, 0.0, 0.43)  # the camera of a picture that nothing looks at


def betas_of(config: Dit3dConfig) -> tuple[float, ...]:
    if config.betas == "warm0.1":
        return warm_betas("constant", 1000, 1e-5, 8e-3, 0.1)
    return beta_curve("linear")


class PicturedNet(nn.Module):
    """Our variant: what is read of a picture, and the transformer."""

    def __init__(self, config: Dit3dConfig) -> None:
        super().__init__()
        self.reader = PictureReader(config.hidden, config.depth, config.heads)
        self.denoiser = Dit3dNet(config)

    def forward(self, y: Tensor, t: Tensor, sigma: Tensor, shown: Shown) -> Tensor:
        """The noise of y [R, N, 3]: that of a normal cloud of the data's spread, and what the
        network adds, so that its task is of one size at every t (Salimans and Ho 2022)."""
        kept = scale(sigma).to(y.dtype)
        half = self.denoiser.config.span * SPREAD / kept.flatten()
        added: Tensor = kept * self.denoiser(y, t, shown=shown, half=half)
        return added + (1 - kept.square()).sqrt() * y


class LabelStage:
    """The published diffusion."""

    channels = 3

    def __init__(self, net: Dit3dNet) -> None:
        self.net = net
        self.noise = DiscreteNoise(betas_of(net.config))

    def size(self, num_points: int) -> int:
        return POINTS

    @trust_values()  # x is finite: whoever calls looks at what came of it
    def denoise(
        self, x: Tensor, sigma: Tensor, given: Given, drop: Tensor | None, before: Tensor | None
    ) -> Tensor:
        label = given.features["label"]
        if drop is not None:
            label = label.masked_fill(drop, self.net.config.classes)
        y = (x * scale(sigma)).to(self.net.pos_embed.dtype)
        return clean(x, sigma, self.net(y, self.noise.times(sigma), label))

    def settle(self, x: Tensor, sigma: float, before: Tensor | None) -> Tensor:
        return x


class LabelSystem:
    """One class of object, or several; the picture is not looked at."""

    def __init__(self, net: Dit3dNet) -> None:
        self.net = net
        self.stages = (LabelStage(net),)

    def encode(self, rgba: Tensor) -> Given:
        camera = torch.tensor(_ANYWHERE, device=rgba.device).expand(len(rgba), -1)
        label = torch.zeros(len(rgba), dtype=torch.int64, device=rgba.device)
        return Given(rgba, camera, {"label": label})

    def begin(self, given: Given, params: SamplingParams) -> Given:
        classes = self.net.config.classes
        if not 0 <= params.label < classes:
            raise ParameterError("label", f"must be 0 to {classes - 1}, got {params.label}")
        label = torch.full_like(given.features["label"], params.label)
        return replace(given, features={"label": label})

    def cloud(self, x: Tensor, given: Given) -> PointCloud:
        """ShapeNet has up at +Y as we do, and the front at -Z."""
        turned = x.float() * torch.tensor([-1.0, 1.0, -1.0], device=x.device)
        return PointCloud(turned.cpu().numpy())

    def mesh(self, x: Tensor, given: Given) -> Mesh | None:
        return None


class PictureStage:
    """Our variant's diffusion, in view space over its spread."""

    channels = 3

    def __init__(self, net: PicturedNet) -> None:
        self.net = net
        self.noise = DiscreteNoise(betas_of(net.denoiser.config))

    def size(self, num_points: int) -> int:
        return min(num_points, MOST_POINTS)

    @trust_values()  # as above
    def denoise(
        self, x: Tensor, sigma: Tensor, given: Given, drop: Tensor | None, before: Tensor | None
    ) -> Tensor:
        shown = Shown(**given.features)
        if drop is not None:
            shown = shown.hidden_where(drop, self.net.reader.none())
        y = x * scale(sigma)
        return clean(x, sigma, self.net(y, self.noise.times(sigma), sigma, shown))

    def settle(self, x: Tensor, sigma: float, before: Tensor | None) -> Tensor:
        return x


class PictureSystem:
    """DiT-3D with a picture."""

    def __init__(self, encoder: OwnEncoder, net: PicturedNet) -> None:
        self.encoder = encoder
        self.net = net
        self.stages = (PictureStage(net),)

    def encode(self, rgba: Tensor) -> Given:
        description = self.encoder(rgba)
        with trust_values():
            shown = self.net.reader(description.tokens, rgba[:, 3:])
        features = {field.name: getattr(shown, field.name) for field in fields(shown)}
        return Given(rgba, description.layers.camera, features)

    def begin(self, given: Given, params: SamplingParams) -> Given:
        return given

    def cloud(self, x: Tensor, given: Given) -> PointCloud:
        upright = from_view(x[None].float() * SPREAD, given.camera)[0]
        return picture_colored(upright, given.camera, given.rgba)

    def mesh(self, x: Tensor, given: Given) -> Mesh | None:
        return None


def load_dit3d(card: ModelCard, tensors: dict[str, Tensor], device: torch.device) -> PointDiffusion:
    """`card`'s model with the weights `tensors`, published names without their `model.`.

    Raises:
        WeightsError: they do not fit, or `card.network` is none of ours.
    """
    config = parsed(card.network)
    if not config.pictures:
        net = Dit3dNet(config)
        fit(net, tensors, card.id)
        return PointDiffusion(card, LabelSystem(net), device)
    encoder, own = divided(tensors)
    pictured = PicturedNet(config)
    fit(pictured, own, card.id)
    system = PictureSystem(OwnEncoder(encoder, device, card.id), pictured)
    return PointDiffusion(card, system, device)


def parsed(network: str) -> Dit3dConfig:
    """A name of NETWORKS, or the fields of a config as JSON. Raises WeightsError."""
    if network in NETWORKS:
        return NETWORKS[network]
    try:
        given = json.loads(network)
        blocks = tuple(given.pop("window_blocks", ()))
        return Dit3dConfig(**given, window_blocks=blocks)
    except (ValueError, TypeError, AttributeError) as error:
        raise WeightsError(f"no network of DiT-3D: {network!r} ({error})") from error


def identify(
    tensors: Mapping[str, Tensor], notes: Mapping[str, object]
) -> tuple[str, dict[str, Tensor]]:
    """Which network a published checkpoint is of, and its tensors without their `model.`.

    Its schedule is taken as `linear`: nothing in a checkpoint tells one of airplanes, whose card
    needs `"betas": "warm0.1"`. Neither do the heads of a width that was not published, which
    `notes` may have as `num_heads`.

    Raises:
        WeightsError: it is of another system, or a width that is not known.
    """
    own = {name.removeprefix("model."): value for name, value in tensors.items()}
    config = _told(own, notes)
    with torch.device("meta"):
        expected = {name: value.shape for name, value in Dit3dNet(config).state_dict().items()}
    shapes = {name: value.shape for name, value in own.items()}
    odd = [name for name in {*expected, *shapes} if expected.get(name) != shapes.get(name)]
    if odd:
        raise WeightsError(f"not a checkpoint of DiT-3D: {_named(sorted(odd))} does not fit")
    known = (name for name, network in NETWORKS.items() if network == config)
    return next(known, json.dumps(asdict(config))), own


def _told(own: Mapping[str, Tensor], notes: Mapping[str, object]) -> Dit3dConfig:
    """The sizes that the tensors have. Raises WeightsError."""
    needed = {"x_embedder.proj.weight": 5, "pos_embed": 3, "y_embedder.embedding_table.weight": 2}
    wrong = [name for name, dims in needed.items() if name not in own or own[name].ndim != dims]
    if wrong:
        raise WeightsError(f"not a checkpoint of DiT-3D: no {_named(wrong)} in it")
    hidden, _, patch = own["x_embedder.proj.weight"].shape[:3]
    side = round(own["pos_embed"].shape[1] ** (1 / 3))
    depth = len({name.split(".")[1] for name in own if name.startswith("blocks.")})
    heads = notes.get("num_heads", _HEADS.get(hidden))
    if not isinstance(heads, int):
        raise WeightsError(f"DiT-3D of width {hidden}: the number of its heads is not known")
    classes = len(own["y_embedder.embedding_table.weight"]) - 1
    try:
        return Dit3dConfig(hidden, depth, heads, patch, patch * side, classes)
    except ValueError as error:
        raise WeightsError(f"not a checkpoint of DiT-3D: {error}") from error


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
