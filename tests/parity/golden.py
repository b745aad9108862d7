"""Golden inputs and outputs made with the authors' own code, which are not part of this repository.

`PARITY_DIR` names a folder of them; any other set of the same form can be checked too, so sizes and
seeds are read from each folder and never assumed.
"""

import json
import os
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
DEVICES = ("cpu", pytest.param("cuda", marks=pytest.mark.gpu))
_NUMBER = r"(-?\d+\.\d+)"
_SUMS = rf"sum (?:= )?{_NUMBER}, sum of squares (?:= )?{_NUMBER}"
_FIRST = r"`([^`]+)`\[0,:(\d+)\] = \[([^]]+)\]"  # values of a row


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
        """Of a published checkpoint: key -> shape and type. Skips the test where it is absent."""
        path = self.folder / f"layout_full_{name}.json"
        if not path.is_file():
            pytest.skip(f"no {path}")
        layout: Layout = json.loads(path.read_text())
        return layout

    @property
    def words(self) -> str:
        """The README, which alone has some numbers."""
        path = self.folder / "README.md"
        return path.read_text("utf-8") if path.is_file() else ""

    @property
    def recipe_seed(self) -> int:
        """Of the weights of full size. Skips the test where the set does not say."""
        stated = self.config.get("full", {}).get("recipe_seed")
        if stated is None and (found := re.search(r"XOR (\d+)", self.words)):
            stated = found[1]
        if stated is None:
            pytest.skip(f"neither config.json nor README.md in {self.folder} has a recipe's seed")
        return int(stated)

    def check_recipe(self, weights: dict[str, Tensor], network: str = "") -> bool:
        """`weights` have the sums and first values that the README tells, of `network` where it
        has several; what it does not tell is not looked at. False where it tells no sums."""
        sums = re.search(rf"{network} {_SUMS}" if network else _SUMS, self.words)
        if sums:
            wide = [tensor.double() for tensor in weights.values()]
            found = [sum(float(t.sum()) for t in wide), sum(float(t.square().sum()) for t in wide)]
            for value, told in zip(found, sums.groups(), strict=True):
                last = 10.0 ** -len(told.partition(".")[2])
                assert value == pytest.approx(float(told), rel=1e-9, abs=last)
        for key, count, told in re.findall(_FIRST, self.words):
            values = [float(value) for value in told.split(",")]
            assert weights[key].flatten()[: int(count)].tolist() == pytest.approx(values, rel=1e-5)
        return sums is not None


@cache
def golden(name: str) -> Golden:
    return Golden(name)


@contextmanager
def on_device(name: str) -> Iterator[torch.device]:
    """The device, with convolutions in full precision. Skips the test where there is none."""
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    usual = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield torch.device(name)
    finally:
        torch.backends.cudnn.allow_tf32 = usual


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
