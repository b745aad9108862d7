from kernels.three_nn_interpolate.kernel import BLOCK_M, BLOCK_N, CHANNELS, TILE, WARPS
from tests.kernels.compiled import Specimen

_PAIRS = BLOCK_N * BLOCK_M // (32 * WARPS)  # of a thread in one turn of the loop
_VALUES = TILE // (32 * WARPS)  # of a thread


def _interpolate(dtype: str, per_value: int) -> Specimen:
    return Specimen(
        name=f"features in {dtype}",
        kernel="interpolate_kernel",
        signature={
            "features_ptr": f"*{dtype}",
            "index_ptr": "*i64",
            "weights_ptr": "*fp32",
            "out_ptr": f"*{dtype}",
            "N": "i32",
            "M": "i32",
            "C": "i32",
        },
        constexprs={"BLOCK_N": TILE // CHANNELS, "BLOCK_C": CHANNELS},
        warps=WARPS,
        unaligned=("N", "M"),
        max_instructions=per_value * _VALUES,
        max_registers=74,
    )


SPECIMENS = (
    Specimen(
        name="three nearest",
        kernel="nearest_kernel",
        signature={
            "points_ptr": "*fp32",
            "centers_ptr": "*fp32",
            "index_ptr": "*i64",
            "weights_ptr": "*fp32",
            "N": "i32",
            "M": "i32",
        },
        constexprs={"BLOCK_N": BLOCK_N, "BLOCK_M": BLOCK_M},
        warps=WARPS,
        unaligned=("N", "M"),
        max_instructions=780,
        max_registers=118,
        max_loop=27 * _PAIRS,
    ),
    _interpolate("fp32", per_value=23),
    _interpolate("fp16", per_value=19),
    _interpolate("bf16", per_value=20),
)
