"""Rows of pixels, written so that what comes last is what is seen."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Indices = NDArray[np.int32]

_MOST_ROWS = 100_000  # at once: bounds the memory, fits the cache


def ranges(first: Indices, count: Indices) -> tuple[NDArray[np.intp], Indices]:
    """The number of each range, as often as it is long, and its integers from `first` on."""
    owner = np.repeat(np.arange(len(count)), count)
    values = np.repeat(first - (np.cumsum(count, dtype=np.int32) - count), count)
    values += np.arange(len(values), dtype=np.int32)
    return owner, values


def whole(low: Floats, high: Floats, size: int) -> tuple[Indices, Indices]:
    """The first whole number in [low, high), and how many there are; within [0, size)."""
    first = np.clip(np.ceil(low), 0, size).astype(np.int32)
    return first, np.clip(np.ceil(high), 0, size).astype(np.int32) - first


def batches(rows: Indices) -> list[slice]:
    """Of shapes in order, each with so many rows of pixels."""
    ends = np.flatnonzero(np.diff(np.cumsum(rows, dtype=np.int64) // _MOST_ROWS)) + 1
    bounds = [0, *ends.tolist(), len(rows)]
    return [slice(first, end) for first, end in pairwise(bounds)]


def write_spans(
    owner: Indices, number: NDArray[np.intp], row: Indices, left: Floats, right: Floats, size: int
) -> None:
    """Writes each `number` into `owner` [size * size] from `left` to `right` of its row.

    Centres of pixels are at whole numbers.
    """
    first, count = whole(left, right, size)
    span, at = ranges(row * np.int32(size) + first, np.maximum(count, 0))
    owner[at] = number.take(span)
