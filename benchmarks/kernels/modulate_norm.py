from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.kernels.cases import Call, Case, by_backend
from kernels.modulate_norm import TABLE, modulate_norm

_SHAPES = ((1, 2176, 192), (1, 4096, 192), (16, 4096, 192), (1, 512, 1152))
_GPU_SHAPES = (*_SHAPES, (16, 512, 1152), (16, 4096, 288))
_BYTES_S = 4.3e12  # of an H200
_EPS = 1e-6


def cases(device: torch.device) -> Iterator[Case]:
    for B, N, C in _SHAPES if device.type == "cpu" else _GPU_SHAPES:
        for dtype in (torch.float32, torch.bfloat16):
            x, residual = _random(device, dtype, B, N, C), _random(device, dtype, B, N, C)
            shift, scale, gate = (_random(device, dtype, B, C) for _ in range(3))
            for given in ((x, shift, scale), (x, shift, scale, residual, gate)):
                fused = len(given) > 3
                passes = 4 if fused else 2
                yield Case(
                    name=f"B {B}, N {N:,}, C {C:,}{', with a residual' if fused else ''}",
                    size=x.numel(),
                    like=x,
                    ours=by_backend(TABLE, x, partial(modulate_norm, *given)),
                    others=_others(device, _summed if fused else _modulated, given),
                    floor_us=passes * x.numel() * x.element_size() / _BYTES_S * 1e6,
                )


def _others(
    device: torch.device, written_out: Callable[..., object], given: tuple[Tensor, ...]
) -> dict[str, Call]:
    others: dict[str, Call] = {"PyTorch, written out": partial(written_out, *given)}
    if device.type == "cuda":
        others["torch.compile"] = partial(torch.compile(written_out), *given)
    return others


def _modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=_EPS) * (1 + scale[:, None]) + shift[:, None]


def _summed(
    x: Tensor, shift: Tensor, scale: Tensor, residual: Tensor, gate: Tensor
) -> tuple[Tensor, Tensor]:
    x = x + gate[:, None] * residual
    return x, _modulated(x, shift, scale)


def _random(device: torch.device, dtype: torch.dtype, *shape: int) -> Tensor:
    return torch.randn(*shape).to(device, dtype)
