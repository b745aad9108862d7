"""Models side by side: `python -m training.compare` writes the tables of docs/models/comparison.md.

They are made of what `python -m benchmarks systems` and `python -m training.evaluate` have left in
benchmarks/results. `--pictures` draws the contact sheet, `--steps MODEL` measures what fewer steps
cost in quality; both need the training data.
"""

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.systems import (
    ENCODER,
    EVALUATIONS,
    GAIN,
    GFLOP,
    MEMORY,
    PARAMETERS,
    PICTURE,
    SECONDS_1,
)
from benchmarks.untrained import PUBLISHED
from models.catalog import CATALOG, get_card
from models.errors import ModelError
from training import step_study
from training.comparison_picture import write_comparison
from training.reports import from_table
from training.summary import Scored, mean_of_objects

PAGE = Path("docs/models/comparison.md")
IMAGE = Path("docs/images/comparison.png")
RESULTS = Path("benchmarks/results")
START, END = (
    "<!-- figures: written by `python -m training.compare` -->",
    "<!-- end of figures -->",
)
_TRACKS = ("track A", "track B")
_METRICS = (("cd", 4), ("f@0.02", 3), ("f@0.05", 3))
_UNKNOWN, _UNTRAINED = "not measured", "not trained"


@dataclass(frozen=True, slots=True)
class System:
    name: str
    model: str  # of the catalogue


SYSTEMS = (
    System("PC²", "pc2-mini"),
    System("CCD-3DR", "ccd3dr-mini"),
    System("BuilDiff", "buildiff-mini"),
    System("DiT-3D, with pictures", "dit3d-mini"),
    System("Coloured shape", "colored-mini"),
    System("Point-E", "pointe-mini"),
    System("GECCO", "gecco-mini"),
    System("DPM, with pictures", "dpm-mini"),
    System("Bozzetto", "bozzetto-xs"),
    System("Bozzetto, one pass", "draft"),
)
BASELINES = {  # rows of the baselines' file, on track A and B
    "retrieval": ("retrieval, track A", "retrieval, track B"),
    "mean shape": ("mean shape", "mean shape"),
    "sphere": ("sphere", "sphere"),
    "oracle retrieval (knows the answer)": ("oracle retrieval", "oracle retrieval"),
}


def insert(page: str, results: Path) -> str:
    """`page` with the tables between its two marks written anew."""
    before, rest = page.split(START)
    _, after = rest.split(END)
    return f"{before}{START}\n{render(results)}{END}{after}"


def render(results: Path) -> str:
    parts = (_presets, _qualities, _published, _studies, _sheet)
    return "\n".join(line for part in parts for line in part(results)) + "\n"


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _head(cells: Sequence[str]) -> Iterator[str]:
    yield ""
    yield _line(cells)
    yield _line(["---"] * len(cells))


class Figures:
    """What the benchmark `systems` has measured on the CPU and on a GPU."""

    def __init__(self, results: Path) -> None:
        self._files = {kind: _read(results / f"systems-{kind}.json") for kind in ("cpu", "cuda")}

    def cell(self, model: str, what: str, kind: str = "cpu", digits: int = 2) -> str:
        value = self.value(model, what, kind)
        return _UNKNOWN if value is None else _rounded(value, digits)

    def value(self, model: str, what: str, kind: str = "cpu") -> float | None:
        value: float | None = self._files[kind].get("figures", {}).get(f"{model}: {what}")
        return value

    @property
    def gpu(self) -> str:
        hardware = self._files["cuda"].get("hardware", {})
        return str(hardware.get("gpu", "H200"))

    def where(self) -> str:
        hardware = self._files["cpu"].get("hardware")
        if hardware is None:
            return "Times: not measured."
        return (
            f"Times: {hardware['processor']}, two threads, load {hardware['load_1_min']}; "
            f"torch {hardware['versions']['torch']}."
        )


def _rounded(value: float, digits: int) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.{digits}f}"


