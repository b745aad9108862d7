"""DPM (diffusion-point-cloud): a code of the cloud, and points that are denoised one by one.

The published generators draw their code from a prior and look at no picture; the published
auto-encoder takes the code of another cloud. Our own preset regresses the code from a picture.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from geometry.frame import apply, measure
from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud
from models.catalog import ModelCard
from models.contract import SamplingParams
from models.diffusion.cleaning import reined_in
from models.diffusion.coloring import picture_colored, plain
from models.diffusion.dpm_network import DpmConfig, DpmNet, Kind, shape_unit
from models.diffusion.noise import DiscreteNoise, Noise, clean, scale
from models.diffusion.staged import Given, PointDiffusion, Stage
from models.encoders.own import OwnEncoder, divided, fit
from models.errors import ParameterError, WeightsError

NETWORKS: dict[str, DpmConfig] = {
    "flow": DpmConfig(),
    "gaussian": DpmConfig("gaussian"),
    "autoencoder": DpmConfig("autoencoder", times=200, beta_last=0.05),
    "mini": DpmConfig(
        "picture",
        latent=128,
        times=200,
        beta_last=0.05,
        widths=(128, 256, 384, 256, 128),
        encoder_widths=(64, 128, 128, 256, 256, 128),
        time_gain=20.0,
    ),
}
# A generator's cloud was seen by no camera. This one, level, is for the outlines of candidates.
_ANY_CAMERA = (0.56, 0.45, 0.0, 0.0, 0.0)
_BETAS = "diffusion.var_sched.betas"
# What every checkpoint has, and with how many axes.
_MARKS = {"encoder.fc3_m.weight": 2, "diffusion.net.layers.0._layer.weight": 2, _BETAS: 1}


class PriorNoise:
    """One evaluation, from normal noise to a code."""

    starts_at_one = False
    churn = 0.0
    floor = 0.0

    def schedule(self, steps: int) -> tuple[float, ...]:
        return (1.0, 0.0)

    def halves(self, steps: int) -> tuple[float, ...]:
        return ()


class CodeStage:
    """The generators' codes, as a cloud of one point with as many channels as a code has."""

    guided = False

    def __init__(self, net: DpmNet) -> None:
        self.net = net
        self.channels = net.config.latent
        self.noise: Noise = PriorNoise()

    def size(self, num_points: int) -> int:
        return 1

    def denoise(
        self, x: Tensor, sigma: Tensor, given: Given, drop: Tensor | None, before: Tensor | None
    ) -> Tensor:
        return self.net.prior(x[:, 0])[:, None]

    def settle(self, x: Tensor, sigma: float, before: Tensor | None) -> Tensor:
        return x


class PointStage:
    """Points under a code: the stage's before, or where that is None, the picture's."""

    channels = 3

    def __init__(self, net: DpmNet) -> None:
        self.net = net
        self.guided = net.config.kind == "picture"
        self.noise = DiscreteNoise(_betas(net))

    def size(self, num_points: int) -> int:
        return num_points

    def denoise(
        self, x: Tensor, sigma: Tensor, given: Given, drop: Tensor | None, before: Tensor | None
    ) -> Tensor:
        code = given.features["code"] if before is None else before[:, 0]
        if drop is not None and before is None:
            code = torch.where(drop[:, None], self.net.unseen, code)
        t = self.noise.times(sigma) + 1
        eps = self.net.diffusion.noise_of(x * scale(sigma), t, code)
        return clean(x, sigma, eps)

    def settle(self, x: Tensor, sigma: float, before: Tensor | None) -> Tensor:
        return x


@dataclass(frozen=True, slots=True)
class Dpm:
    """`encoder` is None where pictures are not looked at."""

    net: DpmNet
    encoder: OwnEncoder | None
    stages: tuple[Stage, ...]

    def encode(self, rgba: Tensor) -> Given:
        if self.encoder is None:
            camera = rgba.new_tensor(_ANY_CAMERA).expand(len(rgba), 5)
            return Given(rgba, camera, {})
        seen = self.encoder(rgba)
        return Given(rgba, seen.layers.camera, {"code": self.net.head(seen.tokens)})

    def begin(self, given: Given, params: SamplingParams) -> Given:
        if self.net.config.kind == "autoencoder":
            raise ParameterError(
                "model", "an auto-encoder reconstructs clouds and makes none from a picture"
            )
        return given

    def cloud(self, x: Tensor, given: Given) -> PointCloud:
        """Trained on clouds without position and size, it gives them those of the output."""
        positions = reined_in(x.float().cpu().numpy())
        cloud = PointCloud(positions)
        cloud = apply(measure(positions), cloud)
        if self.encoder is None:
            return plain(cloud.positions)
        return picture_colored(torch.from_numpy(cloud.positions), given.camera, given.rgba)

    def mesh(self, x: Tensor, given: Given) -> Mesh | None:
        return None


def _betas(net: DpmNet) -> list[float]:
    betas: list[float] = net.diffusion.var_sched.betas[1:].double().tolist()
    return betas


def network(name: str) -> DpmConfig:
    """The sizes that a card's `network` names or spells out as JSON. Raises WeightsError."""
    if name in NETWORKS:
        return NETWORKS[name]
    try:
        fields = json.loads(name)
        for key in ("widths", "encoder_widths"):
            if key in fields:
                fields[key] = tuple(fields[key])
        return DpmConfig(**fields)
    except (ValueError, TypeError) as error:
        raise WeightsError(f"{name!r} is no network of DPM: {error}") from error


