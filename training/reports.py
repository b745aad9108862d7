"""Files and tables of results: what was measured, on what, and every picture's own numbers."""

import json
import os
import resource
import subprocess
from pathlib import Path
from typing import Any

import torch

from benchmarks.hardware import describe
from training.summary import COMPARED, RowValues, Scored

_DIGITS = 5
_ROW_COLUMNS = ("path", "picture", "category", "refused", "seconds")


def hardware() -> dict[str, object]:
    """The processor by name, the threads in use and the versions of what computes."""
    return {**describe(), "threads": torch.get_num_threads()}


def peak_memory_bytes() -> int:
    """Largest resident memory so far of this process or of one of its children."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return 1024 * max(resource.getrusage(who).ru_maxrss for who in whose)


def commit() -> str:
    """The checked out commit, with a + where files differ from it."""
    git = ("git", "-C", str(Path(__file__).parent))
    head = subprocess.run(
        [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    if head.returncode != 0:
        return "unknown"
    changed = subprocess.run(
        [*git, "status", "--porcelain", "--untracked-files=no"],
        capture_output=True,
        text=True,
        check=False,
    )
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def to_table(items: list[Scored]) -> dict[str, Any]:
    """Scores as columns and one list for each picture."""
    metrics = [
        f"{alignment} {metric}"
        for alignment in items[0].rows
        for metric in dict.fromkeys(name for item in items for name in item.rows[alignment])
    ]
    rows = []
    for item in items:
        values = [_value(item, *name.split(" ")) for name in metrics]
        head = [item.path, item.picture, item.category, item.refused, round(item.seconds, 4)]
        rows.append(head + values)
    return {"columns": [*_ROW_COLUMNS, *metrics], "rows": rows}


def _value(item: Scored, alignment: str, metric: str) -> float | None:
    value = item.rows[alignment].get(metric)
    return None if value is None else round(value, _DIGITS)


def from_table(table: dict[str, Any]) -> list[Scored]:
    """The scores that `to_table` wrote."""
    names = table["columns"][len(_ROW_COLUMNS) :]
    items = []
    for row in table["rows"]:
        path, picture, category, refused, seconds = row[: len(_ROW_COLUMNS)]
        scores: dict[str, RowValues] = {}
        for name, value in zip(names, row[len(_ROW_COLUMNS) :], strict=True):
            alignment, metric = name.split(" ")
            of_alignment = scores.setdefault(alignment, {})
            if value is not None:
                of_alignment[metric] = value
        items.append(Scored(path, picture, category, scores, refused, seconds))
    return items


def write(report: dict[str, Any], path: Path) -> None:
    """JSON in which a list takes one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(_json(report, 0) + "\n")
    partial.replace(path)


def _json(value: object, depth: int) -> str:
    inner, outer = " " * (depth + 1), " " * depth
    if isinstance(value, dict) and value:
        lines = [
            f"{inner}{json.dumps(key)}: {_json(item, depth + 1)}" for key, item in value.items()
        ]
        return "{\n" + ",\n".join(lines) + f"\n{outer}}}"
    if isinstance(value, list) and value and isinstance(value[0], list):
        return "[\n" + ",\n".join(inner + json.dumps(item) for item in value) + f"\n{outer}]"
    return json.dumps(value)


def read(path: Path) -> dict[str, Any]:
    """A file of results; an empty one where there is none."""
    if not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def overall_table(results: dict[str, dict[str, Any]]) -> str:
    """The headline row (`st`) of every predictor, as Markdown, with intervals."""
    lines = [f"| | {' | '.join(COMPARED)} | objects |", "|---" * (len(COMPARED) + 2) + "|"]
    for name, summary in results.items():
        cells = [_with_interval(summary["st"][metric]) for metric in COMPARED]
        lines.append(f"| {name} | {' | '.join(cells)} | {summary['objects']} |")
    return "\n".join(lines)


def _with_interval(cell: dict[str, Any]) -> str:
    low, high = cell["interval"]
    return f"{cell['overall']:.3f} ({low:.3f}-{high:.3f})"


def category_table(compared: dict[str, Any], model: str, baseline: str) -> str:
    """F@0.02 (`st`) of a model beside a baseline, category by category, as Markdown."""
    cell = compared["f@0.02"]
    lines = [f"| F@0.02 | objects | {model} | {baseline} | difference | above |", "|---" * 6 + "|"]
    named = [*cell["categories"].items(), ("overall", {**cell, "objects": ""})]
    for name, row in named:
        interval = row["interval"]
        span = f" ({interval[0]:+.3f} to {interval[1]:+.3f})" if interval else ""
        lines.append(
            f"| {name} | {row['objects']} | {row['ours']:.3f} | {row['theirs']:.3f} "
            f"| {row['difference']:+.3f}{span} | {'yes' if row['above'] else 'no'} |"
        )
    return "\n".join(lines)
