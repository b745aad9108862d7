"""Points drawn from a mesh, uniform by area, on all of it or on what can be seen from outside."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.camera import DegenerateMeshError
from training.render import Scene

_LIFT = np.float32(1e-4)  # start of a test ray off the surface, in bounding-sphere diameters
_MAX_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class SurfacePoints:
    """Points [N, 3] float32 and the face [N] each lies on; `outward` [N, 3] float32 is a
    direction towards which each can be seen from outside, None where that was not asked."""

    points: NDArray[np.float32]
    faces: NDArray[np.int64]
    outward: NDArray[np.float32] | None = None

    def normals(self, scene: Scene) -> NDArray[np.float32]:
        """Face normals [N, 3], on the side from which the point is seen."""
        if self.outward is None:
            raise ValueError("only points of the outer surface have an outside")
        normals: NDArray[np.float32] = scene.face_normals[self.faces]
        away = np.einsum("nc,nc->n", normals, self.outward) < 0
        normals[away] *= -1
        return normals


def sample_surface(scene: Scene, n: int, rng: np.random.Generator) -> SurfacePoints:
    """`n` points, uniform by area over all faces. Raises DegenerateMeshError without area."""
    cumulative = np.cumsum(scene.face_areas, dtype=np.float64)
    if not cumulative[-1] > 1e-9:
        raise DegenerateMeshError("the mesh has no area")
    faces = np.searchsorted(cumulative, rng.random(n) * cumulative[-1], side="right")
    faces = np.minimum(faces, len(cumulative) - 1)
    corners = scene.vertices[scene.faces[faces]]  # [n, 3, 3]
    ab = rng.random((n, 2), np.float32)
    ab = np.where(ab.sum(axis=1, keepdims=True) > 1, 1 - ab, ab)
    edges = corners[:, 1:] - corners[:, :1]
    points = corners[:, 0] + ab[:, :1] * edges[:, 0] + ab[:, 1:] * edges[:, 1]
    return SurfacePoints(points.astype(np.float32), faces)


def sample_outer_surface(
    scene: Scene, n: int, rng: np.random.Generator, rays: tuple[int, ...] = (2, 4, 8)
) -> SurfacePoints:
    """`n` points, uniform by area over what can be seen from outside.

    Approximate: a point stays if any of sum(rays) random directions leaves the object; each
    number of `rays` is tried on the points that the ones before it left undecided. Deep cracks
    lose some of their points. Raises DegenerateMeshError when almost nothing can be seen.
    """
    if n == 0:
        nothing = np.zeros((0, 3), np.float32)
        return SurfacePoints(nothing, np.zeros(0, np.int64), nothing)
    points: list[NDArray[np.float32]] = []
    faces: list[NDArray[np.int64]] = []
    outward: list[NDArray[np.float32]] = []
    found, want = 0, int(n * 1.2) + 16
    for _ in range(_MAX_ROUNDS):
        drawn = sample_surface(scene, want, rng)
        seen, directions = _escapes(scene, drawn.points, rng, rays)
        points.append(drawn.points[seen])
        faces.append(drawn.faces[seen])
        outward.append(directions[seen])
        found += int(seen.sum())
        if found >= n:
            return SurfacePoints(
                np.concatenate(points)[:n], np.concatenate(faces)[:n], np.concatenate(outward)[:n]
            )
        share = max(seen.mean(), 0.05)
        want = int((n - found) / share * 1.2) + 16
    raise DegenerateMeshError("almost nothing of the mesh can be seen from outside")


def _escapes(
    scene: Scene, points: NDArray[np.float32], rng: np.random.Generator, rays: tuple[int, ...]
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Which of `points` [N, 3] some ray leaves freely, and the mean of the free ones' directions
    [N, 3]."""
    escaped = np.zeros(len(points), np.bool_)
    outward = np.zeros_like(points)
    undecided = np.arange(len(points))
    for count in rays:
        directions = rng.standard_normal((len(undecided), count, 3), np.float32)
        directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
        origins = points[undecided, None] + directions * _LIFT
        blocked = scene.occluded(origins.reshape(-1, 3), directions.reshape(-1, 3))
        free = ~blocked.reshape(-1, count)
        outward[undecided] = (directions * free[..., None]).sum(axis=1)
        some = free.any(axis=1)
        escaped[undecided[some]] = True
        undecided = undecided[~some]
        if not len(undecided):
            break
    return escaped, outward
