"""`draft`: one pass from a picture to the front and back surface of the object, per pixel.

Own design. A small convolutional stem and a transformer over 16 x 16 tokens predict, for every
pixel of a foreground crop, the depth of the first and of the last surface along its ray and the
colour of both, and for the picture as a whole the camera (elevation, distance, crop window). The
layers are lifted to the upright frame with the predicted camera, joined along the outline to a
closed sheet (`models/feedforward/layered_sheet.py`), and sampled evenly by area.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from geometry.frame import apply, measure
from geometry.point_cloud import PointCloud
from kernels.attention import attention
from kernels.checks import trust_values
from models.catalog import ModelCard
from models.contract import PreparedImages, Result, SamplingParams
from models.errors import NonFiniteError, WeightsError
from models.feedforward.layered_sheet import Camera, build_sheet, sample_sheet, smoothed

# Where depth is uncertain the network hedges towards flat. On 30 training objects a factor of 1.15
# was worth 0.017 of F@0.02 and 0.021 of F@0.05, 1.3 a little less; 1.2 lies between. Averaging over
# mirrored pictures, which hedges more, cost 0.011 and 0.020.
DEPTH_GAIN = 1.2

# Trained on the Chamfer distance the network also hedges by ripples of a few pixels, so that some
# point is near wherever the surface may be. That is worth 0.03 of F@0.02 in the points and ugly in
# a mesh, which therefore goes through a smoothed sheet. Its gain was chosen by looking.
SMOOTH_GAIN = 1.35
SURFACE_POINTS = 6144


@dataclass(frozen=True, slots=True)
class DraftConfig:
    image_size: int = 96
    channels: tuple[int, int, int] = (32, 64, 128)  # at 1/2, 1/4 and 1/8 of the picture's side
    width: int = 256  # of a token, one for each 16 x 16 pixels
    layers: int = 5
    heads: int = 8


@dataclass(frozen=True, slots=True)
class Layers:
    """What the network says of a batch of crops; T = image_size / 2.

    Attributes:
        depth: [B, 2, T, T] front and back, towards the camera from the object's centre, in units
            of the bounding sphere's diameter; front >= back.
        color: [B, 2, 3, T, T] sRGB, 0..1, without shading.
        log_error: [B, 2, T, T] natural logarithm of the expected distance error.
        camera: [B, 5] half side of the crop at the object's centre, inverse camera distance,
            centre of the crop (right, up) and elevation in radians.
    """

    depth: Tensor
    color: Tensor
    log_error: Tensor
    camera: Tensor

    def row(self, index: int) -> "Layers":
        """One picture's, still with a leading dimension."""
        parts = (self.depth, self.color, self.log_error, self.camera)
        return Layers(*(part[index : index + 1] for part in parts))


@dataclass(frozen=True, slots=True)
class Description:
    """The network's output and the features behind it, for a model that builds on them.

    Attributes:
        tokens: [B, (S / 16)^2, width], row by row.
        maps: [B, C, s, s] with s = S / 8, S / 4 and S / 2, C = the channels in reverse order.
    """

    layers: Layers
    tokens: Tensor
    maps: tuple[Tensor, Tensor, Tensor]


class Block(nn.Module):
    """Pre-norm transformer layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        B, N, C = x.shape
        qkv = self.qkv(self.norm_1(x)).view(B, N, 3, self.heads, C // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mixed = attention(q, k, v)  # [B, heads, N, C / heads]
        x = x + self.out(mixed.transpose(1, 2).reshape(B, N, C))
        lifted: Tensor = F.gelu(self.up(self.norm_2(x)), approximate="tanh")
        y: Tensor = x + self.down(lifted)
        return y


class ConvBlock(nn.Module):
    """Residual pair of 3 x 3 convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, channels)
        self.conv_1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.conv_2(F.silu(self.conv_1(F.silu(self.norm(x)))))
        return y


