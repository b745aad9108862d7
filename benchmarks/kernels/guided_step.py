from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks.kernels.cases import Call, Case, by_backend
from kernels.guided_step import TABLE, coefficients, guided_step, table

_SHAPES = ((1, 2176), (8, 2176), (1, 8704))
_GPU_SHAPES = (*_SHAPES, (64, 8704))
_BYTES_S = 4.3e12  # of an H200
_SIGMAS = (4.0, 2.0, 1.0, 0.0)


def cases(device: torch.device) -> Iterator[Case]:
    """A step of DPM-Solver++(2M), all clouds guided, of a network in float32."""
    row = coefficients("dpmpp_2m", _SIGMAS, 1, guidance=2.0, sigma_data=0.45)
    for B, N in _SHAPES if device.type == "cpu" else _GPU_SHAPES:
        x, memory = (torch.randn(B, N, 3).to(device) for _ in range(2))
        out, rows = torch.randn(2 * B, N, 3).to(device), table([row] * B, device)
        given = (x, out, rows, torch.arange(B, 2 * B, device=device), memory)
        others: dict[str, Call] = {"PyTorch, written out": partial(_written_out, *given)}
        if device.type == "cuda":
            others["torch.compile"] = partial(torch.compile(_written_out), *given)
        yield Case(
            name=f"B {B}, N {N:,}",
            size=x.numel(),
            like=x,
            ours=by_backend(TABLE, x, partial(guided_step, *given)),
            others=others,
            floor_us=6 * 4 * x.numel() / _BYTES_S * 1e6,
        )


def _written_out(
    x: Tensor, out: Tensor, rows: Tensor, partner: Tensor, memory: Tensor
) -> tuple[Tensor, Tensor]:
    """As models do it: guidance, preconditioning, then the sampler."""
    w, skip, scale, of_x, of_memory, _ = rows[:, :, None, None].unbind(1)
    cond, uncond = out[: len(x)], out[partner]
    guided = uncond + w * (cond - uncond)
    denoised = skip * x + scale * guided
    return denoised + of_x * (x - denoised) + of_memory * (memory - denoised), denoised
