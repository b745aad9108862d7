"""Golden inputs and outputs of the published operators: `PARITY_DIR`, or ../shared/parity."""

import os
from functools import cache
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import Tensor

from tests.kernels.kit import DEVICE

_DEFAULT = Path(__file__).parents[3] / "shared" / "parity"


def golden(op: str) -> dict[str, dict[str, Tensor]]:
    """The cases of an operator: by case, its inputs and outputs by name, on the test's device.

    Skips the test where the folder is missing.
    """
    cases: dict[str, dict[str, Tensor]] = {}
    for key, value in _values("ops").items():
        of, case, name = key.split(".", 2)
        if of == op:
            cases.setdefault(case, {})[name] = value.to(DEVICE)
    assert cases, f"no case of {op}"
    return cases


def golden_set(name: str) -> dict[str, Tensor]:
    """All inputs and outputs of another folder of golden values, on the test's device."""
    return {key: value.to(DEVICE) for key, value in _values(name).items()}


@cache
def _values(name: str) -> dict[str, Tensor]:
    folder = Path(os.environ.get("PARITY_DIR", _DEFAULT)) / name
    if not folder.is_dir():
        pytest.skip(f"no golden values: {folder} is missing (PARITY_DIR names their folder)")
    return {**load_file(folder / "inputs.safetensors"), **load_file(folder / "outputs.safetensors")}
