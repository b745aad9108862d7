"""Training throughput: samples per second, and the share of what the processor can multiply."""

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from training.objectives import Batch
from training.train import load_config

_CONFIG = Path(__file__).parents[1] / "training" / "configs" / "bozzetto-xs.toml"
_STEPS = 6


def measure() -> dict[str, float]:
    """One training step of `bozzetto-xs` (no loading of data), and a large bfloat16 product."""
    torch.set_num_threads(2)
    config, objective = load_config(_CONFIG)
    batch = _batch(config.batch_size, objective.image_size, objective.n_points)

    def step() -> None:
        loss, _ = objective.loss(batch)
        torch.autograd.backward(loss)

    with FlopCounterMode(display=False) as counter:
        step()
    operations = counter.get_total_flops() / config.batch_size
    seconds = _median(step) / config.batch_size
    peak = _peak()
    return {
        "forward and backward, samples/s": 1 / seconds,
        "operations of a sample, GFLOP": operations / 1e9,
        "rate in training, GFLOP/s": operations / seconds / 1e9,
        "rate of a 2,048 x 2,048 x 2,048 bfloat16 product, GFLOP/s": peak / 1e9,
        "share of that rate": operations / seconds / peak,
    }


def _batch(size: int, side: int, points: int) -> Batch:
    """Numbers of the right shapes: what they are does not change what they cost."""
    half = side // 2
    mask = torch.zeros(size, half, half, dtype=torch.bool)
    mask[:, half // 4 : -half // 4, half // 4 : -half // 4] = True
    camera = torch.tensor([0.3, 2.0, 0.0, 0.0, 0.25, 0.6]).expand(size, 6)
    layer = torch.zeros(size, half, half, 3)
    shade = torch.zeros(size, half, half, 3, dtype=torch.uint8)
    surface = torch.rand(size, points, 3) - 0.5
    return {
        "picture": torch.randint(0, 256, (size, side, side, 4), dtype=torch.uint8),
        "mask": mask,
        "front": layer,
        "back": layer,
        "front_color": shade,
        "back_color": shade,
        "camera": camera,
        "points": surface,
        "normals": surface,
        "colors": torch.zeros(size, points, 3, dtype=torch.uint8),
    }


def _peak() -> float:
    a, b = (torch.randn(2048, 2048, dtype=torch.bfloat16) for _ in range(2))
    return 2 * 2048**3 / _median(lambda: a @ b)


def _median(call: Callable[[], object]) -> float:
    seconds = []
    for _ in range(_STEPS + 1):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return sorted(seconds[1:])[_STEPS // 2]