def _presets(results: Path) -> Iterator[str]:
    figures = Figures(results)
    gpu = figures.gpu
    yield from ("", "## Presets: size and speed", "", figures.where())
    yield from _head(
        [
            "system", "preset", "parameters, M", "GFLOP per evaluation", "evaluations",
            "s, CPU", f"s, {gpu}", "batch 8 over 1, CPU", f"batch 8 over 1, {gpu}", "MB, CPU",
        ]
    )  # fmt: skip
    for system in SYSTEMS:
        model = system.model
        yield _line(
            [
                system.name,
                f"`{model}`",
                _parameters(figures, model),
                figures.cell(model, GFLOP),
                figures.cell(model, EVALUATIONS, digits=0),
                figures.cell(model, PICTURE),
                figures.cell(model, PICTURE, "cuda"),
                figures.cell(model, GAIN),
                figures.cell(model, GAIN, "cuda"),
                figures.cell(model, MEMORY, digits=0),
            ]
        )


def _qualities(results: Path) -> Iterator[str]:
    rows = {
        f"{system.name} (`{system.model}`)": _scored(system.model, results) for system in SYSTEMS
    }
    stored = _read(results / "evaluation-baselines-val.json")
    for name, of_tracks in BASELINES.items():
        rows[name] = [
            from_table(stored[row]["pictures"]) if row in stored else [] for row in of_tracks
        ]
    sets = [{(i.path, i.picture) for i in items} for row in rows.values() for items in row if items]
    common = set.intersection(*sets) if sets else set()
    objects = len({path for path, _ in common})
    yield from ("", "## Presets: quality", "", "Row `st`; CD: lower is better, F: higher.")
    if common:
        yield f"Means over the {objects} objects of the {len(common)} pictures that all rows have;"
        yield "what else was measured is in `benchmarks/results`."
    elif sets:
        yield "No picture is common to all rows: evaluate them on the same."
    columns = [f"{metric.upper()}, {track[-1]}" for track in _TRACKS for metric, _ in _METRICS]
    yield from _head(["system", *columns])
    untrained = {f"{s.name} (`{s.model}`)" for s in SYSTEMS if not _has_weights(s.model)}
    for name, row in rows.items():
        missing = _UNTRAINED if name in untrained else _UNKNOWN
        yield _line([name, *_scores(row, common, missing)])


def _has_weights(model: str) -> bool:
    card = CATALOG.get(model)
    return card is not None and bool(card.weights)


def _scored(model: str, results: Path) -> list[list[Scored]]:
    """Of both tracks; empty where there are none."""
    tables = _read(results / f"evaluation-{model}-val.json").get("pictures", {})
    names = [f"{model}, {track}" for track in _TRACKS]
    return [from_table(tables[name]) if name in tables else [] for name in names]


def _scores(of_tracks: list[list[Scored]], common: set[tuple[str, int]], missing: str) -> list[str]:
    """Cells of both tracks in the row `st`."""
    cells = []
    for scored in of_tracks:
        items = [item for item in scored if (item.path, item.picture) in common]
        for metric, digits in _METRICS:
            value = mean_of_objects(items, "st", metric) if items else None
            cells.append(missing if value is None else f"{value:.{digits}f}")
    return cells


def _parameters(figures: Figures, model: str) -> str:
    total, shared = figures.value(model, PARAMETERS), figures.value(model, ENCODER)
    if total is None:
        return _UNKNOWN
    return _rounded(total, 2) if shared is None else f"{total - shared:.2f} + {shared:.2f}"


def _published(results: Path) -> Iterator[str]:
    figures = Figures(results)
    yield from (
        "",
        "## Published sizes",
        "",
        "With random weights, on a picture of 4,096 points wanted, default parameters.",
    )
    yield from _head(
        [
            "network", "parameters, M", "GFLOP per evaluation", "evaluations",
            "s per evaluation, CPU", f"s per evaluation, {figures.gpu}",
            "batch 8 over 1, CPU", f"batch 8 over 1, {figures.gpu}", "s, CPU", f"s, {figures.gpu}",
        ]
    )  # fmt: skip
    for name in PUBLISHED:
        yield _line(
            [
                name,
                _parameters(figures, name),
                figures.cell(name, GFLOP),
                figures.cell(name, EVALUATIONS, digits=0),
                figures.cell(name, SECONDS_1),
                figures.cell(name, SECONDS_1, "cuda", 4),
                figures.cell(name, GAIN),
                figures.cell(name, GAIN, "cuda"),
                figures.cell(name, PICTURE),
                figures.cell(name, PICTURE, "cuda"),
            ]
        )


