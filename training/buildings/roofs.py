"""Roofs over a rectangle. Most are lofts of rectangles: how fast each axis closes is the type."""

from typing import Literal

import numpy as np

from training.buildings.solids import Colour, Rect, Solid, box, joined, loft, ring, round_tower

RoofKind = Literal["flat", "gable", "hip", "pyramid", "mansard", "shed", "gambrel", "dome"]
ROOFS: tuple[RoofKind, ...] = (
    "flat",
    "gable",
    "hip",
    "pyramid",
    "mansard",
    "shed",
    "gambrel",
    "dome",
)

_EAVES = 0.25  # metres, thickness of the roof's edge
_PARAPET = 0.3


def roof(
    kind: RoofKind,
    rect: Rect,
    low: float,
    pitch: float,
    overhang: float,
    tiles: Colour,
    wall: Colour,
) -> Solid:
    """A closed roof that stands on `rect` at the height `low`.

    Args:
        pitch: rise over half of the shorter side.
        tiles: of the slopes; gables have the colour of the wall.
    """
    if kind == "flat":
        return _flat(rect, low, tiles, wall)
    if kind == "dome":
        return _dome(rect, low, pitch, tiles, wall)
    # Slopes go on below the walls' height where they overhang.
    along_x = rect.size[0] >= rect.size[1]
    wide = rect.inset(-overhang, -overhang)
    half = min(wide.size) / 2
    rise = pitch * half
    if kind == "shed":
        return _shed(wide, low, rise, tiles, wall, along_x=along_x)
    # (share of the rise, share of the half side that the slopes have closed)
    if kind == "mansard":
        profile = [(0.0, 0.0), (0.7, 0.28), (1.0, 0.75)]
    elif kind == "gambrel":
        profile = [(0.0, 0.0), (0.62, 0.38), (1.0, 1.0)]
    else:
        profile = [(0.0, 0.0), (1.0, 1.0)]
    ends = {"gable": 0.0, "gambrel": 0.0, "pyramid": max(wide.size) / 2 / half}.get(kind, 1.0)
    rings = [ring(wide, low - _EAVES)]
    for height, closed in profile:
        across, along = closed * half, closed * half * ends
        inner = wide.inset(along, across) if along_x else wide.inset(across, along)
        rings.append(ring(inner, low + height * rise))
    gable = wall if kind in ("gable", "gambrel") else tiles
    sides = [tiles, gable] if along_x else [gable, tiles]
    return loft(rings, sides, tiles)


def _flat(rect: Rect, low: float, tiles: Colour, wall: Colour) -> Solid:
    """A slab within a parapet."""
    high = low + 0.9
    x0, z0, x1, z1 = rect.x0, rect.z0, rect.x1, rect.z1
    strips = (
        Rect(x0, z0, x1, z0 + _PARAPET),
        Rect(x0, z1 - _PARAPET, x1, z1),
        Rect(x0, z0, x0 + _PARAPET, z1),
        Rect(x1 - _PARAPET, z0, x1, z1),
    )
    slab = box(rect.inset(0.01, 0.01), low - 0.1, low + 0.1, wall, tiles)
    return joined([slab, *(box(strip, low, high, wall) for strip in strips)])


def _shed(
    rect: Rect, low: float, rise: float, tiles: Colour, wall: Colour, *, along_x: bool
) -> Solid:
    """One slope, up towards -z (or -x)."""
    bottom, top = ring(rect, low - _EAVES), ring(rect, low)
    raised = np.array([0, 0, 1, 1]) if along_x else np.array([1, 0, 0, 1])
    top[:, 1] += rise * raised
    return loft([bottom, top], [wall], tiles)


def _dome(rect: Rect, low: float, pitch: float, tiles: Colour, wall: Colour) -> Solid:
    """On a slab with a drum."""
    radius = 0.46 * min(rect.size)
    height = radius * min(max(pitch, 0.6), 1.4)
    drum = 0.25 * radius
    angles = np.linspace(0, np.pi / 2, 7)
    profile = [
        (radius * float(np.cos(a)), low + drum + height * float(np.sin(a))) for a in angles[:-1]
    ]
    tip = (0.02 * radius, low + drum + height)
    return joined(
        [
            _flat(rect, low, tiles, wall),
            round_tower(rect.middle, [(radius, low), (radius, low + drum)], wall),
            round_tower(rect.middle, [*profile, tip], tiles),
        ]
    )
