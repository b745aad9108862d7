from kernels.group.kernel import BLOCK, WARPS
from tests.kernels.compiled import Specimen

_SIZES = {"N": "i32", "groups": "i32", "size": "i32"}


def _specimen(name: str, kind: str, C: int, relative: bool, instructions: int) -> Specimen:
    coordinates = kind if relative else None
    return Specimen(
        name=name,
        kernel="group_kernel",
        signature={
            "features_ptr": kind if C else None,
            "points_ptr": coordinates,
            "centers_ptr": coordinates,
            "index_ptr": "*i64",
            "out_ptr": kind,
            **_SIZES,
        },
        constexprs={"C": C, "U": 32, "RELATIVE": relative, "BLOCK": BLOCK},
        warps=WARPS,
        unaligned=("N", "groups", "size"),
        max_instructions=instructions,
        max_registers=40,
    )


SPECIMENS = (
    _specimen("features, 64 channels", "*fp32", 64, False, 130),
    _specimen("features, 35 channels of half precision", "*fp16", 35, False, 140),
    _specimen("coordinates", "*fp32", 0, True, 195),
    _specimen("coordinates and 32 channels", "*fp32", 32, True, 230),
)
