"""Compiles kernels without a GPU and reads what came out: `python -m tests.kernels.compiled OP...`

Prints one JSON object, what each specimen of the operators needs, by name. It wants a process of
its own without TRITON_INTERPRET: a kernel is interpreted or compiled from its decoration on.
"""

import importlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

SM_90 = ("cuda", 90, 32)


@dataclass(frozen=True, slots=True)
class Specimen:
    """One instance of a kernel as its launcher makes it, and what it may need on sm_90.

    Attributes:
        name: of the instance, unique within the operator.
        kernel: the function's name in `kernels.<op>.kernel`.
        signature: argument to type, "*fp32", "i32"; None for a pointer that is left out.
        constexprs: the compile-time arguments.
        warps, stages: as the launcher has them.
        unaligned: arguments that are not multiples of 16, as pointers to rows of 3 are; all other
            pointers and integers are taken as multiples, as Triton finds them at a launch.
        max_instructions: of the whole program.
        max_registers: of a thread.
        max_loop: instructions of the longest innermost loop; None without a bound.
        matrix_unit: whether it multiplies by HGMMA.
    """

    name: str
    kernel: str
    signature: Mapping[str, str | None]
    constexprs: Mapping[str, object] = field(default_factory=dict)
    warps: int = 4
    stages: int = 3
    unaligned: tuple[str, ...] = ()
    max_instructions: int = 1000
    max_registers: int = 128
    max_loop: int | None = None
    matrix_unit: bool = False


@dataclass(frozen=True, slots=True)
class Needs:
    """What a compiled kernel takes: of a thread the registers and bytes spilled, of a program the
    instructions, those of its longest innermost loop, those of the matrix unit, shared bytes, and
    the columns that the matrix unit's instructions make, of 64 rows by 16 terms each."""

    registers: int
    spilled: int
    instructions: int
    loop: int
    matrix: int
    shared: int
    columns: int = 0


def specimens(op: str) -> tuple[Specimen, ...]:
    found: tuple[Specimen, ...] = importlib.import_module(f"tests.kernels.specimens.{op}").SPECIMENS
    return found


def compile_specimen(op: str, specimen: Specimen) -> Needs:
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    function = getattr(importlib.import_module(f"kernels.{op}.kernel"), specimen.kernel)
    signature: dict[str, str] = {}
    constants = dict(specimen.constexprs)
    for name in function.arg_names:
        kind = specimen.signature.get(name, "constexpr")
        signature[name] = "constexpr" if kind is None else kind
        if kind is None:
            constants[name] = None
    aligned = {
        (index,): [["tt.divisibility", 16]]
        for index, name in enumerate(function.arg_names)
        if name not in specimen.unaligned and _has_alignment(signature[name])
    }
    source = ASTSource(function, signature, constants, aligned)
    options = {"num_warps": specimen.warps, "num_stages": specimen.stages}
    compiled = triton.compile(source, target=GPUTarget(*SM_90), options=options)
    return _needs(compiled.asm["cubin"], compiled.metadata.shared)


def _has_alignment(kind: str) -> bool:
    return kind.startswith("*") or kind in {"i32", "i64"}


def _needs(cubin: bytes, shared: int) -> Needs:
    import triton.backends.nvidia

    tools = Path(triton.backends.nvidia.__file__).parent / "bin"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()

        def dump(what: str) -> str:
            command = [str(tools / "cuobjdump"), what, file.name]
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout

        usage = dump("-res-usage")
        code = instructions(dump("-sass"))
    found = {name: int(value) for name, value in re.findall(r"\b([A-Z]+):(\d+)", usage)}
    return Needs(
        registers=found["REG"],
        spilled=found["STACK"] + found["LOCAL"],
        instructions=len(code),
        loop=longest_loop(code),
        matrix=sum("HGMMA" in text for _, text in code),
        shared=shared,
        columns=sum(
            map(int, re.findall(r"HGMMA\.64x(\d+)x16", "\n".join(text for _, text in code)))
        ),
    )


def instructions(sass: str) -> list[tuple[int, str]]:
    """Address and text of each instruction; the padding behind the last jump is left out."""
    found = [
        (int(address, 16), text.strip())
        for address, text in re.findall(r"/\*([0-9a-f]{4,5})\*/\s+([^;]+);", sass)
    ]
    while found and found[-1][1] == "NOP":
        found.pop()
    return found


def longest_loop(code: list[tuple[int, str]]) -> int:
    """Instructions of the longest loop that has no other in it; 0 without any.

    The jump that ends a program on itself is none.
    """
    spans = []
    for address, text in code:
        jump = re.search(r"\bBRA(?:\.\w+)*\s+(?:\S+,\s*)*`?\(?(?:\.L_\w+|0x([0-9a-f]+))", text)
        if jump and jump.group(1) and (start := int(jump.group(1), 16)) < address:
            spans.append((start, address))
    inner = [
        span
        for span in spans
        if not any(span != other and span[0] <= other[0] and other[1] <= span[1] for other in spans)
    ]
    return max((sum(a <= at <= b for at, _ in code) for a, b in inner), default=0)


def main() -> None:
    report = {
        op: {each.name: asdict(compile_specimen(op, each)) for each in specimens(op)}
        for op in sys.argv[1:]
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
