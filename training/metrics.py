"""Distances between a predicted and a true cloud, after three kinds of alignment.

Lengths are in units of the truth's bounding-sphere diameter. Clouds are [N, 3], finite, any real
type; at most MAX_POINTS of each are used, drawn by a fixed seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree
from skimage.color import deltaE_ciede2000, rgb2lab

THRESHOLDS = (0.01, 0.02, 0.05)
MAX_POINTS = 16_384
ST_ROUNDS, ST_POINTS = 20, 4096  # the score after an alignment uses all points again
ICP_ROUNDS, ICP_POINTS, ICP_YAWS = 20, 2048, 8
MIN_CATEGORY = 5

FloatArray = NDArray[np.float64]


class CloudError(ValueError):
    """A cloud is empty, not [N, 3], or has values that are not finite."""


class Cloud:
    """A checked cloud: `points` [N, 3] float64, and a tree of its distinct points.

    `kept` are the numbers of the points that were kept, for colours and normals.
    """

    def __init__(self, points: ArrayLike, max_points: int = MAX_POINTS) -> None:
        given = np.asarray(points, np.float64)
        if given.ndim != 2 or given.shape[1] != 3 or len(given) == 0:
            raise CloudError(f"expected a cloud [N, 3] with N > 0, got {given.shape}")
        if not np.isfinite(given).all():
            raise CloudError("the cloud has values that are not finite")
        self.kept = np.arange(len(given))
        if len(given) > max_points:
            self.kept = np.random.default_rng(0).permutation(len(given))[:max_points]
        self.points = given[self.kept]

    @cached_property
    def _distinct(self) -> tuple[cKDTree, NDArray[np.intp]]:
        # Many equal points make a tree deep and slow.
        points, first = np.unique(self.points, axis=0, return_index=True)
        return cKDTree(points), first

    def nearest(self, queries: FloatArray) -> tuple[FloatArray, NDArray[np.intp]]:
        """Distance [M] and number [M] of the point nearest to each of `queries` [M, 3]."""
        tree, first = self._distinct
        distance, index = tree.query(queries)
        return np.asarray(distance, np.float64), first[np.asarray(index, np.intp)]

    def subset(self, max_points: int) -> "Cloud":
        return self if len(self.points) <= max_points else Cloud(self.points, max_points)


@dataclass(frozen=True, slots=True)
class Similarity:
    """x -> scale * rotation @ x + shift."""

    scale: float
    rotation: FloatArray
    shift: FloatArray

    def apply(self, points: FloatArray) -> FloatArray:
        return np.asarray(self.scale * (points @ self.rotation.T) + self.shift, np.float64)

    def invert(self, points: FloatArray) -> FloatArray:
        return np.asarray((points - self.shift) @ self.rotation / self.scale, np.float64)


IDENTITY = Similarity(1.0, np.eye(3), np.zeros(3))


@dataclass(frozen=True, slots=True)
class Scores:
    """`cd`: mean distance, both directions averaged. `cd2`: mean squared distance, both summed,
    times 1000. `f`: harmonic mean of precision and recall at each threshold."""

    cd: float
    cd2: float
    f: dict[float, float]


def scores(predicted: Cloud, truth: Cloud, by: Similarity = IDENTITY) -> Scores:
    """All distances, with the prediction moved by `by`."""
    to_truth, to_predicted = _distances(predicted, truth, by)
    return Scores(
        cd=float(to_truth.mean() + to_predicted.mean()) / 2,
        cd2=1000 * float(np.square(to_truth).mean() + np.square(to_predicted).mean()),
        f={t: _f_score(to_truth, to_predicted, t) for t in THRESHOLDS},
    )


def chamfer(predicted: Cloud, truth: Cloud, by: Similarity = IDENTITY) -> float:
    """`Scores.cd` alone."""
    return scores(predicted, truth, by).cd


def f_scores(predicted: Cloud, truth: Cloud, by: Similarity = IDENTITY) -> dict[float, float]:
    """`Scores.f` alone."""
    return scores(predicted, truth, by).f


def _distances(predicted: Cloud, truth: Cloud, by: Similarity) -> tuple[FloatArray, FloatArray]:
    to_truth, _ = truth.nearest(by.apply(predicted.points))
    # A similarity keeps neighbours, so one tree in the prediction's own frame serves them all.
    to_predicted, _ = predicted.nearest(by.invert(truth.points))
    return to_truth, to_predicted * by.scale


def _f_score(to_truth: FloatArray, to_predicted: FloatArray, threshold: float) -> float:
    precision = float((to_truth < threshold).mean())
    recall = float((to_predicted < threshold).mean())
    total = precision + recall
    return 2 * precision * recall / total if total > 0 else 0.0


def align_scale_translation(predicted: Cloud, truth: Cloud) -> Similarity:
    """The `st` row: the better by CD of two runs of closest-point rounds for scale and shift."""
    few, target = predicted.subset(ST_POINTS), truth.subset(ST_POINTS)
    ends = [
        _refine(few, target, start, ST_ROUNDS, rotate=False)
        for start in (IDENTITY, _matched_moments(predicted, truth))
    ]
    return min(ends, key=lambda by: chamfer(predicted, truth, by))


def align_icp(predicted: Cloud, truth: Cloud, start: Similarity) -> Similarity:
    """The `icp` row: rigid closest-point rounds from 8 yaws about the centroid of the prediction
    as moved by `start` (its `st` alignment), the best by CD; `start` itself is a candidate."""
    few, target = predicted.subset(ICP_POINTS), truth.subset(ICP_POINTS)
    center = start.apply(predicted.points).mean(axis=0)
    ends = [start]
    for angle in np.arange(ICP_YAWS) * (2 * np.pi / ICP_YAWS):
        s, c = np.sin(angle), np.cos(angle)
        yaw = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
        turned = Similarity(
            start.scale, yaw @ start.rotation, yaw @ (start.shift - center) + center
        )
        ends.append(_refine(few, target, turned, ICP_ROUNDS, rotate=True))
    return min(ends, key=lambda by: chamfer(few, target, by))


def _matched_moments(predicted: Cloud, truth: Cloud) -> Similarity:
    """Equal centroids and equal root-mean-square radii."""
    a, b = predicted.points, truth.points
    spread = float(a.std(axis=0) @ a.std(axis=0)) ** 0.5
    scale = float(b.std(axis=0) @ b.std(axis=0)) ** 0.5 / spread if spread > 0 else 1.0
    scale = scale if scale > 0 else 1.0
    return Similarity(scale, np.eye(3), b.mean(axis=0) - scale * a.mean(axis=0))


def _refine(
    predicted: Cloud, truth: Cloud, by: Similarity, rounds: int, *, rotate: bool
) -> Similarity:
    """Closest-point rounds over both directions, each direction with the same total weight."""
    a, b = predicted.points, truth.points
    weight = np.concatenate([np.full(len(a), 0.5 / len(a)), np.full(len(b), 0.5 / len(b))])
    for _ in range(rounds):
        _, of_truth = truth.nearest(by.apply(a))
        _, of_predicted = predicted.nearest(by.invert(b))
        source = np.concatenate([a, a[of_predicted]])
        target = np.concatenate([b[of_truth], b])
        fitted = _fit(source, target, weight, by, rotate=rotate)
        step = np.abs(fitted.apply(a[:1]) - by.apply(a[:1])).max() + abs(fitted.scale - by.scale)
        by = fitted
        if not rotate and step < 1e-9:
            break
    return by


def _fit(
    source: FloatArray, target: FloatArray, weight: FloatArray, by: Similarity, *, rotate: bool
) -> Similarity:
    """Least squares of the weighted pairs: rotation and shift, or scale and shift."""
    center, goal = weight @ source, weight @ target
    x, y = source - center, target - goal
    if rotate:
        u, _, vt = np.linalg.svd((weight[:, None] * y).T @ x)
        turn = u @ np.diag([1.0, 1.0, float(np.sign(np.linalg.det(u @ vt)))]) @ vt
        return Similarity(by.scale, turn, goal - by.scale * (turn @ center))
    turned = x @ by.rotation.T
    spread = float(weight @ np.square(turned).sum(axis=1))
    overlap = float(weight @ (turned * y).sum(axis=1))
    scale = overlap / spread if spread > 0 and overlap > 0 else by.scale
    return Similarity(scale, by.rotation, goal - scale * (by.rotation @ center))


def alignments(predicted: Cloud, truth: Cloud) -> dict[str, Similarity]:
    """The three rows of the protocol: `raw`, `st` and `icp`."""
    st = align_scale_translation(predicted, truth)
    return {"raw": IDENTITY, "st": st, "icp": align_icp(predicted, truth, st)}


def color_difference(
    predicted: Cloud,
    predicted_colors: NDArray[np.uint8],
    truth: Cloud,
    truth_colors: NDArray[np.uint8],
    by: Similarity = IDENTITY,
) -> float:
    """Mean CIEDE2000 between each true point and its nearest predicted one; colours are sRGB
    [N, 3] of the clouds as they were given."""
    _, nearest = predicted.nearest(by.invert(truth.points))
    found = rgb2lab(predicted_colors[predicted.kept[nearest]])
    return float(np.mean(deltaE_ciede2000(rgb2lab(truth_colors[truth.kept]), found)))


def normal_consistency(
    predicted: Cloud,
    predicted_normals: ArrayLike,
    truth: Cloud,
    truth_normals: ArrayLike,
    by: Similarity = IDENTITY,
) -> float:
    """Mean absolute cosine of unit normals [N, 3] at nearest neighbours, directions averaged."""
    a = np.asarray(predicted_normals, np.float64)[predicted.kept] @ by.rotation.T
    b = np.asarray(truth_normals, np.float64)[truth.kept]
    _, of_truth = truth.nearest(by.apply(predicted.points))
    _, of_predicted = predicted.nearest(by.invert(truth.points))
    forward = np.abs(np.einsum("ij,ij->i", a, b[of_truth])).mean()
    backward = np.abs(np.einsum("ij,ij->i", a[of_predicted], b)).mean()
    return float(forward + backward) / 2


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
