from kernels.ball_query.kernel import BLOCK_M, BLOCK_N, WARPS
from tests.kernels.compiled import Specimen

_POINTERS = {
    "centers_ptr": "*fp32",
    "points_ptr": "*fp32",
    "index_ptr": "*i64",
    "count_ptr": "*i64",
}
_SIZES = {"M": "i32", "N": "i32", "U": "i32", "sq_radius": "fp32"}


def _specimen(ragged: bool) -> Specimen:
    return Specimen(
        name="ragged clouds" if ragged else "whole clouds",
        kernel="ball_query_kernel",
        signature={**_POINTERS, "lengths_ptr": "*i64" if ragged else None, **_SIZES},
        constexprs={"HAS_LENGTHS": ragged, "BLOCK_M": BLOCK_M, "BLOCK_N": BLOCK_N, "BLOCK_U": 32},
        warps=WARPS,
        unaligned=("M", "N", "U"),
        max_instructions=450,
        max_registers=56,
        max_loop=265,
    )


SPECIMENS = (_specimen(False), _specimen(True))
