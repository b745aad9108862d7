"""What is added to a house: annexes, porches, dormers, chimneys, balconies, turrets."""

import numpy as np

from training.buildings.facades import STOREY, Style, storeys
from training.buildings.roofs import RoofKind, roof
from training.buildings.solids import Rect, Solid, box, joined, round_tower


def beside(main: Rect, side: int, length: float, depth: float, at: float) -> Rect:
    """A rectangle outside of `main` at its side 0..3 (+z, +x, -z, -x), half a metre within.

    Args:
        length: along the wall, at most the wall's.
        at: 0..1, where along the wall.
    """
    along_x = side % 2 == 0
    wall = main.size[0] if along_x else main.size[1]
    length = min(length, wall)
    start = (main.x0 if along_x else main.z0) + at * (wall - length)
    edge = (main.z1, main.x1, main.z0, main.x0)[side]
    low, high = (edge - 0.5, edge + depth) if side < 2 else (edge - depth, edge + 0.5)
    if along_x:
        return Rect(start, low, start + length, high)
    return Rect(low, start, high, start + length)


def annex(main: Rect, style: Style, rng: np.random.Generator) -> Solid:
    """A lower building at a wall, such as a garage."""
    size = rng.uniform(0.35, 0.8) * max(main.size), rng.uniform(3, 6)
    rect = beside(main, int(rng.integers(4)), *size, rng.random())
    body = storeys(rect, 0.0, 1, style, rng)
    kind: RoofKind = ("flat", "shed", "gable")[rng.integers(3)]
    top = roof(kind, rect, STOREY, rng.uniform(0.3, 0.8), 0.3, style.roof, style.wall)
    return joined([body, top])


def porch(main: Rect, style: Style, rng: np.random.Generator) -> Solid:
    """A roof on posts over a low floor."""
    size = rng.uniform(0.3, 0.9) * main.size[0], rng.uniform(1.8, 3.0)
    rect = beside(main, int(rng.integers(4)), *size, rng.random())
    floor = box(rect, 0.0, 0.3, style.trim)
    posts = [
        box(Rect(x - 0.15, z - 0.15, x + 0.15, z + 0.15), 0.0, 2.7, style.trim)
        for x, z in rect.inset(0.2, 0.2).corners()
    ]
    kind: RoofKind = "gable" if rng.random() < 0.5 else "flat"
    return joined([floor, *posts, roof(kind, rect, 2.7, 0.6, 0.15, style.roof, style.trim)])


def chimney(main: Rect, low: float, high: float, style: Style, rng: np.random.Generator) -> Solid:
    x = rng.uniform(*_within(main.x0, main.x1))
    z = rng.uniform(*_within(main.z0, main.z1))
    half = rng.uniform(0.35, 0.6)
    rect = Rect(x - half, z - half, x + half, z + half)
    return box(rect, low, high + rng.uniform(0.6, 1.4), style.base, (60, 55, 52))


def rooftop(main: Rect, low: float, style: Style, rng: np.random.Generator) -> Solid:
    """A box on a flat roof: a stair head, or machines."""
    x, z = main.size
    width, depth = rng.uniform(0.12, 0.35) * x, rng.uniform(0.15, 0.4) * z
    left = main.x0 + rng.uniform(0.1, 0.55) * (x - width) + 0.1 * x
    near = main.z0 + rng.uniform(0.1, 0.8) * (z - depth)
    rect = Rect(left, near, left + width, near + depth)
    return box(rect, low, low + rng.uniform(1.5, 3.0), style.trim)


def dormers(main: Rect, low: float, pitch: float, style: Style, rng: np.random.Generator) -> Solid:
    """A row of small gables on both slopes of the main roof."""
    along_x = main.size[0] >= main.size[1]
    long, short = max(main.size), min(main.size)
    rise = pitch * short / 2
    count = int(rng.integers(1, max(2, int(long / 4)) + 1))
    width, height = rng.uniform(1.3, 2.2), min(1.6, 0.6 * rise)
    inward = short / 2 * rng.uniform(0.08, 0.2)
    parts = []
    for k in range(count):
        middle = (k + 0.5) / count * long - long / 2
        for sign in (-1, 1):
            ends = sorted((sign * 0.05 * short, sign * (short / 2 - inward)))
            u0, u1, v0, v1 = middle - width / 2, middle + width / 2, *ends
            rect = Rect(u0, v0, u1, v1) if along_x else Rect(v0, u0, v1, u1)
            cx, cz = main.middle
            rect = Rect(rect.x0 + cx, rect.z0 + cz, rect.x1 + cx, rect.z1 + cz)
            floor = low + 0.1 * rise
            parts.append(box(rect, floor, floor + height, style.window, style.roof))
            parts.append(roof("gable", rect, floor + height, 0.7, 0.15, style.roof, style.wall))
    return joined(parts)


def balconies(main: Rect, count: int, style: Style, rng: np.random.Generator) -> Solid:
    """A column of them, one for each storey but the lowest."""
    side, at = int(rng.integers(4)), rng.random()
    rect = beside(main, side, rng.uniform(2, 4.5), rng.uniform(1.0, 1.6), at)
    return joined(
        [
            box(rect, level * STOREY - 0.15, level * STOREY + 0.85, style.trim)
            for level in range(1, count)
        ]
    )


def turret(main: Rect, high: float, style: Style, rng: np.random.Generator) -> Solid:
    """A round tower at a corner, with a cone or a dome."""
    x, z = main.corners()[rng.integers(4)]
    radius = rng.uniform(0.16, 0.28) * min(main.size)
    top = high + rng.uniform(0.5, 3.0)
    body = round_tower((x, z), [(radius, 0.0), (radius, top)], style.base)
    if rng.random() < 0.6:
        tip = top + radius * rng.uniform(1.2, 2.6)
        profile = [(1.15 * radius, top), (0.02 * radius, tip)]
    else:
        angles = np.linspace(0, 0.48 * np.pi, 6)
        profile = [(radius * float(np.cos(a)), top + radius * float(np.sin(a))) for a in angles]
    return joined([body, round_tower((x, z), profile, style.roof)])


def _within(low: float, high: float) -> tuple[float, float]:
    return low + 0.2 * (high - low), high - 0.2 * (high - low)
