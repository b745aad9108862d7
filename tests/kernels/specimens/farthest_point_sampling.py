from kernels.farthest_point_sampling.kernel import CHUNK, CHUNK_WARPS, RESIDENT, resident_warps
from tests.kernels.compiled import Specimen


def _resident(
    block: int, instructions: int, registers: int, loop: int, ragged: bool = False
) -> Specimen:
    return Specimen(
        name=f"{block} points in registers{', ragged, ties spread' if ragged else ''}",
        kernel="resident_kernel",
        signature={
            "points_ptr": "*fp32",
            "lengths_ptr": "*i64" if ragged else None,
            "picked_ptr": "*i64",
            "N": "i32",
            "S": "i32",
        },
        constexprs={"HAS_LENGTHS": ragged, "SPREAD": ragged, "BLOCK": block},
        warps=resident_warps(block),
        unaligned=("N", "S"),
        max_instructions=instructions,
        max_registers=registers,
        max_loop=loop,
    )


def _streamed(spread: bool) -> Specimen:
    return Specimen(
        name=f"points in memory{', ties spread' if spread else ''}",
        kernel="streamed_kernel",
        signature={"state_ptr": "*fp32", "picked_ptr": "*i64", "P": "i32", "S": "i32"},
        constexprs={"SPREAD": spread, "CHUNK": CHUNK},
        warps=CHUNK_WARPS,
        unaligned=("S",),
        max_instructions=220,
        max_registers=60,
        max_loop=62,  # 13.5 a point
    )


SPECIMENS = (
    _resident(64, 420, 40, 160),  # four picks in a turn of the loop
    _resident(512, 500, 128, 205),
    _resident(2048, 540, 128, 235),
    _resident(RESIDENT, 570, 128, 250),
    _resident(RESIDENT, 590, 128, 255, ragged=True),
    _streamed(spread=False),
    _streamed(spread=True),
)
