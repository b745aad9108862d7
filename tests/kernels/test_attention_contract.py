"""What attention refuses, which backend takes what, and what shows only in code."""

import inspect
import json
import os
import subprocess
import sys

import torch

from kernels.attention import TABLE, attention
from kernels.attention.tables import Need, table_for
from kernels.checks import trust_values
from kernels.errors import BackendError, ShapeError
from tests.kernels.attending import able, qkv
from tests.kernels.kit import DEVICE, forced, lengths, refused
from tests.repository.files import ROOT

each_masked = able(masked=True)


def test_a_gradient_never_meets_the_kernel_without_one() -> None:
    q, k, v = qkv(1, 1, 4, 4, 16)
    q.requires_grad_()
    with forced("triton", TABLE):
        with refused(BackendError, "attention", "eager", "'triton'"):
            attention(q, k, v)
        with torch.no_grad():
            attention(q, k, v)
    for d in (64, 72):
        table = table_for(Need("cuda", torch.float16, d, gradient=True))
        assert not table.runs("triton", "cuda", torch.float16)


def test_each_head_dimension_has_its_table_on_a_gpu() -> None:
    def first(d: int, size: float, dtype: torch.dtype = torch.bfloat16, **needs: bool) -> str:
        table = table_for(Need("cuda", dtype, d, **needs))
        return next(
            choice.backend
            for choice in table.choices
            if choice.fits("cuda", dtype, size) and table.runs(choice.backend, "cuda", dtype)
        )

    long, short = 16 * 1024**2, 16 * 512**2
    assert first(72, long) == "triton"
    assert first(72, short) == "sdpa_flash"
    assert first(64, long) == first(128, long) == "sdpa_flash"
    assert first(64, 16 * long) == first(128, 16 * long) == "sdpa_cudnn"
    assert first(64, short, masked=True) == "sdpa_cudnn"
    assert first(72, 16 * long, gradient=True) == "sdpa_cudnn"
    assert first(72, 16 * long, gradient=True, deterministic=True) == "sdpa_flash"
    assert first(60, 16 * long) == "sdpa_flash"
    assert first(64, long, torch.float32) == "sdpa_efficient"
    assert first(64, long, torch.float64) == "eager"
    assert first(64, long, lse=True) == "triton"
    assert first(160, long, lse=True) == "eager"


def test_what_a_backend_cannot_do_is_refused() -> None:
    q, k, v = qkv(1, 1, 4, 4, 16)
    with forced("sdpa_flash", TABLE):
        with refused(BackendError, "'sdpa_flash'"):
            attention(q, k, v, return_lse=True)
        with refused(BackendError, "'sdpa_flash'"):
            attention(q, k, v, torch.zeros(4, 4, device=DEVICE, requires_grad=True))
    with forced("eager", TABLE), refused(BackendError, "torch.float16", "'eager'"):
        attention(q.half(), k.half(), v.half())
    with forced("triton", TABLE), refused(BackendError, "'triton'"):
        attention(*qkv(1, 1, 2, 2, 136))
    with forced("cuda", TABLE), refused(BackendError, "attention", "sdpa_math", "'cuda'"):
        attention(q, k, v)


@each_masked
def test_bad_input(backend: str) -> None:
    q, k, v = qkv(2, 3, 5, 6, 16)
    with forced(backend, TABLE):
        with refused(ShapeError, "q: [B, H, N, d]", "[3, 5, 16]"):
            attention(q[0], k, v)
        with refused(ShapeError, "k: [B, H, M, d] with B = 2, H = 3, d = 16", "[2, 3, 6, 8]"):
            attention(q, k[..., :8], v)
        with refused(ShapeError, "v: [B, H, M, d]", "M = 6", "[2, 3, 5, 16]"):
            attention(q, k, v[:, :, :5])
        with refused(ShapeError, "k:", "[2, 3, 0, 16]"):
            attention(q, k[:, :, :0], v[:, :, :0])
        with refused(ValueError, "q:", "torch.int64"):
            attention(q.long(), k, v)
        with refused(ValueError, "k: torch.float32 as of q", "torch.float16"):
            attention(q, k.half(), v)
        with refused(ValueError, "v: device", "meta"):
            attention(q, k, v.to("meta"))
        with refused(ValueError, "q: finite", "1 that"):
            attention(
                torch.where(torch.arange(480, device=DEVICE).view(q.shape) == 7, torch.nan, q), k, v
            )
        with refused(ValueError, "v: finite"):
            attention(q, k, v / 0)
        with refused(ShapeError, "bias: what broadcasts to [2, 3, 5, 6]", "[5, 5]"):
            attention(q, k, v, torch.zeros(5, 5, device=DEVICE))
        with refused(ShapeError, "bias:", "[1, 1, 1, 5, 6]"):
            attention(q, k, v, torch.zeros(1, 1, 1, 5, 6, device=DEVICE))
        with refused(ValueError, "bias:", "torch.bool"):
            attention(q, k, v, torch.ones(5, 6, dtype=torch.bool, device=DEVICE))
        with refused(ValueError, "bias: device", "meta"):
            attention(q, k, v, torch.zeros(5, 6, device="meta"))
        for bad in (torch.nan, torch.inf):
            with refused(ValueError, "bias: finite values or -inf", "30"):
                attention(q, k, v, torch.full((5, 6), bad, device=DEVICE))
        with refused(ShapeError, "key_lengths: [2]", "[3]"):
            attention(q, k, v, key_lengths=lengths(1, 2, 3))
        with refused(ValueError, "key_lengths: values of 1 to 6", "0"):
            attention(q, k, v, key_lengths=lengths(0, 6))
        for scale in (0.0, -1.0, float("nan"), float("inf")):
            with refused(ValueError, "scale:", str(scale)):
                attention(q, k, v, scale=scale)


def test_trusted_values_are_not_read() -> None:
    q, k, v = qkv(1, 1, 4, 5, 16)
    with trust_values():
        assert attention(q / 0, k, v, torch.full((4, 5), torch.nan, device=DEVICE)).isnan().any()


def _kernel_source() -> str:
    from kernels.attention import kernel

    return inspect.getsource(kernel)


def test_products_of_single_precision_are_not_shortened() -> None:
    """The interpreter does not know tf32: only the source shows it."""
    source = _kernel_source()
    assert source.count("tl.dot(") == source.count('input_precision="ieee"') == 5


def _in_a_compiler(expression: str) -> dict[str, int]:
    code = (
        "import json; from dataclasses import asdict; "
        "from tests.kernels.compiled import compile_specimen as needs; "
        "from tests.kernels.specimens.attention import PADDED, SPECIMENS; "
        f"print(json.dumps({expression}))"
    )
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    report: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return report


def test_72_columns_cost_80_and_not_128() -> None:
    columns = _in_a_compiler(
        "{each.name: needs('attention', each).columns for each in (PADDED, SPECIMENS[3])}"
    )
    assert columns["padded 72"] > 0
    assert columns["72, few keys"] * 128 == columns["padded 72"] * 80
