"""Protocol B1 on a split: `python -m training.evaluate draft --objects 150`.

Writes `benchmarks/results/evaluation-MODEL-SPLIT.json`, tables to standard output and, with
`--sheet`, a contact sheet. A picture that the model refuses counts as the sphere.
`--baselines` without a model scores the baselines and keeps them, picture by picture, in
`evaluation-baselines-SPLIT.json`, with which later runs of models compare themselves.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from models.catalog import ParameterValue, get_card
from models.errors import ModelError
from training.baselines import BASELINES, ROW_NAMES, BaselineName
from training.contact_sheet import write_contact_sheet
from training.evaluator import Plan, Run, run
from training.predictors import sampling_params, weights_hashes
from training.reports import (
    category_table,
    commit,
    from_table,
    hardware,
    overall_table,
    peak_memory_bytes,
    read,
    to_table,
    write,
)
from training.summary import Scored, compare, summarise

_COMPARED_WITH = "retrieval, track A"


def provenance(plan: Plan, done: Run, workers: int, code: str) -> dict[str, Any]:
    """What every table must state; `code` is the commit that was running."""
    return {
        "commit": code,
        "seed": plan.seed,
        "pack": done.pack,
        "num_points": plan.num_points,
        "hardware": hardware(),
        "workers": workers,
        "seconds": round(done.seconds, 1),
        "peak_memory_bytes": peak_memory_bytes(),
    }


def keep_baselines(plan: Plan, done: Run, stated: dict[str, Any], path: Path) -> None:
    """Put the baselines of a run into their file; those that it did not score stay."""
    file = read(path)
    for name in plan.baselines:
        for row in ROW_NAMES[name]:
            if row in done.items:
                file[row] = {
                    **stated,
                    "summary": summarise(done.items[row]),
                    "pictures": to_table(done.items[row]),
                }
    write(file, path)


def known_baselines(stated: dict[str, Any], path: Path) -> dict[str, list[Scored]]:
    """The baselines of the file that were scored on these very pictures, by row of the table."""
    found = {}
    for name, entry in read(path).items():
        if all(entry[key] == stated[key] for key in ("seed", "pack", "num_points")):
            found[name] = from_table(entry["pictures"])
    return found


def model_report(
    model: str, plan: Plan, done: Run, stated: dict[str, Any], baselines: dict[str, list[Scored]]
) -> dict[str, Any]:
    """A model's results, and its comparison with each baseline on the pictures both have."""
    names = [name for name in done.items if name.startswith(f"{model}, ")]
    first = done.items[names[0]]
    pictures = {(item.path, item.picture) for item in first}
    same = {
        name: [item for item in items if (item.path, item.picture) in pictures]
        for name, items in baselines.items()
    }
    same = {name: items for name, items in same.items() if items}
    params = sampling_params(get_card(model), {"num_points": plan.num_points, **dict(plan.given)})
    return {
        "model": model,
        "weights": weights_hashes(model, plan.weights),
        "steps": params.steps,
        "candidates": params.candidates,
        "sampler": params.sampler,
        "guidance_scale": params.guidance_scale,
        **stated,
        "results": {name: summarise(done.items[name]) for name in names},
        "baselines": {name: summarise(items) for name, items in same.items()},
        "compared": {
            name: {
                baseline: compare(done.items[name], items)
                for baseline, items in same.items()
                if not ("track" in baseline and baseline[-1] != name[-1])
            }
            for name in names
        },
        "pictures": {name: to_table(done.items[name]) for name in names},
    }


def _names_of_baselines(text: str) -> tuple[BaselineName, ...]:
    names = BASELINES if text == "all" else tuple(name.strip() for name in text.split(","))
    chosen = tuple(name for name in BASELINES if name in names)
    unknown = set(names) - set(BASELINES)
    if unknown:
        raise argparse.ArgumentTypeError(
            f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(BASELINES)}, all"
        )
    return chosen


def parse(argv: Iterable[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", help="none: baselines only")
    parser.add_argument("--split", choices=("val",), default="val")
    parser.add_argument("--objects", type=int, default=10_000, help="at most this many objects")
    parser.add_argument("--baselines", type=_names_of_baselines, default=(), help="score these")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--num-points", type=int, default=4096)
    parser.add_argument("--seed", type=int, default=0, help="of the pictures and of the model")
    model = parser.add_argument_group("parameters of the model, as its card knows them")
    model.add_argument("--steps", type=int)
    model.add_argument("--sampler")
    model.add_argument("--guidance-scale", type=float)
    model.add_argument("--candidates", type=int)
    model.add_argument("--weights", type=Path, help="safetensors file instead of the card's own")
    parser.add_argument("--pack", type=Path, default=Path("../shared/data3d/train.npz.xz"))
    parser.add_argument("--manifest", type=Path, default=Path("../shared/data3d/manifest.csv"))
    parser.add_argument("--cache", type=Path, default=Path("runs"), help="features of the pack")
    parser.add_argument("--sheet", type=Path, help="PNG of pictures, predictions and truths")
    parser.add_argument("--sheet-rows", type=int, default=24)
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args(None if argv is None else list(argv))
    if args.model is None and not args.baselines:
        parser.error("name a model, --baselines, or both")
    return args


def to_plan(args: argparse.Namespace) -> Plan:
    """Raises UnknownModelError, ParameterError: the card knows no such model or parameter."""
    names = ("steps", "sampler", "guidance_scale", "candidates")
    given: dict[str, ParameterValue] = {
        name: getattr(args, name) for name in names if getattr(args, name) is not None
    }
    if args.model is not None:
        given["seed"] = args.seed
        sampling_params(get_card(args.model), {"num_points": args.num_points, **given})
    return Plan(
        pack=args.pack,
        manifest=args.manifest,
        cache_dir=args.cache,
        model=args.model,
        given=tuple(given.items()),
        weights=args.weights,
        baselines=args.baselines,
        num_points=args.num_points,
        objects=args.objects,
        seed=args.seed,
    )


def main() -> None:
    args = parse()
    code = commit()  # now: others may commit during a long run
    file = args.results / f"evaluation-baselines-{args.split}.json"

    def keep(done: Run) -> None:
        if plan.baselines:
            keep_baselines(plan, done, provenance(plan, done, args.workers, code), file)

    try:
        plan = to_plan(args)
        done = run(plan, args.workers, args.sheet_rows if args.sheet else 0, keep)
    except ModelError as error:
        raise SystemExit(f"error: {error}") from error
    stated = provenance(plan, done, args.workers, code)
    if plan.model is None:
        print(overall_table({name: summarise(items) for name, items in done.items.items()}))
        return
    report = model_report(plan.model, plan, done, stated, known_baselines(stated, file))
    write(report, args.results / f"evaluation-{plan.model}-{args.split}.json")
    print(overall_table(report["results"] | report["baselines"]))
    compared = report["compared"][f"{plan.model}, track A"].get(_COMPARED_WITH)
    if compared is not None:
        print("\n" + category_table(compared, plan.model, _COMPARED_WITH))
    if args.sheet:
        write_contact_sheet(done.strips, args.sheet)


if __name__ == "__main__":
    main()
