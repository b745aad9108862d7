from kernels.modulate_norm.kernel import tile
from tests.kernels.compiled import Specimen


def _specimen(
    C: int, dtype: str, residual: bool, max_instructions: int, max_registers: int
) -> Specimen:
    """A program takes up to 31 instructions a number in the time in which its 4 bytes pass (bf16,
    without a residual), 62 in that of 8, 124 in that of 16."""
    rows, columns, warps = tile(C)
    pointer = f"*{dtype}"
    strides = ("gate_stride", "scale_stride", "shift_stride")
    return Specimen(
        name=f"C {C}, {dtype}{', with a residual' if residual else ''}",
        kernel="modulate_norm_kernel",
        signature={
            "x_ptr": pointer,
            "residual_ptr": pointer if residual else None,
            "gate_ptr": pointer if residual else None,
            "scale_ptr": pointer,
            "shift_ptr": pointer,
            "sum_ptr": pointer,
            "y_ptr": pointer,
            **dict.fromkeys(("N", "C", "blocks", *strides), "i32"),
            "eps": "fp32",
        },
        constexprs={"ROWS": rows, "BLOCK_C": columns},
        warps=warps,
        unaligned=("N", "blocks"),
        max_instructions=max_instructions,
        max_registers=max_registers,
    )


SPECIMENS = (
    _specimen(192, "bf16", residual=False, max_instructions=740, max_registers=76),
    _specimen(192, "bf16", residual=True, max_instructions=980, max_registers=80),
    _specimen(192, "fp32", residual=True, max_instructions=800, max_registers=90),
    _specimen(288, "fp16", residual=True, max_instructions=840, max_registers=76),
    _specimen(1152, "bf16", residual=False, max_instructions=770, max_registers=72),
    _specimen(1152, "bf16", residual=True, max_instructions=1060, max_registers=92),
    _specimen(2048, "fp32", residual=True, max_instructions=810, max_registers=92),
)
