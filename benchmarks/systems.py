"""The models of the catalogue and the published sizes of the literature's systems, side by side.

Published sizes, and presets that are not trained yet, have random weights, which changes no time.
Figures are by "model: what". An evaluation is that of a default job, guidance included: where a job
has several stages, the mean over its evaluations.
"""

import copy
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.untrained import PUBLISHED, untrained
from models.catalog import CATALOG, ModelCard
from models.checkpoints import load_tensors
from models.contract import PreparedImages, Reconstructor, State
from models.diffusion.staged import PointDiffusion
from models.encoders.own import OWN_PREFIX
from models.foreground import crop_foreground, extract_foreground
from models.images import decode
from models.registry import build
from service.worker.memory import keep_freed_memory
from training.predictors import sampling_params

T = TypeVar("T")
EXAMPLE = Path(__file__).parents[1] / "examples" / "taxi.png"
PARAMETERS, ENCODER = "parameters, M", "of which the shared encoder, M"
GFLOP = "GFLOP per evaluation"
EVALUATIONS = "evaluations of a default job"
SECONDS_1, SECONDS_8 = "one evaluation at batch 1, s", "one evaluation at batch 8, s"
GAIN = "throughput at batch 8 over batch 1"
PICTURE = "picture to points, s"
MEMORY = "peak memory, MB"  # of 10^6 bytes
_BATCH, _REPEATS = 8, 3
# A process counts as its own what its parent held at its start. So a small one stands between.
_WATCH = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
# So that all models take minutes. On a CPU with random weights, what takes longer than the first
# has no batch timed, than the second no whole job; nothing is repeated beyond the third.
_LONGEST_EVALUATION, _LONGEST_JOB, _ENOUGH = 2.0, 120.0, 8.0  # seconds


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def hardware() -> dict[str, object]:
    """Of the device that is measured, where it is a GPU."""
    return {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}


def measure() -> dict[str, float]:
    """Figures of all models, medians of up to three, on the GPU or on two threads of the CPU."""
    torch.set_num_threads(2)
    keep_freed_memory()  # as a worker does
    figures: dict[str, float] = {}
    for card in (*CATALOG.values(), *PUBLISHED.values()):
        found = measure_model(card, device())
        if card.weights:
            found[MEMORY] = peak_memory(card.id) / 1e6
        figures |= {f"{card.id}: {what}": value for what, value in found.items()}
    return figures


def peak_memory(model: str) -> int:
    """Bytes that were resident at most while a process made a mesh of a picture on the CPU.

    Raises CalledProcessError where it fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-c", _WATCH,
            sys.executable, "-m", "service.cli", "generate", str(EXAMPLE), "--model", model,
            "--seed", "0", "-o", f"{folder}/out.glb",
        ]  # fmt: skip
        watched = subprocess.run(
            command,
            env=os.environ | {"BOZZETTO_WORKER__DEVICE": "cpu"},
            stdout=subprocess.PIPE,
            check=True,
        )
    return int(watched.stdout) * 1024


def measure_model(
    card: ModelCard, where: torch.device, repeats: int = _REPEATS
) -> dict[str, float]:
    tensors = load_tensors(card) if card.weights else untrained(card)
    figures = _sizes(tensors)
    model = build(card, tensors, where)
    del tensors
    evaluations, states = _stages(model, card)
    flops, alone, together = 0.0, 0.0, 0.0
    for count, state in zip(evaluations, states, strict=True):
        share = count / sum(evaluations)
        flops += share * _flops(model, state)
        of_one, of_many = _seconds(model, state, repeats)
        alone += share * of_one
        together += share * of_many
    figures |= {GFLOP: flops / 1e9, EVALUATIONS: float(sum(evaluations)), SECONDS_1: alone}
    if together < float("inf"):
        figures |= {SECONDS_8: together, GAIN: _BATCH * alone / together}
    if card.weights or where.type == "cuda" or alone * sum(evaluations) < _LONGEST_JOB:
        figures[PICTURE] = _median(lambda: _job(model, card), repeats)
    return figures


def _sizes(tensors: dict[str, torch.Tensor]) -> dict[str, float]:
    own = any(name.startswith(OWN_PREFIX) for name in tensors)
    shared = [t.numel() for name, t in tensors.items() if not name.startswith(OWN_PREFIX)]
    found = {PARAMETERS: sum(t.numel() for t in tensors.values()) / 1e6}
    return {**found, ENCODER: sum(shared) / 1e6} if own else found


def _start(model: Reconstructor, card: ModelCard, steps: int | None = None) -> State:
    params = sampling_params(card, {} if steps is None else {"steps": steps})
    rgba = decode(EXAMPLE.read_bytes(), 25_000_000)
    crop = crop_foreground(rgba, extract_foreground(rgba).alpha, card.image_size)
    conditioning = model.encode(PreparedImages(torch.from_numpy(crop)[None]))
    generator = torch.Generator().manual_seed(params.seed)
    return model.start(conditioning.row(0), params, generator)


def _stages(model: Reconstructor, card: ModelCard) -> tuple[list[int], list[State]]:
    """Of each stage of a default job, how many evaluations it takes, and a state before one."""
    job: Any = _start(model, card)
    staged: object = model
    if not isinstance(staged, PointDiffusion):
        return [job.steps], [job]
    found: list[State] = []
    state: Any = _start(model, card, steps=1)
    for taken in staged.evaluations(state):
        found.append(copy.deepcopy(state))
        for _ in range(taken):
            staged.step([state])
    return staged.evaluations(job), found


def _flops(model: Reconstructor, state: State) -> float:
    attention: Any = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    with FlopCounterMode(display=False, custom_mapping={attention: _attention_flops}) as counter:
        model.step([copy.deepcopy(state)])
    return float(counter.get_total_flops())


def _attention_flops(q: Any, k: Any, v: Any, *_: object, **__: object) -> int:
    B, H, N, d = q
    return int(2 * B * H * N * k[2] * (d + v[3]))


def _seconds(model: Reconstructor, state: State, repeats: int) -> tuple[float, float]:
    """Of one evaluation, for one job and for eight in turns; infinite where left out."""

    def timed(jobs: int) -> float:
        return _timed(model, [copy.deepcopy(state) for _ in range(jobs)])

    warming_up = timed(1)
    if device().type == "cuda":
        timed(_BATCH)  # kernels are compiled for its sizes
    elif warming_up > _LONGEST_EVALUATION:
        return warming_up, float("inf")
    one, many = zip(*_repeated(lambda: (timed(1), timed(_BATCH)), repeats), strict=True)
    return statistics.median(one), statistics.median(many)


def _repeated(call: Callable[[], T], repeats: int) -> list[T]:
    """What `call` gives, `repeats` times or as often as begins in `_ENOUGH`, once at least."""
    ends = time.perf_counter() + _ENOUGH
    found = [call()]
    while len(found) < repeats and time.perf_counter() < ends:
        found.append(call())
    return found


def _timed(model: Reconstructor, states: list[State]) -> float:
    _wait()
    started = time.perf_counter()
    model.step(states)
    _wait()
    return time.perf_counter() - started


def _job(model: Reconstructor, card: ModelCard) -> None:
    state = _start(model, card)
    while state.step < state.steps:
        model.step([state])
    model.finish(state)


def _median(call: Callable[[], object], repeats: int) -> float:
    def timed() -> float:
        started = time.perf_counter()
        call()
        return time.perf_counter() - started

    return statistics.median(_repeated(timed, repeats))


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