class DraftNet(nn.Module):
    """Crops [B, 4, S, S] (straight alpha, 0..1) to `Layers`."""

    camera_mean: Tensor
    camera_scale: Tensor

    def __init__(self, config: DraftConfig) -> None:
        super().__init__()
        self.config = config
        fine, middle, coarse = config.channels
        width, side = config.width, config.image_size // 16
        self.stem = nn.Sequential(nn.Conv2d(6, fine, 5, 2, 2), nn.GroupNorm(8, fine), nn.SiLU())
        self.down_1 = Down(fine, middle)
        self.down_2 = Down(middle, coarse)
        self.embed = nn.Conv2d(coarse, width, 3, 2, 1)
        self.embed_norm = nn.LayerNorm(width)
        self.position = nn.Parameter(torch.randn(1, side * side, width) * 0.3)
        self.blocks = nn.ModuleList(Block(width, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.camera_features = nn.Linear(width, 16)
        self.camera = nn.Sequential(nn.Linear(16 * side * side, 128), nn.SiLU(), nn.Linear(128, 5))
        self.up_3 = Up(width, coarse)
        self.up_2 = Up(coarse, middle)
        self.up_1 = Up(middle, fine)
        self.head_norm = nn.GroupNorm(8, fine)
        self.head = nn.Conv2d(fine, 10, 3, padding=1)
        # The mean crop of the training pictures and its spread, so that zero is a fair guess.
        self.register_buffer("camera_mean", torch.tensor([0.5, 0.45, 0.0, 0.0, 0.43]), False)
        self.register_buffer("camera_scale", torch.tensor([0.1, 0.2, 0.1, 0.1, 0.35]), False)
        self.apply(_initialise)
        _shrink_last_layers(self)

    def forward(self, rgba: Tensor) -> Layers:
        return self.describe(rgba).layers

    @trust_values()  # activations: whoever calls looks at what comes out
    def describe(self, rgba: Tensor) -> Description:
        x_1 = self.stem(_with_coordinates(rgba))  # [B, fine, S / 2, S / 2]
        x_2 = self.down_1(x_1)
        x_3 = self.down_2(x_2)
        x_4 = self.embed(F.silu(x_3))  # [B, width, S / 16, S / 16]
        tokens = self.embed_norm(x_4.flatten(2).transpose(1, 2)) + self.position
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.norm(tokens)
        view = self.camera(F.silu(self.camera_features(tokens)).flatten(1)).float()
        camera = view * self.camera_scale + self.camera_mean
        x = tokens.transpose(1, 2).reshape(x_4.shape)
        coarse = self.up_3(x, x_3)
        middle = self.up_2(coarse, x_2)
        fine = self.up_1(middle, x_1)
        out = self.head(F.silu(self.head_norm(fine))).float()  # [B, 10, T, T]
        front = out[:, 0]
        depth = torch.stack([front, front - F.softplus(out[:, 1] - 1.5)], dim=1)
        B, _, T, _ = out.shape
        color = torch.sigmoid(out[:, 2:8]).view(B, 2, 3, T, T)
        layers = Layers(depth, color, out[:, 8:10] - 3.0, camera)
        return Description(layers, tokens, (coarse, middle, fine))


class Down(nn.Sequential):
    """Half the side."""

    def __init__(self, outside: int, inside: int) -> None:
        halve = nn.Conv2d(outside, inside, 3, stride=2, padding=1)
        super().__init__(halve, nn.GroupNorm(8, inside), ConvBlock(inside))


class Up(nn.Module):
    """Twice the side, then fused with the encoder's features of that side."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(inside, 4 * outside, 1)
        self.fuse = nn.Conv2d(2 * outside, outside, 3, padding=1)
        self.norm = nn.GroupNorm(8, outside)
        self.refine = nn.Conv2d(outside, outside, 3, padding=1)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = F.pixel_shuffle(self.expand(x), 2)
        x = self.fuse(torch.cat([x, skip], dim=1))
        y: Tensor = x + self.refine(F.silu(self.norm(x)))
        return y


def _initialise(module: nn.Module) -> None:
    """Keep the variance of signals: the default shrinks them by three at every layer, and the
    picture would drown in the position embedding."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


def _shrink_last_layers(net: DraftNet) -> None:
    """Residual branches start weak, and both heads near their mean."""
    for module in net.modules():
        if isinstance(module, Block):
            for linear in (module.out, module.down):
                linear.weight.data.mul_((2 * net.config.layers) ** -0.5)
        elif isinstance(module, ConvBlock):
            module.conv_2.weight.data.mul_(0.3)
        elif isinstance(module, Up):
            module.refine.weight.data.mul_(0.3)
    net.head.weight.data.mul_(0.1)
    camera_weight, _ = net.camera[2].parameters()
    camera_weight.data.mul_(0.1)


def _with_coordinates(rgba: Tensor) -> Tensor:
    """Premultiplied colour around 0, alpha, and where each pixel is: [B, 6, S, S]."""
    B, _, S, _ = rgba.shape
    ticks = torch.linspace(-1, 1, S, device=rgba.device, dtype=rgba.dtype)
    grid = torch.stack(torch.meshgrid(ticks, ticks, indexing="ij")).expand(B, 2, S, S)
    alpha = rgba[:, 3:]
    return torch.cat([(rgba[:, :3] - 0.5) * 2 * alpha, alpha, grid], dim=1)


def lift(depth: Tensor, camera: Tensor) -> Tensor:
    """Depth maps to points of the upright frame.

    Args:
        depth: [B, L, T, T] towards the camera from the object's centre.
        camera: [B, 5] as in `Layers`.

    Returns:
        [B, L, T, T, 3]: +Y up, +Z towards the camera's azimuth, bounding sphere of diameter 1.
    """
    T = depth.shape[-1]
    ticks = (torch.arange(T, device=depth.device) + 0.5) * (2 / T) - 1
    half, inverse_distance, right, up, elevation = (
        camera[:, index].view(-1, 1, 1, 1) for index in range(5)
    )
    spread = 1 - inverse_distance * depth
    x = (right + half * ticks) * spread
    y = (up - half * ticks[:, None]) * spread
    sine, cosine = torch.sin(elevation), torch.cos(elevation)
    return torch.stack([x, y * cosine + depth * sine, depth * cosine - y * sine], dim=-1)


@dataclass(frozen=True, slots=True)
class DraftConditioning:
    """The prepared crops; `draft` has no encoder apart from its one pass."""

    rgba: Tensor  # [B, 4, S, S]

    def row(self, index: int) -> "DraftConditioning":
        return DraftConditioning(self.rgba[index : index + 1])


@dataclass(slots=True)
class DraftState:
    rgba: Tensor  # [1, 4, S, S]
    params: SamplingParams
    layers: Layers | None = None
    step: int = 0
    steps: int = 1


class Draft:
    """The served form of `DraftNet`: a `Reconstructor` of one step."""

    def __init__(self, card: ModelCard, net: DraftNet, device: torch.device) -> None:
        self.card = card
        self.device = device
        self.net = net.to(device).eval().requires_grad_(False)

    def encode(self, images: PreparedImages) -> DraftConditioning:
        return DraftConditioning(images.rgba.to(self.device))

    def start(
        self, conditioning: DraftConditioning, params: SamplingParams, generator: torch.Generator
    ) -> DraftState:
        return DraftState(conditioning.rgba, params)

    @torch.inference_mode()
    def step(self, states: Sequence[DraftState]) -> None:
        layers = self.net(torch.cat([state.rgba for state in states]))
        outputs = (layers.depth, layers.color, layers.log_error, layers.camera)
        finite = torch.stack([x.flatten(1).isfinite().all(dim=1) for x in outputs]).all(dim=0)
        if not finite.all():
            raise NonFiniteError(tuple((~finite).nonzero().flatten().tolist()))
        for row, state in enumerate(states):
            state.layers = layers.row(row)
            state.step = 1

    def preview(self, state: DraftState) -> None:
        """Its one pass leads straight to the object."""

    def finish(self, state: DraftState) -> Result:
        if state.layers is None:
            raise ValueError("finish needs a state that has been stepped")
        params = state.params
        points = points_of_layers(state.layers, state.rgba, params.num_points, params.seed)
        frame = measure(points.positions)
        surface = surface_of_layers(state.layers, state.rgba, params.seed)
        return Result(apply(frame, points), surface=apply(frame, surface))


def points_of_layers(layers: Layers, rgba: Tensor, num_points: int, seed: int) -> PointCloud:
    """Points on the sheet of one picture, in the upright frame, neither centred nor scaled.

    Args:
        layers: one row.
        rgba: [1, 4, S, S] the crop that they were guessed from.
    """
    return _sheet_cloud(layers, rgba, layers.depth[0].cpu().numpy(), DEPTH_GAIN, num_points, seed)


def surface_of_layers(
    layers: Layers, rgba: Tensor, seed: int, gain: float = SMOOTH_GAIN
) -> PointCloud:
    """As `points_of_layers`, but even enough for a mesh to go through, its depth times `gain`."""
    depth = smoothed(layers.depth[0].cpu().numpy(), _foreground(rgba))
    return _sheet_cloud(layers, rgba, depth, gain, SURFACE_POINTS, seed)


def _sheet_cloud(
    layers: Layers,
    rgba: Tensor,
    depth: NDArray[np.float32],
    gain: float,
    num_points: int,
    seed: int,
) -> PointCloud:
    camera = Camera(*(float(value) for value in layers.camera[0]))
    colors = layers.color[0].permute(0, 2, 3, 1).cpu().numpy()
    picture = rgba[0, :3].permute(1, 2, 0).cpu().numpy()
    sheet = build_sheet(depth * np.float32(gain), colors, _foreground(rgba), camera, picture)
    return sample_sheet(sheet, num_points, np.random.default_rng(seed))


def _foreground(rgba: Tensor) -> NDArray[np.bool_]:
    alpha: NDArray[np.float32] = rgba[0, 3].cpu().numpy()
    return np.asarray(alpha > min(0.5, float(alpha.max()) / 2))


def load_draft(card: ModelCard, tensors: dict[str, Tensor], device: torch.device) -> Draft:
    """`draft` with the weights `tensors`. Raises WeightsError where they do not fit."""
    net = DraftNet(DraftConfig(image_size=card.image_size))
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:
        raise WeightsError(f"{card.id}: the weights do not fit the network: {error}") from error
    return Draft(card, net, device)
