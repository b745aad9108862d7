"""Skin, hair and simple clothes: colours by region, and how far they stand off the body."""

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.bodies.anatomy import ARM, BODY, EYES, HAIR, HEAD, LEG, SKIRT, TORSO, Anatomy

_SKIN = np.array(
    [[255, 226, 204], [241, 200, 165], [224, 172, 125], [190, 130, 86], [141, 88, 55], [84, 54, 38]]
)
_HAIR = np.array(
    [[20, 18, 18], [48, 32, 24], [92, 60, 36], [140, 96, 54], [205, 170, 110], [150, 62, 34]]
)
_GREY_HAIR = np.array([[120, 118, 116], [225, 222, 218]])
_EYE = np.array([60, 50, 45], np.uint8)


@dataclass(frozen=True, slots=True)
class Outfit:
    """`colors` [F, 3] uint8 sRGB and `shown` [F] bool of all faces of an Anatomy; `thickness` [V]
    in body heights: how far cloth or hair stands off the skin."""

    colors: NDArray[np.uint8]
    shown: NDArray[np.bool_]
    thickness: NDArray[np.float32]


def dress(anatomy: Anatomy, rng: np.random.Generator, *, feminine: float, old: float) -> Outfit:
    """Draw an outfit for a body; `feminine` and `old` in 0..1 bias what is drawn."""
    region, along = anatomy.region, anatomy.along
    face_region = region[anatomy.faces[:, 0]]
    face_along = along[anatomy.faces].mean(axis=1)
    colors = np.empty((len(anatomy.faces), 3), np.uint8)
    thickness = np.zeros(len(region), np.float32)
    shown = (anatomy.part == BODY) | (anatomy.part == EYES)
    colors[:] = _between(rng, _SKIN)
    colors[anatomy.part == EYES] = _EYE
    skirt = rng.random() < 0.35 * feminine
    one_piece = rng.random() < (0.5 if skirt else 0.1)
    top, bottom, shoes = _cloth(rng), _cloth(rng), _cloth(rng, dark=0.6)
    if one_piece:
        bottom = top

    def cover(name: int, low: float, high: float, color: NDArray[np.uint8], thick: float) -> None:
        faces = (face_region == name) & (face_along > low) & (face_along < high)
        colors[faces & (anatomy.part == BODY)] = color
        worn = (region == name) & (along > low) & (along < high)
        thickness[worn] = np.maximum(thickness[worn], np.float32(thick))

    waist, loose = rng.uniform(0.1, 0.3), rng.uniform(0.0, 0.007)
    trousers = 0.3 if skirt else float(rng.choice([0.35, 0.9, 1.88], p=[0.2, 0.1, 0.7]))
    cover(LEG, -1, trousers, bottom, rng.uniform(0, 0.006))
    cover(TORSO, -1, waist, bottom, loose)
    if feminine > 0.5 or rng.random() < 0.93:
        sleeve = float(rng.choice([-0.2, 0.25, 0.5, 1.9], p=[0.1, 0.1, 0.35, 0.45]))
        cover(TORSO, waist - 0.02, rng.uniform(0.9, 1.05), top, loose)
        cover(ARM, -1, sleeve, top, loose)
    if rng.random() < 0.85:
        cover(LEG, float(rng.choice([1.92, 1.85, 1.6])), 9, shoes, rng.uniform(0.001, 0.005))
    if rng.random() < 0.05:
        cover(ARM, 1.95, 9, _cloth(rng), 0.002)
    if skirt:
        worn = (anatomy.part == SKIRT) & (_quad_heights(anatomy) > rng.uniform(-5, -1.5))
        shown |= worn
        colors[worn] = bottom
    _hair(anatomy, rng, colors, shown, thickness, feminine, old)
    if rng.random() < 0.06:  # a figurine
        colors[:] = _cloth(rng)
    return Outfit(colors, shown, thickness)


