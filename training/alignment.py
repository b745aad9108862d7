"""The three alignments of the protocol: `raw`, `st` (scale and shift) and `icp` (rigid on top).

Closest-point rounds use a subset of the points; the score after an alignment uses all again.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from training.metrics import IDENTITY, Cloud, FloatArray, Similarity, chamfer

Row = Literal["raw", "st", "icp"]
ROWS: tuple[Row, ...] = ("raw", "st", "icp")

_ST_ROUNDS, _ST_POINTS = 20, 4096
_ICP_ROUNDS, _ICP_POINTS, _ICP_YAWS = 20, 2048, 8
# Starts that a coarse run ranks low are not followed; the best of all 8 is nearly always kept.
_COARSE_ROUNDS, _COARSE_POINTS, _FOLLOWED = 8, 512, 4
_STILL = 1e-9  # a round that moves less than this is the last


def alignments(predicted: Cloud, truth: Cloud, rows: Sequence[Row] = ROWS) -> dict[Row, Similarity]:
    """The asked rows of the protocol."""
    found: dict[Row, Similarity] = {"raw": IDENTITY}
    if rows != ("raw",):
        found["st"] = align_scale_translation(predicted, truth)
    if "icp" in rows:
        found["icp"] = align_icp(predicted, truth, found["st"])
    return {row: found[row] for row in rows}


def align_scale_translation(predicted: Cloud, truth: Cloud) -> Similarity:
    """The `st` row: the better by CD of two runs of closest-point rounds for scale and shift."""
    few, target = predicted.subset(_ST_POINTS), truth.subset(_ST_POINTS)
    ends = [
        _refine(few, target, start, _ST_ROUNDS, rotate=False)
        for start in (IDENTITY, _matched_moments(predicted, truth))
    ]
    return min(ends, key=lambda by: chamfer(predicted, truth, by))


def align_icp(predicted: Cloud, truth: Cloud, start: Similarity) -> Similarity:
    """The `icp` row: rigid closest-point rounds from 8 yaws about the centroid of the prediction
    as moved by `start` (its `st` alignment), the best by CD; `start` itself is a candidate."""
    few, target = predicted.subset(_ICP_POINTS), truth.subset(_ICP_POINTS)
    coarse, coarse_target = few.subset(_COARSE_POINTS), target.subset(_COARSE_POINTS)

    def coarse_distance(turn: Similarity) -> float:
        end = _refine(coarse, coarse_target, turn, _COARSE_ROUNDS, rotate=True)
        return chamfer(coarse, coarse_target, end)

    turns = _yaws(start, start.apply(predicted.points).mean(axis=0))
    ends = [
        _refine(few, target, turn, _ICP_ROUNDS, rotate=True)
        for turn in sorted(turns, key=coarse_distance)[:_FOLLOWED]
    ]
    return min([start, *ends], key=lambda by: chamfer(few, target, by))


def _yaws(start: Similarity, center: FloatArray) -> list[Similarity]:
    turns = []
    for angle in np.arange(_ICP_YAWS) * (2 * np.pi / _ICP_YAWS):
        s, c = np.sin(angle), np.cos(angle)
        yaw = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
        shift = yaw @ (start.shift - center) + center
        turns.append(Similarity(start.scale, yaw @ start.rotation, shift))
    return turns


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
        source = np.concatenate([a, a[predicted.nearest(by.invert(b))]])
        target = np.concatenate([b[truth.nearest(by.apply(a))], b])
        fitted = _fit(source, target, weight, by, rotate=rotate)
        step = np.abs(fitted.apply(a[:1]) - by.apply(a[:1])).max() + abs(fitted.scale - by.scale)
        by = fitted
        if not rotate and step < _STILL:
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
