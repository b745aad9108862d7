"""One random building: its kind, plan, storeys, roofs, extensions and colours."""

import colorsys
from typing import Literal

import numpy as np

from training.buildings import extensions
from training.buildings.facades import STOREY, Style, storeys
from training.buildings.plans import PLANS, PlanKind, stepped, wings
from training.buildings.roofs import RoofKind, roof
from training.buildings.solids import Colour, Rect, Solid, joined, round_tower
from training.meshes import PackMesh

BUILDING_SOURCE = "generated buildings"

Kind = Literal["house", "block", "tower", "church", "hall"]
KINDS: tuple[Kind, ...] = ("house", "block", "tower", "church", "hall")
_SHARES = (0.42, 0.22, 0.12, 0.12, 0.12)

_SLOPED: tuple[RoofKind, ...] = ("gable", "hip", "mansard", "gambrel", "pyramid")
_WALLS: tuple[Colour, ...] = (
    (226, 217, 200),
    (240, 238, 232),
    (201, 173, 136),
    (164, 92, 70),
    (142, 74, 58),
    (186, 186, 182),
    (214, 190, 150),
    (150, 160, 168),
    (222, 200, 120),
    (176, 196, 190),
)
_TILES: tuple[Colour, ...] = (
    (150, 70, 50),
    (120, 52, 40),
    (92, 84, 82),
    (66, 68, 74),
    (110, 92, 70),
    (84, 104, 96),
    (160, 156, 150),
)


def random_building(rng: np.random.Generator, kind: Kind | None = None) -> PackMesh:
    """A building in the form of a pack's meshes: +Y up, on the ground, longest side 1."""
    drawn = kind or KINDS[int(rng.choice(len(KINDS), p=_SHARES))]
    style = random_style(rng)
    solid = _BUILDERS[drawn](style, rng)
    low, high = solid.vertices.min(axis=0), solid.vertices.max(axis=0)
    middle = np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2])
    return PackMesh(
        path=f"{BUILDING_SOURCE}/{drawn}/generated.glb",
        category=drawn,
        tier="A",
        source=BUILDING_SOURCE,
        vertices=((solid.vertices - middle) / (high - low).max()).astype(np.float32),
        faces=solid.faces.astype(np.int32),
        face_colors=solid.colors,
        n_components=1,
    )


def random_style(rng: np.random.Generator) -> Style:
    wall = _shifted(_WALLS[rng.integers(len(_WALLS))], rng)
    light = rng.random() < 0.25
    window: Colour = (176, 200, 212) if light else (58, 70, 84)
    return Style(
        wall=wall,
        base=wall if rng.random() < 0.5 else _shifted(_WALLS[rng.integers(len(_WALLS))], rng),
        roof=_shifted(_TILES[rng.integers(len(_TILES))], rng),
        window=_shifted(window, rng),
        door=_shifted((96, 62, 42), rng, hue=0.3),
        trim=_shifted((228, 226, 220), rng),
        bay=rng.uniform(2.2, 4.2),
        width=rng.uniform(0.3, 0.62),
        height=rng.uniform(0.4, 0.62),
        banded=rng.random() < 0.12,
    )


def _shifted(colour: Colour, rng: np.random.Generator, hue: float = 0.015) -> Colour:
    h, s, v = colorsys.rgb_to_hsv(*(value / 255 for value in colour))
    h, s, v = h + rng.normal(0, hue), s * rng.uniform(0.7, 1.2), v * rng.uniform(0.85, 1.1)
    red, green, blue = colorsys.hsv_to_rgb(h % 1, min(s, 1.0), min(v, 1.0))
    return round(255 * red), round(255 * green), round(255 * blue)


def _house(style: Style, rng: np.random.Generator) -> Solid:
    depth = rng.uniform(6, 11)
    plan = wings(
        PLANS[int(rng.choice(len(PLANS), p=(0.38, 0.26, 0.16, 0.1, 0.02, 0.08)))],
        depth * rng.uniform(1.0, 2.2),
        depth,
        rng,
    )
    levels = int(rng.integers(1, 4))
    kind: RoofKind = _SLOPED[int(rng.choice(5, p=(0.42, 0.26, 0.12, 0.12, 0.08)))]
    if rng.random() < 0.14:
        kind = "flat" if rng.random() < 0.5 else "shed"
    pitch, overhang = rng.uniform(0.35, 1.2), rng.uniform(0.0, 0.8)
    parts = _winged(plan, levels, kind, pitch, overhang, style, rng)
    main = plan[0]
    top = levels * STOREY
    rise = 0.0 if kind == "flat" else pitch * min(main.size) / 2
    if kind in ("gable", "hip") and pitch > 0.6 and rng.random() < 0.45:
        parts.append(extensions.dormers(main, top, pitch, style, rng))
    if rng.random() < 0.5:
        parts.append(extensions.chimney(main, top - 1, top + rise, style, rng))
    if rng.random() < 0.45:
        parts.append(extensions.annex(main, style, rng))
    if rng.random() < 0.35:
        parts.append(extensions.porch(main, style, rng))
    if levels > 1 and rng.random() < 0.3:
        parts.append(extensions.balconies(main, levels, style, rng))
    if rng.random() < 0.1:
        parts.append(extensions.turret(main, top, style, rng))
    return joined(parts)


