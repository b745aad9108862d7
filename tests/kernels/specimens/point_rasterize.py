from kernels.point_rasterize.kernel import (
    FEATURE_WARPS,
    FEATURES,
    LARGE,
    MOST_CHANNELS,
    PIXEL_WARPS,
    PIXELS,
    SMALL,
    SPLAT_WARPS,
)
from tests.kernels.compiled import Specimen

_SPLAT = {"points_ptr": "*fp32", "keys_ptr": "*i64", "radius": "fp32"}
_SIZES = {"N": "i32", "H": "i32", "W": "i32"}
_MAP = {"C": "i32", "h": "i32", "w": "i32", "b_stride": "i32", "h_stride": "i32", "w_stride": "i32"}


def _splat(name: str, radii: str | None, blocks: tuple[int, int], most: int, loop: int) -> Specimen:
    return Specimen(
        name=name,
        kernel="splat_kernel",
        signature={**_SPLAT, **_SIZES, "radii_ptr": radii},
        constexprs={
            "HAS_RADII": radii is not None,
            "BLOCK_N": blocks[0],
            "BLOCK_X": blocks[1],
        },
        warps=SPLAT_WARPS,
        unaligned=("N",),
        max_instructions=most,
        max_registers=46,
        max_loop=loop,
    )


def _gather(name: str, kind: str, bilinear: bool, most: int, registers: int) -> Specimen:
    return Specimen(
        name=name,
        kernel="gather_kernel",
        signature={"map_ptr": kind, "pixel_ptr": "*i64", "out_ptr": kind, **_SIZES, **_MAP},
        constexprs={
            "c_stride": 1,
            "BILINEAR": bilinear,
            "BLOCK_N": FEATURES // MOST_CHANNELS,
            "BLOCK_C": MOST_CHANNELS,
        },
        warps=FEATURE_WARPS,
        unaligned=("N", "h", "w"),
        max_instructions=most,
        max_registers=registers,
    )


SPECIMENS = (
    _splat("small discs", None, SMALL, 280, 20),
    _splat("large discs", None, LARGE, 340, 37),
    _splat("discs of any size", "*fp32", LARGE, 360, 37),
    Specimen(
        name="keys apart",
        kernel="resolve_kernel",
        signature={"keys_ptr": "*i64", "index_ptr": "*i64", "z_ptr": "*fp32", "total": "i32"},
        constexprs={"BLOCK": PIXELS},
        warps=PIXEL_WARPS,
        max_instructions=105,
        max_registers=37,
    ),
    Specimen(
        name="pixels of points",
        kernel="own_kernel",
        signature={
            "index_ptr": "*i64",
            "found_ptr": "*i64",
            "pixels_of_picture": "i32",
            "N": "i32",
        },
        constexprs={"BLOCK": PIXELS},
        warps=PIXEL_WARPS,
        unaligned=("N",),
        max_instructions=150,
        max_registers=34,
    ),
    _gather("bilinear", "*fp32", True, 730, 76),
    _gather("bilinear bfloat16", "*bf16", True, 580, 54),
    _gather("nearest", "*fp32", False, 420, 38),
)
