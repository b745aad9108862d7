from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention.flex_attention import flex_attention

from benchmarks.kernels.cases import Call, Case, by_backend
from kernels.attention import TABLE, attention
from kernels.attention.tables import Need, table_for
from kernels.dispatch import use_backend

# Batch, heads, queries, keys, head dimension: square ones, then our denoiser's.
_SHAPES = (
    *((1, 6, n, n, 32) for n in (64, 256, 1024, 4096)),
    *((1, 16, n, n, 64) for n in (64, 256, 1024)),
    (1, 6, 4096, 96, 32),
    (1, 6, 96, 4096, 32),
)
_GPU_SHAPES = (
    *((B, 16, n, n, d) for d in (64, 72, 128) for n in (512, 1024, 1281, 4096) for B in (1, 4, 16)),
    (4, 16, 8192, 257, 64),
    *_SHAPES,
)
_TENSOR_FLOPS = 790e12  # of an H200 in bfloat16
_FLOPS = 67e12  # in float32
_MOST_DENSE = 1e9  # scores that are held at once


def cases(device: torch.device) -> Iterator[Case]:
    on_cpu = device.type == "cpu"
    for dtype in _dtypes(device):
        for shape in _SHAPES if on_cpu else _GPU_SHAPES:
            yield _case(device, dtype, *shape)


def _dtypes(device: torch.device) -> tuple[torch.dtype, ...]:
    """Without instructions for bfloat16 a processor takes fifty times as long, or worse."""
    fast = device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
    return (torch.float32, torch.bfloat16) if fast else (torch.float32,)


def _case(device: torch.device, dtype: torch.dtype, B: int, H: int, N: int, M: int, d: int) -> Case:
    generator = torch.Generator().manual_seed(0)

    def heads(n: int) -> Tensor:
        made = torch.randn(B, n, H, d, generator=generator).to(device, dtype)
        return made.transpose(1, 2)

    q, k, v = heads(N), heads(M), heads(M)
    scores = float(B * H * N * M)
    table = table_for(Need(device.type, dtype, d))
    able = table.runnable(device.type, dtype)
    dense = ("reference", "eager", "sdpa_math") if scores > _MOST_DENSE else ()
    others: dict[str, Call] = {"PyTorch's choice": partial(_default, q, k, v)}
    if device.type == "cuda" and B == 1 and dtype == torch.bfloat16:  # compiling takes seconds
        others["torch.compile"] = partial(torch.compile(_written_out), q, k, v)
        others["flex attention"] = partial(torch.compile(flex_attention), q, k, v)
    for backend in ("eager", "sdpa_flash"):
        if backend in able and backend not in dense:
            others[f"{backend}, with gradient"] = _with_gradient(backend, q, k, v)
    return Case(
        name=f"B {B}, H {H}, N {N:,}, M {M:,}, d {d}",
        size=scores,
        like=q,
        ours=by_backend(
            TABLE,
            q,
            partial(attention, q, k, v),
            (*dense, *(backend for backend in TABLE.backends if backend not in able)),
        ),
        others=others,
        table=table,
        floor_us=4 * d * scores / (_FLOPS if dtype == torch.float32 else _TENSOR_FLOPS) * 1e6,
    )


def _default(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v)


def _written_out(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    out: Tensor = (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1) @ v
    return out


def _with_gradient(backend: str, q: Tensor, k: Tensor, v: Tensor) -> Call:
    q, k, v = (x.clone().requires_grad_() for x in (q, k, v))

    def call() -> object:
        with use_backend(backend, "attention"):
            out = attention(q, k, v)
        return torch.autograd.grad(out, (q, k, v), torch.ones_like(out))

    return call