def _block(style: Style, rng: np.random.Generator) -> Solid:
    depth = rng.uniform(9, 15)
    length = depth * rng.uniform(1.0, 3.0)
    plan = wings(
        PLANS[int(rng.choice(len(PLANS), p=(0.34, 0.22, 0.12, 0.16, 0.12, 0.04)))],
        length,
        depth,
        rng,
    )
    levels = int(rng.integers(3, 9))
    kind: RoofKind = ("flat", "hip", "mansard", "gable")[int(rng.choice(4, p=(0.5, 0.2, 0.2, 0.1)))]
    parts = _winged(plan, levels, kind, rng.uniform(0.3, 0.8), 0.2, style, rng)
    if kind == "flat":
        for _ in range(int(rng.integers(0, 3))):
            parts.append(extensions.rooftop(plan[0], levels * STOREY, style, rng))
    for _ in range(int(rng.integers(0, 3))):
        parts.append(extensions.balconies(plan[0], levels, style, rng))
    if rng.random() < 0.3:
        parts.append(extensions.annex(plan[0], style, rng))
    return joined(parts)


def _tower(style: Style, rng: np.random.Generator) -> Solid:
    """A high building, mostly of several tiers, perhaps on a lower base."""
    width = rng.uniform(12, 22)
    main = Rect(-width / 2, -width / 2, width / 2, width / 2).inset(0, rng.uniform(0, 0.25) * width)
    tiers = stepped(main, int(rng.integers(1, 5)), rng)
    parts, low = [], 0.0
    if rng.random() < 0.4:
        base = main.inset(-rng.uniform(2, 8), -rng.uniform(2, 8))
        count = int(rng.integers(1, 4))
        parts += _winged((base,), count, "flat", 0.0, 0.0, style, rng)
    for number, tier in enumerate(tiers):
        count = int(rng.integers(3, 9)) if len(tiers) > 1 else int(rng.integers(7, 18))
        parts.append(storeys(tier, low, count, style, rng))
        low += count * STOREY
        last = number == len(tiers) - 1
        kind: RoofKind = "flat"
        if last:
            kind = ("flat", "pyramid", "dome", "hip")[int(rng.choice(4, p=(0.55, 0.2, 0.15, 0.1)))]
        pitch = rng.uniform(0.5, 2.0)
        parts.append(roof(kind, tier, low, pitch, 0.0, style.roof, style.wall))
        if last and kind == "flat" and rng.random() < 0.6:
            parts.append(extensions.rooftop(tier, low, style, rng))
    return joined(parts)


def _church(style: Style, rng: np.random.Generator) -> Solid:
    """A nave, perhaps with a transept, and a tower at one end or over the crossing."""
    depth = rng.uniform(8, 13)
    length = depth * rng.uniform(1.6, 2.8)
    kind: PlanKind = "cross" if rng.random() < 0.4 else "rectangle"
    plan = wings(kind, length, depth, rng)
    levels = int(rng.integers(2, 5))
    pitch = rng.uniform(0.8, 1.6)
    parts = _winged(plan, levels, "gable", pitch, 0.2, style, rng)
    main = plan[0]
    side = depth * rng.uniform(0.38, 0.62)
    x = 0.0 if kind == "cross" and rng.random() < 0.4 else main.x0 + rng.uniform(-0.4, 0.4) * side
    tower = Rect(x - side / 2, -side / 2, x + side / 2, side / 2)
    count = levels + int(rng.integers(1, 5)) + round(pitch * depth / 2 / STOREY)
    parts.append(storeys(tower, 0.0, count, style, rng))
    cap: RoofKind = "dome" if rng.random() < 0.25 else "pyramid"
    steep = rng.uniform(1.2, 5.0)
    parts.append(roof(cap, tower, count * STOREY, steep, 0.2, style.roof, style.wall))
    return joined(parts)


def _hall(style: Style, rng: np.random.Generator) -> Solid:
    """A barn or a works: large, low, with few windows; perhaps several bays side by side."""
    bare = style.plain() if rng.random() < 0.5 else style
    depth = rng.uniform(8, 20)
    length = depth * rng.uniform(1.2, 2.8)
    bays = int(rng.integers(1, 4))
    kind: RoofKind = ("gable", "gambrel", "shed", "flat")[
        int(rng.choice(4, p=(0.35, 0.25, 0.25, 0.15)))
    ]
    pitch, levels = rng.uniform(0.2, 0.7), int(rng.integers(1, 4))
    parts = []
    for bay in range(bays):
        rect = Rect(-length / 2, bay * depth, length / 2, (bay + 1) * depth)
        parts += _winged((rect,), levels, kind, pitch, 0.2, bare, rng)
    if rng.random() < 0.4:
        silo = rng.uniform(0.15, 0.25) * depth
        top = levels * STOREY * rng.uniform(1.2, 2.2)
        cone = [(silo, top), (0.02 * silo, top + silo * rng.uniform(0.4, 1.0))]
        place = (length / 2 + silo * 1.05, rng.uniform(0.2, 0.8) * depth)
        parts.append(round_tower(place, [(silo, 0.0), (silo, top)], style.trim))
        parts.append(round_tower(place, cone, style.roof))
    if rng.random() < 0.5:
        parts.append(extensions.annex(Rect(-length / 2, 0, length / 2, bays * depth), bare, rng))
    return joined(parts)


def _winged(
    plan: tuple[Rect, ...],
    levels: int,
    kind: RoofKind,
    pitch: float,
    overhang: float,
    style: Style,
    rng: np.random.Generator,
) -> list[Solid]:
    """Storeys and a roof on each wing; the roof of a side wing may be lower or simpler."""
    parts = []
    for number, wing in enumerate(plan):
        count = levels
        if number and levels > 1 and rng.random() < 0.3:
            count -= 1
        above = "gable" if number and kind == "pyramid" else kind
        parts.append(storeys(wing, 0.0, count, style, rng))
        parts.append(roof(above, wing, count * STOREY, pitch, overhang, style.roof, style.wall))
    return parts


_BUILDERS = {
    "house": _house,
    "block": _block,
    "tower": _tower,
    "church": _church,
    "hall": _hall,
}
