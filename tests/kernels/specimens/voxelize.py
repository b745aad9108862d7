from kernels.voxelize.kernel import BLOCK_M, BLOCK_N, BLOCK_R, BLOCK_RUN, TAPS, WARPS, WIDEST_C
from tests.kernels.compiled import Specimen

_MEAN = {
    "order_ptr": "*i64",
    "start_ptr": "*i32",
    "stop_ptr": "*i32",
    "count_ptr": "*i32",
    "N": "i32",
    "C": "i32",
    "cells": "i32",
}
_PAIRS = BLOCK_N * BLOCK_M // (32 * WARPS)  # of a thread in one turn of the loop

SPECIMENS = (
    Specimen(
        name="rank",
        kernel="rank_kernel",
        signature={"cell_ptr": "*i64", "order_ptr": "*i64", "N": "i32"},
        constexprs={"BLOCK_N": BLOCK_N, "BLOCK_M": BLOCK_M},
        warps=WARPS,
        unaligned=("N",),
        max_instructions=600,
        max_registers=110,
        max_loop=int(2.7 * _PAIRS),
    ),
    Specimen(
        name="runs",
        kernel="runs_kernel",
        signature={
            "cell_ptr": "*i64",
            "order_ptr": "*i64",
            "start_ptr": "*i32",
            "stop_ptr": "*i32",
            "N": "i32",
            "cells": "i32",
        },
        constexprs={"BLOCK": BLOCK_RUN},
        warps=WARPS,
        unaligned=("N", "cells"),
        max_instructions=135,
        max_registers=32,
    ),
    Specimen(
        name="mean",
        kernel="mean_kernel",
        signature={"features_ptr": "*fp32", "mean_ptr": "*fp32", **_MEAN},
        constexprs={"BLOCK_R": BLOCK_R, "BLOCK_C": WIDEST_C, "TAPS": TAPS},
        warps=WARPS,
        unaligned=("N",),
        max_instructions=590,
        max_registers=64,
        max_loop=166,
    ),
    Specimen(
        name="mean of bfloat16",
        kernel="mean_kernel",
        signature={"features_ptr": "*bf16", "mean_ptr": "*bf16", **_MEAN},
        constexprs={"BLOCK_R": BLOCK_R, "BLOCK_C": WIDEST_C, "TAPS": TAPS},
        warps=WARPS,
        unaligned=("N",),
        max_instructions=555,
        max_registers=46,
        max_loop=161,
    ),
    Specimen(
        name="mean of three channels",
        kernel="mean_kernel",
        signature={"features_ptr": "*fp32", "mean_ptr": "*fp32", **_MEAN},
        constexprs={"BLOCK_R": BLOCK_R, "BLOCK_C": 4, "TAPS": TAPS},
        warps=WARPS,
        unaligned=("N", "C"),
        max_instructions=335,
        max_registers=40,
        max_loop=68,
    ),
)
