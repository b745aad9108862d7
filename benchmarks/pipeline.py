"""Picture to files without a server: warm in one process, and `bozzetto generate` cold."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from geometry.formats import write_output
from geometry.surface import reconstruct_surface
from models.catalog import get_card
from models.contract import PreparedImages, Result, SamplingParams
from models.foreground import crop_foreground, extract_foreground
from models.images import decode
from models.registry import load

EXAMPLES = Path(__file__).parents[1] / "examples"
_WARM_RUNS, _COLD_RUNS = 15, 5


def measure() -> dict[str, float]:
    """Medians in seconds; `draft`, 4,096 points, two threads."""
    torch.set_num_threads(2)
    card = get_card("draft")
    model = load(card, torch.device("cpu"))
    pictures = [(EXAMPLES / name).read_bytes() for name in ("taxi.png", "muffin.jpg")]

    def reconstruct(data: bytes) -> Result:
        rgba = decode(data, 25_000_000)
        foreground = extract_foreground(rgba)
        crop = crop_foreground(rgba, foreground.alpha, card.image_size)
        conditioning = model.encode(PreparedImages(torch.from_numpy(crop)[None]))
        params = SamplingParams(num_points=4096, steps=1, seed=0)
        state = model.start(conditioning.row(0), params, torch.Generator())
        model.step([state])
        return model.finish(state)

    def network() -> None:
        crop = torch.from_numpy(np.zeros((1, 4, card.image_size, card.image_size), np.float32))
        state = model.start(
            model.encode(PreparedImages(crop)).row(0), SamplingParams(256, 1, 0), torch.Generator()
        )
        model.step([state])

    cloud = reconstruct(pictures[0]).points
    return {
        "picture with alpha to points.glb, warm, s": _median(
            lambda: write_output("points.glb", reconstruct(pictures[0]).points, None, {})
        ),
        "picture on a background to points.glb, warm, s": _median(
            lambda: write_output("points.glb", reconstruct(pictures[1]).points, None, {})
        ),
        "network alone, s": _median(network),
        "surface of 4,096 points, s": _median(lambda: reconstruct_surface(cloud)),
        "generate points.glb, cold process, s": _cold("points"),
        "generate mesh.glb, cold process, s": _cold("mesh"),
    }


def _median(call: Callable[[], object], runs: int = _WARM_RUNS) -> float:
    call()
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _cold(kind: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [
            str(Path(sys.executable).with_name("bozzetto")), "generate",
            str(EXAMPLES / "taxi.png"), "-o", f"{folder}/out.glb", f"--{kind}",
        ]  # fmt: skip
        return _median(
            lambda: subprocess.run(command, check=True, capture_output=True), runs=_COLD_RUNS
        )
