"""GECCO's set transformer: points that talk to each other through a few inducers.

Linear in the number of points. Source: Tyszkiewicz, Fua, Trulls 2023, section 3; names of tensors
are those of the authors' checkpoints.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from kernels.attention import attention

_GROUPS, _FEW_GROUPS = 32, 16
_EPS = 1e-5
_BRANCH_ENDS = (".broadcast.unpool.out_proj.weight", ".mlp.2.weight")
_MEAN, _SPREAD = 0.7, 0.28  # of the bell of a normal variable, about


@dataclass(frozen=True, slots=True)
class SetConfig:
    layers: int = 6
    width: int = 384
    inducers: int = 64
    heads: int = 8
    ratio: int = 2  # of a hidden layer's width to `width`


class GaussianActivation(nn.Module):
    """A bell of learned width, brought to mean 0 and variance 1, about."""

    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        bell = torch.exp(x.square() * (-0.5 / self.alpha.square()))
        return torch.add(x.new_tensor(-_MEAN / _SPREAD), bell, alpha=1 / _SPREAD)


class _Moments(torch.autograd.Function):
    """Mean and variance [B, G] of a cloud's groups of channels, x [B, N, C].

    By hand, because the gradient is then one pass over x in place of five.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, groups: int) -> tuple[Tensor, Tensor]:
        B, N, C = x.shape
        mean = x.mean(dim=1).view(B, groups, -1).mean(dim=2)
        # In a second pass: the mean may be far from 0.
        away = x - mean.repeat_interleave(C // groups, dim=1)[:, None]
        square = torch.linalg.vector_norm(away, dim=1).square()
        variance = square.view(B, groups, -1).mean(dim=2) / N
        ctx.save_for_backward(x, mean)
        return mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_mean: Tensor, to_variance: Tensor) -> tuple[Tensor, None]:
        x, mean = ctx.saved_tensors
        _, N, C = x.shape
        width = C // mean.shape[1]
        slope = to_variance * (2 / (N * width))
        level = to_mean / (N * width) - slope * mean
        slope, level = (item.repeat_interleave(width, dim=1)[:, None] for item in (slope, level))
        return torch.addcmul(level, x, slope), None


def group_statistics(x: Tensor, groups: int, eps: float = _EPS) -> tuple[Tensor, Tensor]:
    """What standardises a cloud's groups of channels, over all its points: factor and offset.

    Args:
        x: [B, N, C], C a multiple of `groups`.

    Returns:
        Two of [B, C]: group norm without affine is x * factor + offset.
    """
    x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    mean, variance = _Moments.apply(x, groups)  # type: ignore[no-untyped-call]
    factor = torch.rsqrt(variance + eps)
    width = x.shape[2] // groups
    return factor.repeat_interleave(width, 1), (-mean * factor).repeat_interleave(width, 1)


def group_norm(x: Tensor, groups: int) -> Tensor:
    """[B, N, C], normalised over points and the channels of a group, without affine."""
    factor, offset = group_statistics(x, groups)
    return torch.addcmul(offset[:, None], x, factor[:, None])


class AdaGN(nn.Module):
    """Group norm over points and channels, then scale and bias that depend on the noise."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Linear(1, width)
        self.bias = nn.Linear(1, width)

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        """x [B, N, C], noise [B, 1]: c_noise of EDM as it is, in no waves."""
        factor, offset = group_statistics(x, _GROUPS)
        # Two numbers of each cloud and channel: not worth half precision.
        scale = F.linear(noise, self.scale.weight, self.scale.bias)
        bias = F.linear(noise, self.bias.weight, self.bias.bias)
        return torch.addcmul((offset * scale + bias)[:, None], x, (factor * scale)[:, None])


class Pool(nn.Module):
    """Inducers read the points. They are queries, and each head has its own."""

    def __init__(self, config: SetConfig) -> None:
        super().__init__()
        C, H = config.width, config.heads
        self.inducers = nn.Parameter(torch.randn(1, H, config.inducers, C // H))
        self.kv_proj = nn.Linear(C, 2 * C, bias=False)
        self.out_proj = nn.Linear(C, C, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, N, C] to [B, M, C]."""
        B, N, C = x.shape
        _, H, M, d = self.inducers.shape
        k, v = self.kv_proj(x).view(B, N, 2, H, d).permute(2, 0, 3, 1, 4)
        read = attention(self.inducers.to(k.dtype).expand(B, H, M, d), k, v)
        y: Tensor = self.out_proj(read.transpose(1, 2).reshape(B, M, C))
        return y


