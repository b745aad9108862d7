"""Times operators against what else there is, in one run: `python -m benchmarks kernels`.

On a CUDA device the figures go to benchmarks/results/kernels-<gpu>.json, else to kernels-cpu.json;
docs/kernels.md is written anew from both.
"""

import importlib
import json
import re
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import torch

from benchmarks.hardware import describe
from benchmarks.kernels import libraries
from benchmarks.kernels.cases import Call, Case
from kernels.dispatch import Table

_ROUNDS = 15
_LONG_S = 0.2  # calls that take longer are timed in fewer rounds
_LONG_ROUNDS = 5
_PAUSE_S = 0.01  # OpenMP's threads spin for milliseconds, on cores that the next contender wants
_SHORTEST_S = 2e-4  # a timing is of as many calls as it takes to reach this

Measured = dict[str, object]


def operators() -> list[str]:
    """All that have a benchmark here."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if _is_operator(path))


def _is_operator(path: Path) -> bool:
    return (Path(__file__).parents[2] / "kernels" / path.stem / "__init__.py").is_file()


def write(folder: Path, ops: Sequence[str]) -> Path:
    """Measure `ops` and put the figures into the file, in which other operators keep theirs.

    Raises:
        ValueError: theirs are of another machine, or of other versions.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(2)
    hardware = _hardware(device)
    path = folder / file_name(str(hardware.get("gpu", "cpu")))
    kept = _kept(path, ops, hardware)
    cases = [*kept, *(row for op in ops for row in _rows(op, device))]
    report = {"hardware": hardware, "cases": sorted(cases, key=lambda row: str(row["op"]))}
    path.write_text(json.dumps(report, indent=1) + "\n")
    return path


def file_name(device_name: str) -> str:
    return f"kernels-{re.sub('[^a-z0-9]+', '-', device_name.lower()).strip('-')}.json"


def _hardware(device: torch.device) -> dict[str, object]:
    versions = {name: version(name) for name in ("torch", "triton", "scipy")}
    return {**describe(), "versions": {**versions, **libraries.versions()}, **_gpu(device)}


def _kept(path: Path, ops: Sequence[str], hardware: Mapping[str, object]) -> list[Measured]:
    """Rows of other operators, which stand under one heading with the new ones."""
    if not path.is_file():
        return []
    report = json.loads(path.read_text())
    kept = [row for row in report["cases"] if row["op"] not in ops]
    odd = [key for key, value in report["hardware"].items() if hardware.get(key) != value]
    if kept and set(odd) - {"load_1_min"}:
        raise ValueError(f"{path} differs in {', '.join(odd)}: measure all operators in one run")
    return kept


def _gpu(device: torch.device) -> dict[str, str]:
    return {"gpu": torch.cuda.get_device_name(device)} if device.type == "cuda" else {}


def _rows(op: str, device: torch.device) -> Iterator[Measured]:
    module = importlib.import_module(f"benchmarks.kernels.{op}")
    table: Table = importlib.import_module(f"kernels.{op}").TABLE
    for case in module.cases(device):
        # torch.compile gives up on a function of which it has eight versions.
        torch.compiler.reset()
        row = _row(case.table or table, case)
        print(op, case.name, {name: round(us, 1) for name, us in row["microseconds"].items()})  # type: ignore[attr-defined]
        yield row


def _row(table: Table, case: Case) -> Measured:
    calls = {**case.ours, **case.others}
    times = _timed(calls, case.like.device)
    return {
        "op": table.op,
        "case": case.name,
        "size": case.size,
        "dtype": str(case.like.dtype).removeprefix("torch."),
        "chosen": table.pick(case.like, case.size),
        "backends": list(case.ours),
        "microseconds": {name: round(statistics.median(each), 2) for name, each in times.items()},
        "spread": {
            name: [round(min(each), 2), round(max(each), 2)] for name, each in times.items()
        },
        "floor_us": case.floor_us,
        **_gpu(case.like.device),
    }


def _timed(calls: dict[str, Call], device: torch.device) -> dict[str, list[float]]:
    """Microseconds of a call by contender. They take turns, so that a busy moment hits them all.

    Before its turn each waits until the threads of the one before have stopped spinning, and is
    called once to wake its own.
    """
    repeats = {name: _repeats(call, device) for name, call in calls.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(_ROUNDS):
        for name, call in calls.items():
            short = not times[name] or times[name][0] < _LONG_S * 1e6
            if turn < _LONG_ROUNDS or short:
                time.sleep(_PAUSE_S if device.type == "cpu" else 0)
                if short:
                    call()
                times[name].append(_seconds(call, repeats[name], device) * 1e6)
    return times


def _repeats(call: Call, device: torch.device) -> int:
    _seconds(call, 1, device)  # warm-up: compiles, allocates
    return max(1, round(_SHORTEST_S / max(_seconds(call, 1, device), 1e-7)))


def _seconds(call: Call, repeats: int, device: torch.device) -> float:
    if device.type == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start.record()
        for _ in range(repeats):
            call()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end)) / 1e3 / repeats
    began = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - began) / repeats