def _studies(results: Path) -> Iterator[str]:
    yield from ("", "## Quality against steps", "")
    files = sorted(results.glob("steps-*.json"))
    if not files:
        yield "Not measured."
        return
    yield "Row `st`, track A; the same noise and pictures within a model. Pictures are sampled"
    yield "together, and a picture's seconds are its share. Loss: of F@0.02, against 1,000 steps."
    many = ("ddim 1000", "ddpm 1000")
    yield from _head(
        [
            "preset", "pictures", "points", "sampler", "steps", "CD", "F@0.02", "95 %", "F@0.05",
            *(f"loss, {name}" for name in many), "s, CPU",
        ]
    )  # fmt: skip
    for path in files:
        report = _read(path)
        for point in report["points"]:
            means, (low, high) = point["means"], point["interval"]
            yield _line(
                [
                    f"`{report['model']}`",
                    str(report["pictures"]),
                    f"{report['num_points']:,}",
                    point["sampler"],
                    str(point["steps"]),
                    *(f"{means[metric]:.{digits}f}" for metric, digits in _METRICS[:2]),
                    f"{low:.3f} to {high:.3f}",
                    f"{means['f@0.05']:.3f}",
                    *(_lost(report, point, name) for name in many),
                    _rounded(point["seconds"], 2),
                ]
            )


def _lost(report: dict[str, Any], point: dict[str, Any], many: str) -> str:
    for row in report["losses"]:
        if (row["sampler"], row["steps"], row["against"]) == (
            point["sampler"],
            point["steps"],
            many,
        ):
            low, high = row["interval"]
            return f"{row['loss']:+.1%} ({low:+.1%} to {high:+.1%})"
    return "-"


def _sheet(_: Path) -> Iterator[str]:
    yield from ("", "## Pictures", "")
    if not IMAGE.is_file():
        yield "Not drawn."
        return
    yield "Validation pictures, what each trained preset makes of them, and the truth, from 35° to"
    yield "the right of the picture's camera."
    yield ""
    yield f"![A row for each picture, a column for each preset](../images/{IMAGE.name})"


def ready() -> list[System]:
    """Those with trained weights."""
    return [
        system for system in SYSTEMS if system.model in CATALOG and get_card(system.model).weights
    ]


def parse(argv: Iterable[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", action="store_true", help=f"draw {IMAGE}")
    parser.add_argument("--steps", metavar="MODEL", help="write steps-MODEL.json")
    parser.add_argument("--weights", type=Path, help="of MODEL, instead of its card's own")
    parser.add_argument("--objects", type=int, default=6, help="a picture of each")
    parser.add_argument("--num-points", type=int, default=4096)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pack", type=Path, default=Path("../shared/data3d/train.npz.xz"))
    parser.add_argument("--manifest", type=Path, default=Path("../shared/data3d/manifest.csv"))
    parser.add_argument("--cache", type=Path, default=Path("runs"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--image", type=Path, default=IMAGE)
    return parser.parse_args(None if argv is None else list(argv))


def study(args: argparse.Namespace) -> None:
    """Raises UnknownModelError, ParameterError, WeightsError."""
    options = {**vars(args), "model": args.steps, "guidance_scale": None}
    step_study.run(argparse.Namespace(**options))


def main() -> None:
    args = parse()
    try:
        if args.steps is not None:
            study(args)
        if args.pictures:
            models = {system.name: system.model for system in ready()}
            write_comparison(models, args)
    except ModelError as error:
        raise SystemExit(f"error: {error}") from error
    args.page.write_text(insert(args.page.read_text(), args.results))


if __name__ == "__main__":
    main()