def _hair(
    anatomy: Anatomy,
    rng: np.random.Generator,
    colors: NDArray[np.uint8],
    shown: NDArray[np.bool_],
    thickness: NDArray[np.float32],
    feminine: float,
    old: float,
) -> None:
    if rng.random() < 0.1 * (1 - feminine) + 0.02:
        return
    color = _between(rng, _GREY_HAIR if rng.random() < old else _HAIR)
    if rng.random() < 0.04:
        color = _cloth(rng)
    scalp = _scalp(anatomy, rng)
    hairy = scalp[anatomy.faces].mean(axis=1) > 0.5
    colors[hairy & (anatomy.part == BODY)] = color
    thickness[scalp] = rng.uniform(0.001, 0.012)
    if rng.random() < 0.7 * feminine + 0.05:
        worn = (anatomy.part == HAIR) & (_quad_heights(anatomy) > rng.uniform(4.0, 7.0))
        worn &= ~_before_the_face(anatomy)
        shown |= worn
        colors[worn] = color


def _quad_heights(anatomy: Anatomy) -> NDArray[np.float32]:
    """Height at rest [F] of the quads of hair and skirt; their triangles come in pairs."""
    heights: NDArray[np.float32] = anatomy.rest[anatomy.faces, 1].mean(axis=1)
    paired = np.flatnonzero(anatomy.part >= HAIR).reshape(-1, 2)
    heights[paired] = heights[paired].mean(axis=1, keepdims=True)
    return heights


def _before_the_face(anatomy: Anatomy) -> NDArray[np.bool_]:
    """Faces [F] that hang lower than the forehead in the front half of the head."""
    rest = anatomy.rest[: len(anatomy.region)]
    head = rest[anatomy.region == HEAD]
    middle = (head[:, 2].min() + head[:, 2].max()) / 2
    forehead = head[:, 1].min() + 0.8 * np.ptp(head[:, 1])
    corners = rest[anatomy.faces]
    hidden: NDArray[np.bool_] = (corners[..., 2].max(axis=1) > middle + 0.25) & (
        corners[..., 1].min(axis=1) < forehead
    )
    return hidden


def _scalp(anatomy: Anatomy, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Vertices [V] above a line that rises from the nape to the forehead."""
    rest = anatomy.rest[: len(anatomy.region)]
    head = anatomy.region == HEAD
    front, back = rest[head, 2].max(), rest[head, 2].min()
    ahead = (rest[:, 2] - back) / (front - back)
    line = np.interp(ahead, [0, 0.45, 0.8, 1], [0.12, 0.35, 0.78, 0.95])
    scalp: NDArray[np.bool_] = head & (anatomy.along > line + rng.normal(0, 0.02))
    return scalp


def _between(rng: np.random.Generator, tones: NDArray[np.int64]) -> NDArray[np.uint8]:
    """A colour [3] between two neighbours of `tones` [N, 3]."""
    at = rng.uniform(0, len(tones) - 1)
    k = min(int(at), len(tones) - 2)
    mixed = tones[k] + (at - k) * (tones[k + 1] - tones[k]) + rng.normal(0, 5, 3)
    color: NDArray[np.uint8] = mixed.clip(0, 255).astype(np.uint8)
    return color


def _cloth(rng: np.random.Generator, dark: float = 0.25) -> NDArray[np.uint8]:
    """A colour [3] of cloth or leather; `dark` is the share of near blacks and browns."""
    kind = rng.random()
    if kind < dark:
        hsv = (rng.uniform(0, 0.12), rng.uniform(0, 0.5), rng.uniform(0.05, 0.35))
    elif kind < dark + 0.3:
        hsv = (rng.random(), rng.uniform(0, 0.15), rng.uniform(0.3, 1))
    elif kind < dark + 0.45:
        hsv = (rng.uniform(0.55, 0.66), rng.uniform(0.3, 0.8), rng.uniform(0.2, 0.7))
    else:
        hsv = (rng.random(), rng.uniform(0.3, 0.95), rng.uniform(0.3, 1))
    return np.array([round(255 * c) for c in colorsys.hsv_to_rgb(*hsv)], np.uint8)


def puff(
    vertices: NDArray[np.float32], faces: NDArray[np.int32], thickness: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Vertices [V, 3] moved by `thickness` [V] along the normals that `faces` [F, 3] give them."""
    corners = vertices[faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    owners = faces.T.reshape(-1)
    sums = [np.bincount(owners, np.tile(c, 3), minlength=len(vertices)) for c in cross.T]
    normals = np.stack(sums, axis=1).astype(np.float64)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return vertices + (normals * thickness[:, None]).astype(np.float32)
