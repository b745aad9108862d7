"""The figures of benchmarks/results/kernels-*.json as the tables of docs/kernels.md."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

START, END = (
    "<!-- figures: written by `python -m benchmarks kernels` -->",
    "<!-- end of figures -->",
)
# Contenders that do less or more than the operator are shown, not compared with.
_UNEQUAL = (", without ", ", with gradient", ", shaded")
_WORTH_A_DIGIT = 100  # microseconds or ratios from which decimals say nothing

Row = dict[str, Any]


def insert(page: str, results: Path) -> str:
    """`page` with the figures between its two marks written anew."""
    before, rest = page.split(START)
    _, after = rest.split(END)
    return f"{before}{START}\n{render(results)}{END}{after}"


def render(results: Path) -> str:
    """Both sections, CPU and GPU; one of which nothing is known says so."""
    cpu = [path for path in results.glob("kernels-*.json") if path.stem == "kernels-cpu"]
    gpu = sorted(path for path in results.glob("kernels-*.json") if path.stem != "kernels-cpu")
    return "\n".join([*_section("CPU", cpu), *_section("GPU", gpu)]) + "\n"


def _section(title: str, files: Sequence[Path]) -> Iterator[str]:
    if not files:
        yield from ("", f"### {title}", "", "Not measured.")
    for path in files:
        report = json.loads(path.read_text())
        hardware = report["hardware"]
        where = hardware.get("gpu") or f"{hardware['processor']}, {hardware['cores']} cores"
        versions = ", ".join(f"{name} {version}" for name, version in hardware["versions"].items())
        yield from ("", f"### {title}", "", f"{where}; Python {hardware['python']}, {versions}.")
        rows: list[Row] = report["cases"]
        for op in sorted({row["op"] for row in rows}):
            yield from _table(op, [row for row in rows if row["op"] == op])


def _table(op: str, rows: Sequence[Row]) -> Iterator[str]:
    """One operator: time of what serves, of each contender, and the floor where there is one."""
    names = list(dict.fromkeys(name for row in rows for name in row["microseconds"]))
    ours = [name for name in names if any(name in row["backends"] for row in rows)]
    others = [name for name in names if name not in ours]
    floors = any(_floor(row) for row in rows)
    heads = ["case", *(f"`{name}`" for name in ours), *others, "best other / served"]
    heads += ["of the floor"] if floors else []
    yield from ("", f"#### `{op}`", "", _line(heads), _line(["---"] * len(heads)))
    for row in rows:
        times = row["microseconds"]
        cells = [f"{row['case']}, {row['dtype']}"]
        for name in (*ours, *others):
            cell = _time(times[name]) if name in times else ""
            cells.append(f"**{cell}**" if name == row["chosen"] else cell)
        cells.append(_ratio(row, others))
        cells += [_floor(row)] if floors else []
        yield _line(cells)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _ratio(row: Row, others: Sequence[str]) -> str:
    times = row["microseconds"]
    rivals = [times[name] for name in others if name in times and not _unequal(name)]
    if not rivals or row["chosen"] not in times:
        return ""
    return f"{min(rivals) / times[row['chosen']]:.2f}"


def _unequal(name: str) -> bool:
    return any(mark in name for mark in _UNEQUAL)


def _floor(row: Row) -> str:
    """How near a GPU comes to what it cannot beat; the floor of a CPU is not known."""
    served = row["microseconds"].get(row["chosen"])
    if "gpu" not in row or not row.get("floor_us") or not served:
        return ""
    return f"{100 * row['floor_us'] / served:.0f} %"


def _time(microseconds: float) -> str:
    """With a unit, three digits."""
    if microseconds < 1000:
        return (
            f"{microseconds:.3g} µs" if microseconds < _WORTH_A_DIGIT else f"{microseconds:.0f} µs"
        )
    milliseconds = microseconds / 1000
    digits = 2 if milliseconds < 10 else 1 if milliseconds < _WORTH_A_DIGIT else 0
    return f"{milliseconds:.{digits}f} ms"
