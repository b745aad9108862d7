"""One random person: shape, pose, and what they wear."""

import numpy as np
from numpy.typing import NDArray

from training.bodies.anatomy import BODY, FACTORS, Anatomy
from training.bodies.clothes import dress, puff
from training.bodies.pose import random_pose
from training.meshes import BODY_SOURCE, PackMesh

_MUSCLE_WEIGHT = ("min", "average", "max")


def random_body(rng: np.random.Generator, anatomy: Anatomy) -> PackMesh:
    """A person of random age, sex, build, pose and clothes, as the bodies of a pack are stored."""
    figure = _factors(rng)
    shaped = _morphed(anatomy, _target_weights(anatomy, figure, rng))
    n_vertices = len(anatomy.weights)
    vertices, heads = shaped[:n_vertices], shaped[n_vertices:]
    posed = skinned(anatomy, vertices, heads, random_pose(rng, heads))
    outfit = dress(anatomy, rng, feminine=figure["female"], old=figure["old"])
    posed = puff(posed, anatomy.faces[anatomy.part == BODY], outfit.thickness * _size(vertices))
    low, high = posed.min(axis=0), posed.max(axis=0)
    middle = np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2], np.float32)
    return PackMesh(
        path=f"{BODY_SOURCE}/human/generated.glb",
        category="human",
        tier="A",
        source=BODY_SOURCE,
        vertices=(posed - middle) / (high - low).max(),
        faces=anatomy.faces[outfit.shown],
        face_colors=outfit.colors[outfit.shown],
        n_components=1,
    )


def _size(vertices: NDArray[np.float32]) -> np.float32:
    """The height of a standing body."""
    return np.float32(np.ptp(vertices[:, 1]))


def _factors(rng: np.random.Generator) -> dict[str, float]:
    """The factors of MakeHuman's macro targets, by the words in their names."""
    kind = rng.random()
    if kind < 0.72:
        age = rng.uniform(0.45, 0.75)
    elif kind < 0.95:
        age = rng.uniform(0.75, 1) if kind < 0.82 else rng.uniform(0.19, 0.45)
    else:
        age = rng.uniform(0.02, 0.19)
    young = max(0.0, 3.2 * (age - 0.1875)) if age < 0.5 else 2 - 2 * age
    male = float(np.clip(rng.normal(0.15 if rng.random() < 0.5 else 0.85, 0.15), 0, 1))
    origin = rng.dirichlet([0.4, 0.4, 0.4])
    factors = {
        "universal": 1.0,
        "male": male,
        "female": 1 - male,
        "baby": max(0.0, 1 - 5.333 * age),
        "child": max(0.0, min(1.0, 5.333 * age) - young) if age < 0.5 else 0.0,
        "young": young,
        "old": max(0.0, 2 * age - 1),
        "african": origin[0],
        "asian": origin[1],
        "caucasian": origin[2],
    }
    for name in ("muscle", "weight", "height"):
        value = float(np.clip(rng.normal(0.5, 0.22), 0, 1))
        ends = max(0.0, 1 - 2 * value), max(0.0, 2 * value - 1)
        values = (ends[0], 1 - sum(ends), ends[1])
        factors |= {f"{size}{name}": v for size, v in zip(_MUSCLE_WEIGHT, values, strict=True)}
    ideal = float(np.clip(rng.normal(0.55, 0.25), 0, 1))
    factors["idealproportions"] = max(0.0, 2 * ideal - 1)
    factors["uncommonproportions"] = max(0.0, 1 - 2 * ideal)
    return factors


def _target_weights(
    anatomy: Anatomy, factors: dict[str, float], rng: np.random.Generator
) -> NDArray[np.float32]:
    """How much of each target [T] to add."""
    values = np.array([factors[word] for word in FACTORS])
    products = values[anatomy.words].prod(axis=1)
    weights = np.bincount(anatomy.macro, products, minlength=len(anatomy.deltas))
    amount = np.clip(rng.normal(0, 0.3, anatomy.detail.shape[1]), -1, 1)
    np.add.at(weights, anatomy.detail[0], np.maximum(-amount, 0))
    np.add.at(weights, anatomy.detail[1], np.maximum(amount, 0))
    return weights.astype(np.float32)


def _morphed(anatomy: Anatomy, weights: NDArray[np.float32]) -> NDArray[np.float32]:
    used = np.flatnonzero(weights > 1e-4)
    moved: NDArray[np.float32] = (weights[used] @ anatomy.deltas[used]).reshape(-1, 3)
    return anatomy.rest + moved


def skinned(
    anatomy: Anatomy,
    vertices: NDArray[np.float32],
    heads: NDArray[np.float32],
    rotations: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Vertices [V, 3] moved with their bones by linear blend skinning; `heads` [J, 3] are the
    joints at rest, `rotations` [J, 3, 3] those of the world."""
    placed = heads.copy()
    for bone, parent in enumerate(anatomy.parents):
        if parent >= 0:
            placed[bone] = placed[parent] + rotations[parent] @ (heads[bone] - heads[parent])
    shift = placed - np.einsum("jab,jb->ja", rotations, heads)
    transforms = np.concatenate([rotations, shift[:, :, None]], axis=2).reshape(-1, 12)
    blended = (anatomy.weights @ transforms).reshape(-1, 3, 4)
    moved: NDArray[np.float32] = np.einsum("vab,vb->va", blended[..., :3], vertices)
    moved += blended[..., 3]
    return moved
