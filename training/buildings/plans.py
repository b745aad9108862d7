"""Plans of buildings: rectangles that overlap where their roofs are to meet."""

from typing import Literal

import numpy as np

from training.buildings.solids import Rect

PlanKind = Literal["rectangle", "L", "T", "U", "court", "cross"]
_APART = 0.03  # metres: walls of two wings in one plane would show through each other
PLANS: tuple[PlanKind, ...] = ("rectangle", "L", "T", "U", "court", "cross")


def wings(
    kind: PlanKind, length: float, depth: float, rng: np.random.Generator
) -> tuple[Rect, ...]:
    """The wings of a plan whose main one is `length` along x and `depth` deep, the main one first.

    Side wings overlap the main one to its middle, so that ridges run into each other.
    """
    main = Rect(-length / 2, -depth / 2, length / 2, depth / 2)
    width = depth * rng.uniform(0.65, 1.0)  # of a side wing
    reach = depth / 2 + length * rng.uniform(0.25, 0.55)
    left = Rect(_APART - length / 2, 0.0, _APART - length / 2 + width, reach)
    right = Rect(length / 2 - width - _APART, 0.0, length / 2 - _APART, reach)
    match kind:
        case "rectangle":
            return (main,)
        case "L":
            return (main, left)
        case "T":
            shift = rng.uniform(-0.2, 0.2) * (length - width)
            return (main, Rect(shift - width / 2, 0.0, shift + width / 2, reach))
        case "U":
            return (main, left, right)
        case "court":
            closing = Rect(-length / 2, reach - width, length / 2, reach + _APART)
            return (main, left, right, closing)
        case "cross":
            reach = max(reach, 0.75 * depth)
            return (main, Rect(-width / 2, -reach, width / 2, reach))


def stepped(main: Rect, tiers: int, rng: np.random.Generator) -> tuple[Rect, ...]:
    """`tiers` rectangles, each within the one below."""
    rects = [main]
    for _ in range(tiers - 1):
        x, z = rects[-1].size
        share = rng.uniform(0.08, 0.2, 2)
        rects.append(rects[-1].inset(share[0] * x, share[1] * z))
    return tuple(rects)
