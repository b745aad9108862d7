"""From the scores of single pictures to the numbers of a table, with their intervals."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

MIN_CATEGORY = 5
COMPARED = ("f@0.01", "f@0.02", "f@0.05", "cd")

RowValues = dict[str, float]


@dataclass(frozen=True, slots=True)
class Scored:
    """All numbers of one picture, number `picture` of its object: `rows[alignment][metric]`."""

    path: str
    picture: int
    category: str
    rows: dict[str, RowValues]
    refused: bool
    seconds: float


def overall_mean(values: ArrayLike, categories: Sequence[str]) -> float:
    """Mean over the categories with MIN_CATEGORY objects or more; `values` [N] are one number
    per object. Falls back to the plain mean where no category is that large."""
    numbers, labels = np.asarray(values, np.float64), np.asarray(categories)
    names, counts = np.unique(labels, return_counts=True)
    means = [numbers[labels == name].mean() for name in names[counts >= MIN_CATEGORY]]
    return float(np.mean(means) if means else numbers.mean())


def bootstrap_interval(
    values: ArrayLike,
    categories: Sequence[str] | None = None,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of the mean of `values` [N] (one number per object), or, with
    `categories`, of `overall_mean`, resampled within each category."""
    numbers = np.asarray(values, np.float64)
    labels = np.zeros(len(numbers), np.int64) if categories is None else np.asarray(categories)
    names, counts = np.unique(labels, return_counts=True)
    if categories is not None and (counts >= MIN_CATEGORY).any():
        names = names[counts >= MIN_CATEGORY]
    elif categories is not None:
        labels, names = np.zeros(len(numbers), np.int64), np.zeros(1, np.int64)
    rng = np.random.default_rng(seed)
    means = np.zeros(draws)
    for name in names:
        members = numbers[labels == name]
        picks = rng.integers(0, len(members), (draws, len(members)))
        means += members[picks].mean(axis=1) / len(names)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def summarise(items: list[Scored]) -> dict[str, Any]:
    """Means over objects (their pictures averaged first) with 95 % intervals, by category and
    overall (the mean over categories of at least five objects).

    Colours and normals: over the pictures whose prediction has them; a refused one has none.
    """
    summary: dict[str, Any] = {
        "objects": len(_by_object(items)),
        "pictures": len(items),
        "refused": sum(item.refused for item in items),
        "seconds_median": _short(float(np.median([item.seconds for item in items]))),
    }
    for alignment in items[0].rows:
        metrics = dict.fromkeys(name for item in items for name in item.rows[alignment])
        summary[alignment] = {
            metric: _spread(
                [item for item in items if metric in item.rows[alignment]], alignment, metric
            )
            for metric in metrics
        }
    return summary


def compare(ours: list[Scored], theirs: list[Scored], alignment: str = "st") -> dict[str, Any]:
    """Object by object, how much better `ours` is than `theirs`: metric -> cell.

    `difference` is ours less theirs, so a positive one is good for every metric but `cd`;
    `above` says which is better. Only pictures that both have count.

    Raises:
        ValueError: there is no such picture.
    """
    known = {(item.path, item.picture) for item in ours} & {
        (item.path, item.picture) for item in theirs
    }
    if not known:
        raise ValueError("the two have no picture in common")
    first = _by_object([item for item in ours if (item.path, item.picture) in known])
    second = _by_object([item for item in theirs if (item.path, item.picture) in known])
    categories = [group[0].category for group in first.values()]
    cells: dict[str, Any] = {}
    for metric in COMPARED:
        a = [_object_mean(group, alignment, metric) for group in first.values()]
        b = [_object_mean(second[path], alignment, metric) for path in first]
        cells[metric] = _difference(a, b, categories, higher_is_better=metric != "cd")
    return cells


def _difference(
    ours: list[float], theirs: list[float], categories: list[str], *, higher_is_better: bool
) -> dict[str, Any]:
    a, b, labels = np.array(ours), np.array(theirs), np.array(categories)
    sign = 1 if higher_is_better else -1

    def cell(of_ours: float, of_theirs: float, interval: list[float] | None) -> dict[str, Any]:
        return {
            "ours": _short(of_ours),
            "theirs": _short(of_theirs),
            "difference": _short(of_ours - of_theirs),
            "interval": interval,
            "above": sign * (of_ours - of_theirs) > 0,
        }

    by_category = {}
    for name in sorted(set(categories)):
        x, y = a[labels == name], b[labels == name]
        interval = _category_interval(x - y)
        by_category[name] = {
            "objects": len(x),
            **cell(float(x.mean()), float(y.mean()), interval),
        }
    whole = [_short(end) for end in bootstrap_interval(a - b, categories)]
    total = cell(overall_mean(a, categories), overall_mean(b, categories), whole)
    return {**total, "categories": by_category}


def mean_of_objects(items: list[Scored], alignment: str, metric: str) -> float:
    """As `summarise` has it beside `overall`, which of few objects may be that of one category."""
    objects = _by_object(items).values()
    return float(np.mean([_object_mean(group, alignment, metric) for group in objects]))


def _by_object(items: list[Scored]) -> dict[str, list[Scored]]:
    groups: dict[str, list[Scored]] = defaultdict(list)
    for item in items:
        groups[item.path].append(item)
    return dict(groups)


def _object_mean(group: list[Scored], alignment: str, metric: str) -> float:
    return float(np.mean([item.rows[alignment][metric] for item in group]))


def _spread(items: list[Scored], alignment: str, metric: str) -> dict[str, Any]:
    """The numbers of a table's cell."""
    objects = list(_by_object(items).values())
    values = [_object_mean(group, alignment, metric) for group in objects]
    categories = [group[0].category for group in objects]
    groups: dict[str, list[float]] = defaultdict(list)
    for value, category in zip(values, categories, strict=True):
        groups[category].append(value)
    return {
        "overall": _short(overall_mean(values, categories)),
        "interval": [_short(end) for end in bootstrap_interval(values, categories)],
        "mean_of_objects": _short(float(np.mean(values))),
        "categories": {
            name: {
                "mean": _short(float(np.mean(group))),
                "interval": _category_interval(group),
                "objects": len(group),
            }
            for name, group in sorted(groups.items())
        },
    }


def _category_interval(values: ArrayLike) -> list[float] | None:
    """None where there are too few objects for an interval to mean anything."""
    numbers = np.asarray(values, np.float64)
    if len(numbers) < MIN_CATEGORY:
        return None
    return [_short(end) for end in bootstrap_interval(numbers)]


def _short(value: float) -> float:
    """Six significant digits: files of results are read by people too."""
    return float(f"{value:.6g}")
