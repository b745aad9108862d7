"""Walls with windows and doors, which are colours of faces: the walls stay flat."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.buildings.solids import Colour, Rect, Solid, box, joined

STOREY = 3.0  # metres


@dataclass(frozen=True, slots=True)
class Style:
    """Colours, and the shares of a bay and of a storey that a window takes."""

    wall: Colour
    base: Colour  # of the ground floor, and of what is added
    roof: Colour
    window: Colour
    door: Colour
    trim: Colour
    bay: float  # metres
    width: float
    height: float
    banded: bool  # windows in bands around the house

    def plain(self) -> "Style":
        """Without windows."""
        return replace(self, width=0.0)


def storeys(rect: Rect, low: float, count: int, style: Style, rng: np.random.Generator) -> Solid:
    """`count` storeys over `rect` from the height `low`; a door where that is the ground."""
    high = low + count * STOREY
    corners = rect.corners()
    door_side = int(rng.integers(4)) if low == 0 else -1
    parts = [box(rect.inset(0.01, 0.01), low, high, style.wall, style.roof)]
    for side in range(4):
        a, b = corners[side], corners[(side + 1) % 4]
        parts.append(_wall(a, b, low, count, style, rng if side == door_side else None))
    return joined(parts)


def _wall(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    low: float,
    count: int,
    style: Style,
    rng: np.random.Generator | None,
) -> Solid:
    """One wall from `a` to `b` [2] (x, z): a grid whose odd columns and rows are windows."""
    length = float(np.linalg.norm(b - a))
    bays = max(1, round(length / style.bay))
    across = _breaks(length, bays, 0.94 if style.banded else style.width)
    up = _breaks(count * STOREY, count, style.height)
    columns, rows = np.meshgrid(np.arange(len(across) - 1), np.arange(len(up) - 1))
    colors = np.empty((*columns.shape, 3), np.uint8)
    colors[:] = style.wall
    if low == 0:
        colors[:2] = style.base
    if style.width > 0:
        colors[(columns % 2 == 1) & (rows % 2 == 1)] = style.window
    if rng is not None:  # the door, in one of the bays
        colors[:2, 2 * int(rng.integers(bays)) + 1] = style.door
    u, v = np.meshgrid(across / length, up)
    flat = a + u[..., None] * (b - a)
    vertices = np.stack([flat[..., 0], low + v, flat[..., 1]], axis=-1).reshape(-1, 3)
    corner = (rows * len(across) + columns).reshape(-1)
    right, above = corner + 1, corner + len(across)
    faces = np.stack(
        [np.stack([corner, right, above + 1], 1), np.stack([corner, above + 1, above], 1)], axis=1
    )
    return Solid(vertices, faces.reshape(-1, 3), np.repeat(colors.reshape(-1, 3), 2, axis=0))


def _breaks(length: float, count: int, share: float) -> NDArray[np.float64]:
    """Where `count` openings of equal width begin and end along `length`, with both ends."""
    cell = length / count
    middles = (np.arange(count) + 0.5) * cell
    edges = np.stack([middles - share * cell / 2, middles + share * cell / 2], axis=1)
    return np.concatenate([[0.0], edges.reshape(-1), [length]])
