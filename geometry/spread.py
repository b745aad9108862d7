import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from geometry.frame import measure

_SURPLUS = 1.03  # a subset may be this much too large before some are dropped at random
_ROUNDS = 9
_FINEST_VOXEL = -20.0  # power of two, of the bounding sphere's diameter


def spread_subset(
    positions: NDArray[np.float32], count: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Indices of `count` points of [N, 3] distinct ones, no two much closer than they must be."""
    if count == len(positions):
        return np.arange(count)
    frame = measure(positions)
    order = rng.permutation(len(positions))  # decides between neighbours
    points = (positions[order].astype(np.float64) - frame.centre) * frame.scale
    size = _voxel_size(points, count)
    # One point per half voxel bounds the number of pairs, however dense a spot is.
    kept = np.sort(_first_in_voxel(points, size / 2))
    if len(kept) < count:  # denser than voxels can tell apart: fill up at random
        kept = np.concatenate([kept, np.setdiff1d(np.arange(len(points)), kept)])[:count]
        return np.asarray(order[kept], np.intp)
    pairs = cKDTree(points[kept]).query_pairs(1.2 * size, output_type="ndarray")
    distance = np.linalg.norm(points[kept[pairs[:, 0]]] - points[kept[pairs[:, 1]]], axis=1)
    chosen = np.arange(len(kept))
    low, high, radius = 0.0, 1.2 * size, 0.75 * size
    for _ in range(_ROUNDS):
        apart = _independent(pairs[distance < radius], len(kept))
        if len(apart) < count:
            high = radius
        else:
            low, chosen = radius, apart
            if len(apart) <= count * _SURPLUS:
                break
        radius = (low + high) / 2
    spread: NDArray[np.intp] = order[kept[np.sort(rng.choice(chosen, count, replace=False))]]
    return spread


def _voxel_size(points: NDArray[np.float64], count: int) -> float:
    """Nearly the largest voxels of which `count` are occupied; or the smallest that there are."""
    fine, coarse = _FINEST_VOXEL, 0.0
    for _ in range(_ROUNDS):
        power = (fine + coarse) / 2
        if len(_first_in_voxel(points, 2.0**power)) >= count:
            fine = power
        else:
            coarse = power
    return float(2.0**fine)


def _first_in_voxel(points: NDArray[np.float64], size: float) -> NDArray[np.intp]:
    """The number of the first point in each occupied voxel; points lie in -0.5..0.5."""
    cell = np.floor((points + 0.5) / size).astype(np.int64)
    key = (cell[:, 0] << 42) | (cell[:, 1] << 21) | cell[:, 2]
    return np.asarray(np.unique(key, return_index=True)[1], np.intp)


def _independent(pairs: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Numbers below `count`, as many as fit one after the other with no two of them a pair.

    The same as going through them in order and taking each that has no taken partner, but
    vectorised (Luby 1986).
    """
    first, second = pairs.min(axis=1), pairs.max(axis=1)
    taken = np.zeros(count, np.bool_)
    open_ = np.ones(count, np.bool_)
    while open_.any():
        waits = np.zeros(count, np.bool_)
        waits[second] = True
        winners = open_ & ~waits
        taken |= winners
        open_ &= waits
        open_[second[winners[first]]] = False
        left = open_[first] & open_[second]
        first, second = first[left], second[left]
    return np.flatnonzero(taken)
