"""The network of our own diffusion: a projection-conditioned point transformer with latents.

Points talk to each other only through a few latent tokens, so its cost is linear in their number
and it samples more points than it was trained on (the idea of PointInfinity and GECCO). Each point
looks up the picture's features, the outline and the encoder's guess of the front and back surface
where it is projected (the idea of PC^2), again before each round, where the network by then
believes it to be.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kernels.attention import attention
from kernels.checks import trust_values
from kernels.modulate_norm import modulate_norm
from models.diffusion.view_space import outline_distance
from models.feedforward.draft import Description

_GUESSES = 14  # channels of `surface_guesses`
_FRONT_COLOR = slice(6, 9)  # of those
_OCTAVES = 6
_EPS = 1e-5  # of every layer norm
_BRANCH_ENDS = ("read.out.weight", "think.out.weight", "write.out.weight", "latent_mlp.down.weight")
_RELATIVE = 9  # numbers in `_relative`


@dataclass(frozen=True, slots=True)
class DenoiserConfig:
    width: int = 192
    features: int = 64  # channels of what a point looks up
    latents: int = 32  # beside the picture's own tokens
    rounds: int = 3
    heads: int = 6
    sigma_data: float = 0.45  # of view space, about


@dataclass(frozen=True, slots=True)
class PictureTokens:
    """What is kept of a picture: one row per job.

    Attributes:
        tokens: [B, K, C].
        features: [B, F, T, T] to be looked up.
        guesses: [B, 14, T, T] float32: alpha, distance to the outline, front and back depth (w),
            the logarithms of their expected errors, front and back colour, and alpha twice more
            blurred.
    """

    tokens: Tensor
    features: Tensor
    guesses: Tensor

    def row(self, index: int) -> "PictureTokens":
        rows = slice(index, index + 1)
        return PictureTokens(self.tokens[rows], self.features[rows], self.guesses[rows])

    def repeated(self, times: int) -> "PictureTokens":
        """Each row `times` times, one after the other."""
        if times == 1:
            return self
        parts = (self.tokens, self.features, self.guesses)
        return PictureTokens(*(part.repeat_interleave(times, dim=0) for part in parts))


@dataclass(frozen=True, slots=True)
class Denoised:
    """Attributes:
    points: [B, N, 3] in view space.
    estimates: the same after each round, the last of which is `points`.
    colors: [B, N, 3] sRGB, 0..1.
    normals: [B, N, 3] in the camera's axes, unit length, outwards.
    """

    points: Tensor
    estimates: tuple[Tensor, ...]
    colors: Tensor
    normals: Tensor


def surface_guesses(alpha: Tensor, description: Description) -> Tensor:
    """[B, 14, T, T] float32 of `PictureTokens.guesses`; alpha [B, S, S]."""
    layers = description.layers
    B, _, T, _ = layers.depth.shape
    small = F.adaptive_avg_pool2d(alpha[:, None].float(), T)
    blurred = [F.avg_pool2d(small, k, 1, k // 2, count_include_pad=True) for k in (5, 13)]
    half = layers.camera[:, :1, None, None]
    parts = [
        small,
        outline_distance(small[:, 0])[:, None],
        layers.depth / half,
        layers.log_error,
        layers.color.reshape(B, 6, T, T) * 2 - 1,
        *blurred,
    ]
    return torch.cat(parts, dim=1)


class PictureEncoder(nn.Module):
    """Features of the encoder to `PictureTokens`."""

    def __init__(self, config: DenoiserConfig, channels: tuple[int, int, int], width: int) -> None:
        super().__init__()
        self.token_in = nn.Linear(width, config.width)
        self.token_norm = nn.LayerNorm(config.width)
        self.token_map = nn.Conv2d(width, config.features, 1)
        self.maps = nn.ModuleList(nn.Conv2d(c, config.features, 1) for c in reversed(channels))
        self.no_tokens = nn.Parameter(torch.zeros(1, 1, config.width))
        self.no_features = nn.Parameter(torch.zeros(1, config.features, 1, 1))

    def forward(self, alpha: Tensor, description: Description) -> PictureTokens:
        tokens = self.token_norm(self.token_in(description.tokens))
        B, K, width = description.tokens.shape
        side = math.isqrt(K)
        grid = description.tokens.transpose(1, 2).reshape(B, width, side, side)
        features = self.token_map(grid)
        for layer, x in zip(self.maps, description.maps, strict=True):
            features = _enlarge(features, x.shape[-1]) + layer(x)
        # The encoder learns its guesses from their own losses alone.
        guesses = surface_guesses(alpha, description).detach()
        return PictureTokens(tokens, features, guesses)

    def dropped(self, picture: PictureTokens, drop: Tensor) -> PictureTokens:
        """`picture` with the rows where `drop` [B] told nothing: the unconditional ones."""
        rows = drop.view(-1, 1, 1)
        return PictureTokens(
            torch.where(rows, self.no_tokens.to(picture.tokens.dtype), picture.tokens),
            torch.where(rows[..., None], self.no_features, picture.features),
            torch.where(rows[..., None], 0.0, picture.guesses),
        )


def _enlarge(x: Tensor, side: int) -> Tensor:
    return F.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)


class Attention(nn.Module):
    """Pre-norm attention of `x` over `context` (over itself without one), to be added to `x`."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.context_norm = nn.LayerNorm(width)
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """x [B, N, C], already normalised; context [B, M, C], not."""
        B, N, C = x.shape
        H = self.heads
        kv = self.kv(self.context_norm(context)).view(B, -1, 2, H, C // H)
        k, v = kv.permute(2, 0, 3, 1, 4)
        q = self.q(x).view(B, N, H, C // H).transpose(1, 2)
        mixed = attention(q, k, v)  # [B, H, N, C / H]
        y: Tensor = self.out(mixed.transpose(1, 2).reshape(B, N, C))
        return y


class Feedforward(nn.Module):
    def __init__(self, width: int, ratio: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, ratio * width)
        self.down = nn.Linear(ratio * width, width)

    def forward(self, x: Tensor) -> Tensor:
        # Trained with the approximation by tanh, which on a CPU takes five times as long.
        y: Tensor = self.down(F.gelu(self.up(x)))
        return y


class Round(nn.Module):
    """Latents read the points, think, and tell the points."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        C, heads = config.width, config.heads
        self.lookup = nn.Linear(config.features + _GUESSES + _RELATIVE, C)
        self.read_norm, self.think_norm, self.latent_norm = (nn.LayerNorm(C) for _ in range(3))
        self.read = Attention(C, heads)
        self.think = Attention(C, heads)
        self.latent_mlp = Feedforward(C, 4)
        self.write = Attention(C, heads)
        self.mlp = Feedforward(C, 3)
        self.modulation = nn.Linear(C, 6 * C)

    def forward(
        self, x: Tensor, z: Tensor, looked_up: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """x [B, N, C], z [B, K, C], looked_up [B, N, .], noise [B, C]."""
        shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = self.modulation(noise).chunk(6, dim=-1)
        x = x + self.lookup(looked_up)
        z = z + self.read(self.read_norm(z), x)
        z = z + self.think(self.think_norm(z), z)
        z = z + self.latent_mlp(self.latent_norm(z))
        y = modulate_norm(x, shift_1, scale_1, eps=_EPS)
        x, y = modulate_norm(x, shift_2, scale_2, self.write(y, z), 1 + gate_1, eps=_EPS)
        return torch.addcmul(x, 1 + gate_2[:, None], self.mlp(y)), z


class Denoiser(nn.Module):
    """Noisy points of view space and their sigma to `Denoised`, preconditioned as EDM does it
    (Karras et al. 2022, table 1), sigma by the row."""

    frequencies: Tensor

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config = config
        C = config.width
        self.latents = nn.Parameter(torch.randn(1, config.latents, C) * 0.3)
        self.noise = nn.Sequential(nn.Linear(32, C), nn.SiLU(), nn.Linear(C, C), nn.SiLU())
        self.embed = nn.Linear(6 + 6 * _OCTAVES, C)
        self.rounds = nn.ModuleList(Round(config) for _ in range(config.rounds))
        self.norm = nn.LayerNorm(C)
        self.move = nn.ModuleList(nn.Linear(C, 3) for _ in range(config.rounds))
        self.appearance = nn.Linear(C, 6)
        octaves = math.pi * 2.0 ** torch.arange(_OCTAVES)
        self.register_buffer("frequencies", octaves, persistent=False)
        self.apply(_initialise)
        nn.init.normal_(self.appearance.weight, std=0.02)
        for move in self.move:
            nn.init.normal_(move.get_parameter("weight"), std=0.02)
        for name, parameter in self.named_parameters():
            if name.endswith(_BRANCH_ENDS):
                parameter.data.mul_(0.5)  # residual branches start weak
            elif name.endswith("modulation.weight"):
                nn.init.normal_(parameter, std=0.02)

    @trust_values()  # activations: whoever calls looks at what comes out
    def forward(self, x: Tensor, sigma: Tensor, picture: PictureTokens) -> Denoised:
        """x [B, N, 3] float32, sigma [B] > 0."""
        data = self.config.sigma_data
        s = sigma.view(-1, 1, 1).float()
        total = s.square() + data**2
        skip, out, scale = data**2 / total, s * data / total.sqrt(), 1 / total.sqrt()
        noise = self.noise(_waves(sigma.float().log() / 4, 16))
        estimates = [skip * x]
        h = self.embed(self._coordinates(x, scale))
        z = torch.cat([self.latents.expand(len(x), -1, -1).to(h.dtype), picture.tokens], dim=1)
        for layer, move in zip(self.rounds, self.move, strict=True):
            looked_up = self._look_up(estimates[-1].detach(), x, s, picture)
            h, z = layer(h, z, looked_up, noise)
            moved = move(F.layer_norm(h, h.shape[-1:]))
            estimates.append(skip * x + out * moved.float())
        points = estimates[-1]
        looks = self.appearance(self.norm(h)).float()
        front = _sample(picture.guesses[:, _FRONT_COLOR], points.detach())
        return Denoised(
            points,
            tuple(estimates[1:]),
            (front + 1) / 2 + looks[..., :3],
            F.normalize(looks[..., 3:], dim=-1, eps=1e-6),
        )

    def _coordinates(self, x: Tensor, scale: Tensor) -> Tensor:
        """Position at the network's own scale, and where it is in the crop in waves."""
        near = x.clamp(-1.5, 1.5)
        angles = near[..., None] * self.frequencies / 2
        return torch.cat(
            [x * scale, near, angles.sin().flatten(-2), angles.cos().flatten(-2)], dim=-1
        )

    def _look_up(self, at: Tensor, x: Tensor, s: Tensor, picture: PictureTokens) -> Tensor:
        """What the picture says where the points are believed to be: [B, N, F + 14 + 9]."""
        features = _sample(picture.features, at)
        guesses = _sample(picture.guesses, at)
        return torch.cat([features, guesses, _relative(at, x, s, guesses)], dim=-1)


def _relative(at: Tensor, x: Tensor, s: Tensor, guesses: Tensor) -> Tensor:
    """Where a point lies between the guessed surfaces, coarse and fine; what noise is left."""
    to_front, to_back = guesses[..., 2:3] - at[..., 2:], guesses[..., 3:4] - at[..., 2:]
    coarse, fine = torch.cat([to_front, to_back], dim=-1) * 3, (x - at) / (s + 0.1)
    outside = (at[..., :2].abs().amax(dim=-1, keepdim=True) - 1).clamp(min=0)
    return torch.cat([coarse.tanh(), (coarse * 6).tanh(), fine, outside, to_back - to_front], -1)


def _sample(maps: Tensor, at: Tensor) -> Tensor:
    """Bilinear look-up of [B, C, T, T] at (u, v) of [B, N, 3]: [B, N, C] float32."""
    grid = torch.stack([at[..., 0], -at[..., 1]], dim=-1)[:, :, None]  # rows go down
    found = F.grid_sample(
        maps.float(), grid.float(), mode="bilinear", padding_mode="border", align_corners=False
    )
    return found[..., 0].transpose(1, 2)


def _waves(value: Tensor, count: int) -> Tensor:
    """[B] to [B, 2 * count] sines and cosines."""
    scales = torch.exp(torch.linspace(0, math.log(60), count, device=value.device))
    angles = value[:, None] * scales
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def _initialise(module: nn.Module) -> None:
    """Keep the variance of signals, as the encoder does."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
