"""Picture to files without a server: warm in one process, and `bozzetto generate` cold."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.formats import write_output
from geometry.surface import reconstruct_surface
from models.catalog import CATALOG, ModelCard
from models.contract import PreparedImages, Reconstructor, Result, SamplingParams, State
from models.foreground import crop_foreground, extract_foreground
from models.images import decode
from models.registry import load
from service.worker.pipeline import sampling

EXAMPLES = Path(__file__).parents[1] / "examples"
_WARM_RUNS, _COLD_RUNS = 15, 5


def measure() -> dict[str, float]:
    """Medians in seconds for each model with its default parameters, 4,096 points, two threads."""
    torch.set_num_threads(2)
    results: dict[str, float] = {}
    for card in CATALOG.values():
        results |= {f"{card.id}: {name}": value for name, value in _measure_model(card).items()}
    return results


def _measure_model(card: ModelCard) -> dict[str, float]:
    model = load(card, torch.device("cpu"))
    params = sampling(card, card.resolve({"seed": 0}))
    pictures = [(EXAMPLES / name).read_bytes() for name in ("taxi.png", "muffin.jpg")]

    def reconstruct(data: bytes) -> Result:
        rgba = decode(data, 25_000_000)
        crop = crop_foreground(rgba, extract_foreground(rgba).alpha, card.image_size)
        state = _start(model, crop, params)
        while state.step < state.steps:
            model.step([state])
        return model.finish(state)

    def mesh(data: bytes) -> bytes:
        result = reconstruct(data)
        surface = reconstruct_surface(result.surface or result.points)
        return write_output("mesh.glb", result.points, surface, {})

    blank = np.zeros((4, card.image_size, card.image_size), np.float32)
    running = _start(model, blank, replace(params, steps=64))
    return {
        "picture with alpha to points.glb, warm, s": _median(
            lambda: write_output("points.glb", reconstruct(pictures[0]).points, None, {})
        ),
        "picture on a background to points.glb, warm, s": _median(
            lambda: write_output("points.glb", reconstruct(pictures[1]).points, None, {})
        ),
        "picture with alpha to mesh.glb, warm, s": _median(lambda: mesh(pictures[0])),
        "one evaluation of the network, s": _median(lambda: model.step([running])),
        "generate points.glb, cold process, s": _cold(card, "points"),
        "generate mesh.glb, cold process, s": _cold(card, "mesh"),
    }


def _start(model: Reconstructor, crop: NDArray[np.float32], params: SamplingParams) -> State:
    conditioning = model.encode(PreparedImages(torch.from_numpy(crop)[None]))
    generator = torch.Generator().manual_seed(params.seed)
    return model.start(conditioning.row(0), params, generator)


def _median(call: Callable[[], object], runs: int = _WARM_RUNS) -> float:
    call()
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _cold(card: ModelCard, kind: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [
            str(Path(sys.executable).with_name("bozzetto")), "generate",
            str(EXAMPLES / "taxi.png"), "-o", f"{folder}/out.glb", f"--{kind}",
            "--model", card.id,
        ]  # fmt: skip
        return _median(
            lambda: subprocess.run(command, check=True, capture_output=True), runs=_COLD_RUNS
        )
