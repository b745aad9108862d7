"""Each operator of `kernels/` has all its parts: contract, reference, kernel, test, benchmark and
the instances that the compile gate looks at."""

import importlib
import json
import subprocess
import sys
from typing import Any

import pytest
import torch

from benchmarks.kernels import report
from kernels.dispatch import Choice, Table
from tests.docs.markdown import blocks
from tests.repository.files import ROOT
from tests.repository.kernels import PLAIN, files_of, operators

RESULTS = ROOT / "benchmarks" / "results"
# A backend that is this much slower than the best may still be chosen: machines are noisy.
SLACK = 1.3


def test_there_are_operators() -> None:
    assert "chamfer" in operators()
    assert set(operators()) >= PLAIN


@pytest.mark.parametrize("op", operators())
def test_operator_is_complete(op: str) -> None:
    missing = [role for role, path in files_of(op).items() if not path.is_file()]
    assert missing == []


@pytest.mark.parametrize("op", operators())
def test_operator_has_a_table_of_its_name(op: str) -> None:
    table = _table(op)
    assert table.op == op
    assert {choice.backend for choice in table.choices} <= set(table.backends)
    assert "reference" in table.backends
    for device in ("cpu", "cuda"):
        last = [choice for choice in table.choices if choice.device == device][-1]
        assert last.up_to == float("inf"), f"some calls have no backend on {device}"
        assert not last.dtypes


@pytest.mark.parametrize("op", operators())
def test_tables_choose_what_was_measured_to_win(op: str) -> None:
    """On the CPU. A backend without figures for a shape was too slow to be timed there."""
    cases = [row for row in _measured() if row["op"] == op]
    assert cases, f"run `python -m benchmarks kernels --ops {op}`"
    slow = []
    for row in cases:
        times = {name: row["microseconds"][name] for name in row["backends"]}
        chosen = _choice(_table(op), row["dtype"], row["size"])
        assert chosen.measured == "kernels-cpu"
        if times.get(chosen.backend, float("inf")) > SLACK * min(times.values()):
            slow.append(f"{row['case']}: {chosen.backend} of {times}")
    assert slow == []


def _choice(table: Table, dtype: str, size: float) -> Choice:
    return next(each for each in table.choices if each.fits("cpu", getattr(torch, dtype), size))


def _table(op: str) -> Table:
    table = importlib.import_module(f"kernels.{op}").TABLE
    assert isinstance(table, Table)
    return table


def _measured() -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads((RESULTS / "kernels-cpu.json").read_text())["cases"]
    return cases


def test_the_page_shows_the_latest_figures() -> None:
    page = (ROOT / "docs" / "kernels.md").read_text()
    assert page == report.insert(page, RESULTS), "run `python -m benchmarks kernels`"


def test_every_operator_is_on_the_page() -> None:
    page = (ROOT / "docs" / "kernels.md").read_text()
    assert [op for op in operators() if f"| `{op}` |" not in page] == []


def test_the_example_on_the_page_runs() -> None:
    page = (ROOT / "docs" / "kernels.md").read_text()
    (example,) = [block for block in blocks(page) if block.language == "python"]
    done = subprocess.run(
        [sys.executable, "-c", example.code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("tensor(") == 2
