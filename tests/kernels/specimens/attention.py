from collections.abc import Mapping

import torch

from kernels.attention.kernel import choose_tiles, parts
from tests.kernels.compiled import Specimen

_STRIDES = tuple(f"{x}_{of}" for x in ("q", "k", "v", "out") for of in ("batch", "head", "stride"))
_BIAS = ("bias_batch", "bias_head", "bias_row")


def specimen(
    name: str,
    kind: str,
    d: int,
    M: int,
    limits: Mapping[str, int],
    bias: bool = False,
    lengths: bool = False,
    lse: bool = False,
    split: tuple[int, int] | None = None,
) -> Specimen:
    """The kernel as its launcher makes it for M keys."""
    main, tail = split or parts(d)
    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}[kind]
    tiles = choose_tiles(dtype, main + tail, M, bias)
    return Specimen(
        name=name,
        kernel="attention_kernel",
        signature={
            **dict.fromkeys(("q_ptr", "k_ptr", "v_ptr", "out_ptr"), f"*{kind}"),
            "bias_ptr": f"*{kind}" if bias else None,
            "lengths_ptr": "*i64" if lengths else None,
            "lse_ptr": "*fp32" if lse else None,
            **dict.fromkeys((*_STRIDES, *_BIAS, "H", "N", "M"), "i32"),
            "scale": "fp32",
        },
        constexprs={
            "bias_stride": 1,
            "D": d,
            "MAIN": main,
            "TAIL": tail,
            "IN_PARTS": kind == "fp32",
            "HAS_BIAS": bias,
            "HAS_LENGTHS": lengths,
            "HAS_LSE": lse,
            "BLOCK_N": tiles.BLOCK_N,
            "BLOCK_M": tiles.BLOCK_M,
        },
        warps=tiles.warps,
        stages=tiles.stages,
        unaligned=("H", "N", "M"),
        max_instructions=limits["instructions"],
        max_registers=limits["registers"],
        max_loop=limits["loop"],
        matrix_unit=kind != "fp32",
    )


def _limits(instructions: int, registers: int, loop: int) -> dict[str, int]:
    return {"instructions": instructions, "registers": registers, "loop": loop}


SPECIMENS = (
    specimen("64, few keys", "fp16", 64, 257, _limits(1400, 148, 350)),
    specimen("64", "bf16", 64, 4096, _limits(1950, 184, 550)),
    specimen("32", "bf16", 32, 4096, _limits(1600, 148, 510)),
    specimen("72, few keys", "fp16", 72, 512, _limits(1700, 164, 410)),
    specimen("72", "fp16", 72, 4096, _limits(2200, 228, 630)),
    specimen("72 in bfloat16", "bf16", 72, 4096, _limits(2200, 228, 630)),
    specimen("128", "bf16", 128, 4096, _limits(1950, 208, 430)),
    specimen("72 with bias", "bf16", 72, 4096, _limits(2500, 216, 580), bias=True),
    specimen(
        "ragged 72 with sums", "bf16", 72, 4096, _limits(2300, 255, 630), lengths=True, lse=True
    ),
    specimen(
        "all of it, 64",
        "fp16",
        64,
        4096,
        _limits(2350, 192, 500),
        bias=True,
        lengths=True,
        lse=True,
    ),
    specimen(
        "all of it, 128",
        "fp16",
        128,
        4096,
        _limits(2900, 255, 570),
        bias=True,
        lengths=True,
        lse=True,
    ),
    specimen("single precision", "fp32", 64, 4096, _limits(3700, 204, 1570)),
    specimen("single precision, 72", "fp32", 72, 4096, _limits(1800, 196, 620)),
    specimen(
        "single precision, all of it, 128",
        "fp32",
        128,
        4096,
        _limits(2450, 255, 880),
        bias=True,
        lengths=True,
        lse=True,
    ),
)
# What 72 would cost without its two parts.
PADDED = specimen("padded 72", "fp16", 72, 512, _limits(2600, 255, 700), split=(128, 0))
