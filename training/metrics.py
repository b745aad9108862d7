"""Distances between a predicted and a true cloud, in which the prediction may be moved first.

Lengths are in units of the truth's bounding-sphere diameter. Clouds are [N, 3], finite, any real
type; at most MAX_POINTS of each are used, drawn by a fixed seed.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from skimage.color import deltaE_ciede2000, rgb2lab

THRESHOLDS = (0.01, 0.02, 0.05)
MAX_POINTS = 16_384

FloatArray = NDArray[np.float64]

_KD_TREE = 4  # one exact tree, FLANN_INDEX_KDTREE_SINGLE: half the time of SciPy's
_MIX = np.array([1.0, np.sqrt(2), np.sqrt(3)])


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
        self._subsets: dict[int, Cloud] = {}

    @cached_property
    def _tree(self) -> tuple[Any, NDArray[np.intp]]:
        # Many equal points make a tree deep and slow; but sorting rows takes longer than a tree.
        first = np.arange(len(self.points))
        if len(np.unique(self.points @ _MIX)) < len(self.points):
            _, first = np.unique(self.points, axis=0, return_index=True)
        data = self.points[first].astype(np.float32)
        return cv2.flann.Index(data, {"algorithm": _KD_TREE, "leaf_max_size": 10}), first

    def nearest(self, queries: FloatArray) -> NDArray[np.intp]:
        """The number [M] of the point nearest to each of `queries` [M, 3].

        Exact in single precision: a point that is farther by a rounding error may be found.
        """
        tree, first = self._tree
        index, _ = tree.knnSearch(queries.astype(np.float32), 1, params={"checks": -1})
        found: NDArray[np.intp] = first[index[:, 0]]
        return found

    def subset(self, max_points: int) -> "Cloud":
        """At most `max_points` of the points, always the same ones."""
        if len(self.points) <= max_points:
            return self
        if max_points not in self._subsets:
            self._subsets[max_points] = Cloud(self.points, max_points)
        return self._subsets[max_points]


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
class Pairs:
    """Nearest neighbours of a prediction, moved by `by`, and a truth.

    `to_truth` [N] and `of_truth` [N]: distance and number of the true point nearest to each
    predicted one; `to_predicted` [M] and `of_predicted` [M] the other way round.
    """

    predicted: Cloud
    truth: Cloud
    by: Similarity
    to_truth: FloatArray = field(repr=False)
    of_truth: NDArray[np.intp] = field(repr=False)
    to_predicted: FloatArray = field(repr=False)
    of_predicted: NDArray[np.intp] = field(repr=False)


def pair(predicted: Cloud, truth: Cloud, by: Similarity = IDENTITY) -> Pairs:
    """Find the neighbours, with the prediction moved by `by`: what all metrics are made from."""
    moved = by.apply(predicted.points)
    of_truth = truth.nearest(moved)
    # A similarity keeps neighbours, so one tree in the prediction's own frame serves them all.
    of_predicted = predicted.nearest(by.invert(truth.points))
    to_truth = _lengths(moved - truth.points[of_truth])
    to_predicted = _lengths(truth.points - moved[of_predicted])
    return Pairs(predicted, truth, by, to_truth, of_truth, to_predicted, of_predicted)


def _lengths(vectors: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)))


@dataclass(frozen=True, slots=True)
class Scores:
    """`cd`: mean distance, both directions averaged. `cd2`: mean squared distance, both summed,
    times 1000. `f`: harmonic mean of precision and recall at each threshold."""

    cd: float
    cd2: float
    f: dict[float, float]


def scores(pairs: Pairs) -> Scores:
    """All metrics of position."""
    to_truth, to_predicted = pairs.to_truth, pairs.to_predicted
    return Scores(
        cd=float(to_truth.mean() + to_predicted.mean()) / 2,
        cd2=1000 * float(np.square(to_truth).mean() + np.square(to_predicted).mean()),
        f={t: _f_score(to_truth, to_predicted, t) for t in THRESHOLDS},
    )


def chamfer(predicted: Cloud, truth: Cloud, by: Similarity = IDENTITY) -> float:
    """`Scores.cd` alone."""
    return scores(pair(predicted, truth, by)).cd


def _f_score(to_truth: FloatArray, to_predicted: FloatArray, threshold: float) -> float:
    precision = float((to_truth < threshold).mean())
    recall = float((to_predicted < threshold).mean())
    total = precision + recall
    return 2 * precision * recall / total if total > 0 else 0.0


def color_difference(
    pairs: Pairs, predicted_colors: NDArray[np.uint8], truth_colors: NDArray[np.uint8]
) -> float:
    """Mean CIEDE2000 between each true point and its nearest predicted one; colours are sRGB
    [N, 3] of the clouds as they were given."""
    found = rgb2lab(predicted_colors[pairs.predicted.kept[pairs.of_predicted]])
    return float(np.mean(deltaE_ciede2000(rgb2lab(truth_colors[pairs.truth.kept]), found)))


def normal_consistency(
    pairs: Pairs, predicted_normals: NDArray[np.floating], truth_normals: NDArray[np.floating]
) -> float:
    """Mean absolute cosine of unit normals [N, 3] at nearest neighbours, directions averaged."""
    given = np.asarray(predicted_normals, np.float64)[pairs.predicted.kept]
    a = given @ pairs.by.rotation.T
    b = np.asarray(truth_normals, np.float64)[pairs.truth.kept]
    forward = np.abs(np.einsum("ij,ij->i", a, b[pairs.of_truth])).mean()
    backward = np.abs(np.einsum("ij,ij->i", a[pairs.of_predicted], b)).mean()
    return float(forward + backward) / 2
