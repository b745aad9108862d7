from kernels.knn.kernel import BLOCK_M, BLOCK_N, WARPS
from tests.kernels.compiled import Specimen

_POINTERS = {"query_ptr": "*fp32", "points_ptr": "*fp32", "keys_ptr": "*i64"}
_SIZES = {"M": "i32", "N": "i32", "split_size": "i32", "B": "i32"}
_BLOCKS = {"BLOCK_M": BLOCK_M, "BLOCK_N": BLOCK_N}


def _specimen(k: int, ragged: bool, loop: int, instructions: int, registers: int) -> Specimen:
    return Specimen(
        name=f"k {k}, {'ragged' if ragged else 'whole'} clouds",
        kernel="knn_kernel",
        signature={**_POINTERS, "lengths_ptr": "*i64" if ragged else None, **_SIZES},
        constexprs={"K": k, "DEPTH": min(k, 4), "HAS_LENGTHS": ragged, **_BLOCKS},
        warps=WARPS,
        unaligned=("M", "N", "B"),
        max_instructions=instructions,
        max_registers=registers,
        max_loop=loop,
    )


SPECIMENS = (
    _specimen(1, False, 195, 540, 64),
    _specimen(3, False, 225, 755, 104),
    _specimen(16, False, 420, 1450, 128),
    _specimen(32, True, 420, 1450, 128),
)
