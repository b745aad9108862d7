from kernels.chamfer.kernel import BLOCK_M, BLOCK_N, WARPS
from tests.kernels.compiled import Specimen

_PAIRS = BLOCK_N * BLOCK_M // (32 * WARPS)  # of a thread in one turn of the loop
_SIZES = {"N": "i32", "M": "i32", "split_size": "i32", "B": "i32"}
_POINTERS = {"x_ptr": "*fp32", "y_ptr": "*fp32", "keys_ptr": "*i64"}
_BLOCKS = {"BLOCK_N": BLOCK_N, "BLOCK_M": BLOCK_M}

SPECIMENS = (
    Specimen(
        name="whole clouds",
        kernel="nearest_kernel",
        signature={**_POINTERS, "x_lengths_ptr": None, "y_lengths_ptr": None, **_SIZES},
        constexprs={"HAS_X_LENGTHS": False, "HAS_Y_LENGTHS": False, **_BLOCKS},
        warps=WARPS,
        unaligned=("N", "M"),
        max_instructions=850,
        max_registers=128,
        max_loop=10 * _PAIRS,
    ),
    Specimen(
        name="ragged clouds",
        kernel="nearest_kernel",
        signature={**_POINTERS, "x_lengths_ptr": "*i64", "y_lengths_ptr": "*i64", **_SIZES},
        constexprs={"HAS_X_LENGTHS": True, "HAS_Y_LENGTHS": True, **_BLOCKS},
        warps=WARPS,
        unaligned=("N", "M"),
        max_instructions=850,
        max_registers=128,
        max_loop=10 * _PAIRS,
    ),
)
