"""Every kernel compiles for sm_90 on any machine, within its budget: no spills, the matrix unit
where one is meant, no more registers and instructions than its specimen allows."""

import json
import os
import subprocess
import sys
from importlib.metadata import version

import pytest

from tests.kernels.compiled import Needs, Specimen, instructions, longest_loop, specimens
from tests.repository.files import ROOT
from tests.repository.kernels import with_kernel

BUDGETED = "3.7."  # Triton's release that budgets are for; others may lay a tile out differently


@pytest.mark.parametrize("op", with_kernel())
def test_kernels_compile_within_their_budgets(op: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.kernels.compiled", op],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])[op]
    assert len(report) == len(specimens(op)) > 0
    exact = version("triton").startswith(BUDGETED)
    over = [
        line
        for each in specimens(op)
        for line in _over_budget(each, Needs(**report[each.name]), exact)
    ]
    assert over == []


def _over_budget(specimen: Specimen, needs: Needs, exact: bool = True) -> list[str]:
    bounds = {"spilled": (needs.spilled, 0)}
    if exact:
        longest = needs.loop if specimen.max_loop is None else specimen.max_loop
        bounds["registers"] = (needs.registers, specimen.max_registers)
        bounds["instructions"] = (needs.instructions, specimen.max_instructions)
        bounds["loop"] = (needs.loop, longest)
    over = [
        f"{specimen.name}: {name} {value}, allowed {bound}"
        for name, (value, bound) in bounds.items()
        if value > bound
    ]
    if bool(needs.matrix) != specimen.matrix_unit:
        over.append(f"{specimen.name}: {needs.matrix} HGMMA, wanted: {specimen.matrix_unit}")
    return over


def test_a_budget_can_be_exceeded() -> None:
    specimen = Specimen("s", "k", {}, max_instructions=10, max_registers=8, max_loop=2)
    needs = Needs(registers=9, spilled=8, instructions=11, loop=3, matrix=1, shared=0)
    assert len(_over_budget(specimen, needs)) == 5
    assert len(_over_budget(specimen, needs, exact=False)) == 2
    assert _over_budget(specimen, Needs(8, 0, 10, 2, 0, 0)) == []


SASS = """
        /*0000*/                   MOV R1, c[0x0][0x28] ;  /* 0x00000a0000017a02 */
        /*0010*/                   FADD R0, R1, R2 ;
        /*0020*/                   FADD R0, R1, R2 ;
        /*0030*/              @!P0 BRA 0x20 ;
        /*0040*/              @P1  BRA 0x10 ;
        /*0050*/                   EXIT ;
        /*0060*/                   BRA 0x60;
        /*0070*/                   NOP;
"""


def test_loops_are_found_in_machine_code() -> None:
    code = instructions(SASS)
    assert len(code) == 7
    assert longest_loop(code) == 2
