"""Meshes with known answers."""

import numpy as np
from numpy.typing import NDArray

from training.meshes import PackMesh


def f32(values) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def i32(values) -> NDArray[np.int32]:
    return np.array(values, np.int32)


def u8(values) -> NDArray[np.uint8]:
    return np.array(values, np.uint8)


BOX_CORNERS = np.array(
    [[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)], np.float32
)
BOX_FACES = np.array(
    [
        *[[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5]],  # -x, +x
        *[[0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6]],  # -y, +y
        *[[0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]],  # -z, +z
    ],
    np.int32,
)
PLUS_Y = (6, 7)  # its faces


def box(size=(1, 1, 1), center=(0, 0, 0)):
    """Vertices [8, 3] and outward faces [12, 3]."""
    return BOX_CORNERS * f32(size) + f32(center), BOX_FACES


def sphere(radius=0.5, rings=24):
    """A UV sphere whose vertices are on the sphere."""
    theta = np.linspace(0, np.pi, rings + 1)
    phi = np.arange(2 * rings) * np.pi / rings
    grid = np.stack(
        [
            np.outer(np.sin(theta), np.cos(phi)),
            np.outer(np.cos(theta), np.ones_like(phi)),
            np.outer(np.sin(theta), np.sin(phi)),
        ],
        axis=-1,
    )
    n = 2 * rings
    quads = [
        (i * n + j, i * n + (j + 1) % n, (i + 1) * n + (j + 1) % n, (i + 1) * n + j)
        for i in range(rings)
        for j in range(n)
    ]
    faces = [f for a, b, c, d in quads for f in ((a, b, c), (a, c, d))]
    return (radius * grid.reshape(-1, 3)).astype(np.float32), np.array(faces, np.int32)


def joined(*parts):
    """One mesh of several."""
    starts = np.cumsum([0] + [len(v) for v, _ in parts[:-1]])
    faces = [f + np.int32(start) for (_, f), start in zip(parts, starts, strict=True)]
    return np.concatenate([v for v, _ in parts]), np.concatenate(faces)


def pack_mesh(vertices, faces, colors=(200, 60, 40), tier="A", path="test/toy/Thing.glb"):
    face_colors = np.broadcast_to(u8(colors), (len(faces), 3)).copy()
    return PackMesh(path, "toy", tier, "test", vertices, faces, face_colors, 1)


def lopsided(n=1500, seed=0):
    """A cloud [n, 3]: no rotation or mirror image of it is the same."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    points *= [0.45, 0.25, 0.15]
    points[: n // 3] += [0.25, 0.2, 0.1]
    return points