class Unpool(nn.Module):
    """Points read the inducers. Tensors as in `torch.nn.MultiheadAttention`."""

    def __init__(self, config: SetConfig) -> None:
        super().__init__()
        C = config.width
        self.heads = config.heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * C, C))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * C))
        self.out_proj = nn.Linear(C, C)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """x [B, N, C], z [B, M, C] to [B, N, C]."""
        B, N, C = x.shape
        H, M = self.heads, z.shape[1]
        q = F.linear(x, self.in_proj_weight[:C], self.in_proj_bias[:C])
        kv = F.linear(z, self.in_proj_weight[C:], self.in_proj_bias[C:])
        k, v = kv.view(B, M, 2, H, C // H).permute(2, 0, 3, 1, 4)
        told = attention(q.view(B, N, H, C // H).transpose(1, 2), k, v)
        y: Tensor = self.out_proj(told.transpose(1, 2).reshape(B, N, C))
        return y


class Broadcast(nn.Module):
    """Pool, think, un-pool; nothing in it is residual."""

    def __init__(self, config: SetConfig) -> None:
        super().__init__()
        self.pool = Pool(config)
        self.norm_1 = AdaGN(config.width)
        self.mlp = feedforward(config)
        self.norm_2 = AdaGN(config.width)
        self.unpool = Unpool(config)

    def forward(
        self, x: Tensor, noise: Tensor, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        if state is None:
            state = self.norm_1(self.pool(x), noise)
            state = self.norm_2(self.mlp(state), noise)
        return self.unpool(x, state), state


class SetLayer(nn.Module):
    def __init__(self, config: SetConfig) -> None:
        super().__init__()
        self.broadcast_norm = AdaGN(config.width)
        self.broadcast = Broadcast(config)
        self.mlp_norm = AdaGN(config.width)
        self.mlp = feedforward(config)

    def forward(
        self, x: Tensor, noise: Tensor, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """x [B, N, C], noise [B, 1] to x and the inducers' state [B, M, C].

        With a `state` the points read that one, and not each other.
        """
        told, state = self.broadcast(self.broadcast_norm(x, noise), noise, state)
        x = x + told
        return x + self.mlp(self.mlp_norm(x, noise)), state


class SetTransformer(nn.Module):
    def __init__(self, config: SetConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(SetLayer(config) for _ in range(config.layers))

    def forward(
        self, x: Tensor, noise: Tensor, states: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """As `SetLayer`, with one state for each layer."""
        found: list[Tensor] = []
        for number, layer in enumerate(self.layers):
            x, state = layer(x, noise, None if states is None else states[number])
            found.append(state)
        return x, found


class GroupNorm(nn.Module):
    """Without affine, over points and channels: [B, N, C]."""

    def forward(self, x: Tensor) -> Tensor:
        return group_norm(x, _FEW_GROUPS)


class RayNetwork(nn.Module):
    """Points with what they looked up, to F of EDM."""

    def __init__(
        self,
        config: SetConfig,
        context: int,
        reparam: nn.Module | None = None,
        plain: int = 0,
        channels: int = 3,
    ) -> None:
        super().__init__()
        C = config.width
        self.backbone = SetTransformer(config)
        self.xyz_embed = nn.Linear(channels, C)
        self.img_feature_proj = nn.Sequential(GroupNorm(), nn.Linear(context, C))
        self.output_proj = nn.Sequential(GroupNorm(), nn.Linear(C, channels))
        if reparam is not None:  # stored here too, as in the authors' checkpoints
            self.reparam = reparam
        # Lengths in the cloud's own unit, which the norm over a cloud would take away.
        self.plain_proj = nn.Linear(plain, C) if plain else None

    def point_features(self, x: Tensor, seen: Tensor, plain: Tensor | None = None) -> Tensor:
        h: Tensor = self.xyz_embed(x) + self.img_feature_proj(seen)
        return h if self.plain_proj is None else h + self.plain_proj(plain)

    def forward(
        self,
        x: Tensor,
        noise: Tensor,
        seen: Tensor,
        states: Sequence[Tensor] | None = None,
        plain: Tensor | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """x [B, N, channels], noise [B, 1], seen [B, N, context] to F, as x, and states."""
        h, told = self.backbone(self.point_features(x, seen, plain), noise, states)
        return self.output_proj(h), told


def feedforward(config: SetConfig) -> nn.Sequential:
    C, inner = config.width, config.ratio * config.width
    return nn.Sequential(nn.Linear(C, inner), GaussianActivation(), nn.Linear(inner, C))


@torch.no_grad()
def initialise(net: nn.Module) -> None:
    """For training: norms start as plain ones, residual branches weak. Not the authors' values."""
    for module in net.modules():
        if isinstance(module, AdaGN):
            nn.init.normal_(module.scale.weight, std=0.1)
            nn.init.ones_(module.scale.bias)
            nn.init.normal_(module.bias.weight, std=0.1)
            nn.init.zeros_(module.bias.bias)
        elif isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for name, parameter in net.named_parameters():
        if name.endswith(_BRANCH_ENDS):
            parameter.mul_(0.35)


def edm_scales(sigma: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """c_skip, c_out and c_in [B, 1, 1] and c_noise [B, 1] of data of variance 1.

    Karras et al. 2022, table 1. sigma [B] > 0.
    """
    s = sigma.view(-1, 1, 1)
    total = s.square() + 1
    return 1 / total, s / total.sqrt(), 1 / total.sqrt(), sigma.log().view(-1, 1) / 4


def log_uniform(share: Tensor, sigma_min: float, sigma_max: float) -> Tensor:
    """Sigmas [B] of `share` [B] in 0..1, spread evenly over the batch: row i in its i-th part."""
    B = len(share)
    even = (share + torch.arange(B, device=share.device, dtype=share.dtype)) / B
    low, high = math.log(sigma_min), math.log(sigma_max)
    return torch.exp(low + even * (high - low))
