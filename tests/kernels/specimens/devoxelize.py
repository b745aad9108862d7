from kernels.devoxelize.kernel import BLOCK_N, WARPS, WIDEST_C
from tests.kernels.compiled import Specimen

_SIZES = {"N": "i32", "C": "i32", "R": "i32"}

SPECIMENS = (
    Specimen(
        name="float32",
        kernel="devoxelize_kernel",
        signature={"rows_ptr": "*fp32", "coords_ptr": "*fp32", "out_ptr": "*fp32", **_SIZES},
        constexprs={"BLOCK_N": BLOCK_N, "BLOCK_C": WIDEST_C},
        warps=WARPS,
        unaligned=("N", "R"),
        max_instructions=415,
        max_registers=64,
    ),
    Specimen(
        name="bfloat16",
        kernel="devoxelize_kernel",
        signature={"rows_ptr": "*bf16", "coords_ptr": "*fp32", "out_ptr": "*bf16", **_SIZES},
        constexprs={"BLOCK_N": BLOCK_N, "BLOCK_C": WIDEST_C},
        warps=WARPS,
        unaligned=("N", "R"),
        max_instructions=385,
        max_registers=50,
    ),
    Specimen(
        name="three channels",
        kernel="devoxelize_kernel",
        signature={"rows_ptr": "*fp32", "coords_ptr": "*fp32", "out_ptr": "*fp32", **_SIZES},
        constexprs={"BLOCK_N": BLOCK_N, "BLOCK_C": 4},
        warps=WARPS,
        unaligned=("N", "C", "R"),
        max_instructions=195,
        max_registers=40,
    ),
)
