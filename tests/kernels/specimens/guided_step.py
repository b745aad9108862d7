from kernels.guided_step.kernel import BLOCK, WARPS
from tests.kernels.compiled import Specimen

_STATE = {
    "x_ptr": "*fp32",
    "coefficients_ptr": "*fp32",
    "next_ptr": "*fp32",
    "denoised_ptr": "*fp32",
}
_SIZES = {"size": "i32", "blocks": "i32"}


def _specimen(name: str, out: str, whole: bool, aligned: bool, max_instructions: int) -> Specimen:
    """A thread has 4 numbers and takes some 40 instructions for each, whose 16 to 32 bytes pass in
    the time of 120 to 250."""
    return Specimen(
        name=name,
        kernel="guided_step_kernel",
        signature={
            **_STATE,
            "out_ptr": out,
            "partner_ptr": "*i64" if whole else None,
            "memory_ptr": "*fp32" if whole else None,
            "noise_ptr": "*fp32" if whole else None,
            **_SIZES,
        },
        constexprs={"BLOCK": BLOCK},
        warps=WARPS,
        unaligned=("blocks",) if aligned else ("blocks", "size"),
        max_instructions=max_instructions,
        max_registers=38,
    )


SPECIMENS = (
    _specimen("euler without guidance", "*fp32", whole=False, aligned=True, max_instructions=100),
    _specimen("everything", "*fp32", whole=True, aligned=True, max_instructions=158),
    _specimen("everything, bf16", "*bf16", whole=True, aligned=True, max_instructions=170),
    _specimen("everything, any size", "*fp32", whole=True, aligned=False, max_instructions=195),
)
