"""Golden inputs and outputs made with the authors' own code, which are not part of this repository.

`PARITY_DIR` names a folder of them; any other set of the same form can be checked too, so sizes and
seeds are read from each folder and never assumed.
"""

import json
import os
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
PARITY_DIR = Path(os.environ.get("PARITY_DIR", ROOT.parent / "shared" / "parity"))
Layout = dict[str, tuple[list[int], str]]


class Golden:
    """One folder. Skips the test that asks for it, saying why, where it is absent."""

    def __init__(self, name: str) -> None:
        self.folder = PARITY_DIR / name
        if not self.folder.is_dir():
            pytest.skip(f"no golden data in {self.folder}; PARITY_DIR names another folder")

    @property
    def config(self) -> dict[str, Any]:
        config: dict[str, Any] = json.loads((self.folder / "config.json").read_text())
        return config

    @property
    def inputs(self) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = load_file(self.folder / "inputs.safetensors")
        return tensors

    @property
    def outputs(self) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = load_file(self.folder / "outputs.safetensors")
        return tensors

    def weights(self, name: str = "weights") -> dict[str, Tensor]:
        """Under the authors' keys."""
        tensors: dict[str, Tensor] = load_file(self.folder / f"{name}.safetensors")
        return tensors

    def layout(self, name: str) -> Layout:
        """Of a published checkpoint: key -> shape and type."""
        layout: Layout = json.loads((self.folder / f"layout_full_{name}.json").read_text())
        return layout


@cache
def golden(name: str) -> Golden:
    return Golden(name)


def assert_close(actual: Tensor, expected: Tensor, rtol: float, atol: float) -> None:
    """|actual - expected| <= atol + rtol * |expected|, types aside."""
    torch.testing.assert_close(
        actual.detach().double(), expected.double(), rtol=rtol, atol=atol, check_device=False
    )


def draw(key: str, shape: list[int], seed: int) -> np.ndarray:
    """What a weight recipe starts from: float64 standard normal, fixed by key and seed."""
    source = np.random.RandomState((zlib.crc32(key.encode()) ^ seed) & 0xFFFFFFFF)
    return source.standard_normal(shape)


def recipe(
    layout: Layout,
    seed: int,
    value: Callable[[str, np.ndarray], np.ndarray],
    prefix: str = "",
) -> dict[str, Tensor]:
    """Weights of the published size: `value(key, x)` of each key without `prefix`, as float32."""
    weights = {}
    for full, (shape, _) in layout.items():
        key = full.removeprefix(prefix)
        weights[full] = torch.from_numpy(value(key, draw(key, shape, seed)).astype(np.float32))
    return weights


def assert_strict(net: torch.nn.Module, layout: Layout) -> None:
    """The network has exactly the tensors of a published checkpoint, in name and shape."""
    own = {key: list(value.shape) for key, value in net.state_dict().items()}
    assert own == {key: shape for key, (shape, _) in layout.items()}