def load_dpm(
    card: ModelCard, tensors: Mapping[str, Tensor], device: torch.device
) -> PointDiffusion:
    """`card`'s model with the weights `tensors`. An auto-encoder's refuses every job.

    Raises WeightsError where they do not fit.
    """
    config = network(card.network)
    if config.kind == "picture":
        shared, own = divided(tensors)
        net = _fitted(config, own, card.id)
        encoder = OwnEncoder(shared, device, f"{card.id}: the encoder")
        system = Dpm(net, encoder, (PointStage(net),))
    else:
        net = _fitted(config, tensors, card.id)
        system = Dpm(net, None, (CodeStage(net), PointStage(net)))
    return PointDiffusion(card, system, device)


def _fitted(config: DpmConfig, tensors: Mapping[str, Tensor], name: str) -> DpmNet:
    net = DpmNet(config)
    fit(net, tensors, name)
    betas = net.diffusion.var_sched.betas[1:]
    if not bool(((betas > 0) & (betas < 1)).all()):  # NaN fails too
        raise WeightsError(f"{name}: a table of betas between 0 and 1 expected")
    return net


class AutoEncoder:
    """The published auto-encoder on a device: clouds in, clouds out."""

    def __init__(self, net: DpmNet, device: torch.device) -> None:
        self.net = net.to(device).eval().requires_grad_(False)
        self.device = device

    @torch.inference_mode()
    def reconstruct(self, points: Tensor, num_points: int, generator: torch.Generator) -> Tensor:
        """Clouds [B, N, 3] of any place and size to such of `num_points`, by as many steps as there
        are times. The generator is on the CPU."""
        B = len(points)
        unit, mean, spread = shape_unit(points.float().to(self.device))
        diffusion = self.net.diffusion
        noise = [
            torch.randn(B, num_points, 3, generator=generator).to(self.device)
            for _ in range(diffusion.var_sched.times)
        ]
        code, flexibility = self.net.encoder.mean(unit), self.net.config.flexibility
        x = diffusion.trajectory(code, noise[0], noise[1:], flexibility)[-1]
        return x * spread + mean


def load_autoencoder(
    card: ModelCard, tensors: Mapping[str, Tensor], device: torch.device
) -> AutoEncoder:
    """Raises WeightsError where the tensors do not fit."""
    return AutoEncoder(_fitted(network(card.network), tensors, card.id), device)


def identify(
    tensors: Mapping[str, Tensor], notes: Mapping[str, object]
) -> tuple[str, dict[str, Tensor]]:
    """The network of a published checkpoint's tensors, and those tensors.

    Sizes are read from shapes and the schedule from its tables. `notes`, the authors' `args`, say
    what tensors do not: `model`, `residual` and `flexibility`. Without `model`, one that has no
    flow is the auto-encoder, because no Gaussian generator was published.

    Raises:
        WeightsError: no checkpoint of DPM.
    """
    if any(key.endswith(("_orig", "weight_u")) for key in tensors):
        raise WeightsError("DPM: trained with spectral norm, which its authors cannot load either")
    for key, axes in _MARKS.items():
        if key not in tensors:
            raise WeightsError(f"no checkpoint of DPM: it has no {key}")
        if tensors[key].ndim != axes or len(tensors[key]) < 3:
            shape = list(tensors[key].shape)
            raise WeightsError(f"no checkpoint of DPM: its {key} is of shape {shape}")
    config = _config_of(tensors, notes)
    with torch.device("meta"):
        expected = {key: value.shape for key, value in DpmNet(config).state_dict().items()}
    given = {key: value.shape for key, value in tensors.items()}
    odd = sorted(expected.keys() ^ given.keys())
    odd += sorted(key for key in expected.keys() & given.keys() if expected[key] != given[key])
    if odd:
        raise WeightsError(f"no checkpoint of DPM that is known: {', '.join(odd[:5])}")
    named = next((name for name, known in NETWORKS.items() if known == config), None)
    return named or json.dumps(asdict(config)), dict(tensors)


def _config_of(tensors: Mapping[str, Tensor], notes: Mapping[str, object]) -> DpmConfig:
    betas = tensors[_BETAS]
    layers = {key.split(".")[2] for key in tensors if key.startswith("flow.chain.")}
    hidden = tensors.get("flow.chain.0.net_s_t.0.weight")
    plain = DpmConfig()
    codes: Kind = "gaussian" if notes.get("model") == "gaussian" else "autoencoder"
    residual, flexibility = notes.get("residual"), notes.get("flexibility")
    return DpmConfig(
        kind="flow" if layers else codes,
        latent=len(tensors["encoder.fc3_m.weight"]),
        times=len(betas) - 1,
        # Kept as float32: the digits that were given come first.
        beta_first=float(f"{float(betas[1]):.6g}"),
        beta_last=float(f"{float(betas[-1]):.6g}"),
        residual=residual if isinstance(residual, bool) else True,
        flexibility=float(flexibility) if isinstance(flexibility, int | float) else 0.0,
        flow_depth=len(layers) if layers else plain.flow_depth,
        flow_hidden=len(hidden) if hidden is not None and hidden.ndim else plain.flow_hidden,
    )
