"""Each operator of `kernels/` has all its parts: contract, reference, kernel, test, benchmark and
the instances that the compile gate looks at."""

import importlib

import pytest

from kernels.dispatch import Table
from tests.repository.kernels import PLAIN, files_of, operators


def test_there_are_operators() -> None:
    assert "chamfer" in operators()
    assert set(operators()) >= PLAIN


@pytest.mark.parametrize("op", operators())
def test_operator_is_complete(op: str) -> None:
    missing = [role for role, path in files_of(op).items() if not path.is_file()]
    assert missing == []


@pytest.mark.parametrize("op", operators())
def test_operator_has_a_table_of_its_name(op: str) -> None:
    table = importlib.import_module(f"kernels.{op}").TABLE
    assert isinstance(table, Table)
    assert table.op == op
    assert {choice.backend for choice in table.choices} <= set(table.backends)
    assert "reference" in table.backends
    for device in ("cpu", "cuda"):
        last = [choice for choice in table.choices if choice.device == device][-1]
        assert last.up_to == float("inf"), f"some calls have no backend on {device}"
        assert not last.dtypes
