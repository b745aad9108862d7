"""Which of many shapes comes nearest to a cloud, over 8 turns about +Y.

A coarse distance field finds a few candidates among all of them, Chamfer distance ranks those.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from training.camera import DegenerateMeshError, frame_vertices
from training.meshes import MeshPack, PackMesh
from training.render import Scene
from training.surface import sample_outer_surface, sample_surface

YAWS = 8
_PROBES = 6  # per axis
_CHUNK = 4096  # descriptors compared at once
_TURNED = 8  # of the best, how many are tried at every turn


@dataclass(frozen=True, slots=True)
class Match:
    """A shape by its number, its turn in eighths of a circle, and the mean of the two mean
    nearest distances, in bounding-sphere diameters."""

    object: int
    yaw: int
    distance: float


@dataclass(frozen=True)
class ShapeIndex:
    """`clouds` [K, P, 3] float32 in any frame with +Y up; `frames` [K, YAWS, 4] float32: centre
    and bounding-sphere diameter of each cloud at each turn; `fields` [K * YAWS, D] float32: the
    descriptors."""

    clouds: NDArray[np.float32]
    frames: NDArray[np.float32]
    fields: NDArray[np.float32]

    @classmethod
    def build(
        cls,
        clouds: NDArray[np.float32],
        outlines: Sequence[NDArray[np.float32]] | None = None,
    ) -> "ShapeIndex":
        """Index `clouds` [K, P, 3].

        `outlines` are the vertices [V, 3] whose box and bounding sphere frame each cloud, where
        those of its own points are not exact enough.
        """
        frames = np.empty((len(clouds), YAWS, 4), np.float32)
        for k, outline in enumerate(clouds if outlines is None else outlines):
            frames[k] = [_frame(outline, yaw) for yaw in range(YAWS)]
        fields = np.empty((len(clouds), YAWS, _PROBES**3), np.float32)
        for k, cloud in enumerate(clouds):
            probes = [_to_cloud(_probes(), frames[k, yaw], yaw) for yaw in range(YAWS)]
            distance, _ = cKDTree(cloud).query(np.stack(probes))  # [YAWS, D]
            fields[k] = distance / frames[k, :, 3:]
        return cls(clouds, frames, fields.reshape(-1, _PROBES**3))

    def framed(self, number: int, yaw: int) -> NDArray[np.float32]:
        """Cloud `number` [P, 3] in the truth frame of a camera at azimuth yaw / 8 of a circle."""
        frame = self.frames[number, yaw]
        framed: NDArray[np.float32] = (_turned(self.clouds[number], yaw) - frame[:3]) / frame[3]
        return framed

    def shortlist(self, cloud: NDArray[np.float32], k: int) -> list[tuple[int, int]]:
        """The `k` likeliest shapes for a cloud [N, 3] in a truth frame, likeliest first, each
        with its likeliest turn: (object, yaw)."""
        field = describe(cloud)
        gaps = np.concatenate([
            np.square(self.fields[start : start + _CHUNK] - field).sum(axis=1)
            for start in range(0, len(self.fields), _CHUNK)
        ]).reshape(-1, YAWS)  # fmt: skip
        yaws = gaps.argmin(axis=1)
        order = np.argsort(gaps.min(axis=1), kind="stable")[:k]
        return [(int(number), int(yaws[number])) for number in order]

    def nearest(self, cloud: NDArray[np.float32], depth: int = 100) -> list[Match]:
        """The shortlist of that depth for a cloud [N, 3] in a truth frame, ranked by Chamfer
        distance; the best of it are tried at every turn."""
        tree = cKDTree(cloud)

        def ranked(pairs: Iterable[tuple[int, int]]) -> list[Match]:
            matches = [Match(k, yaw, _chamfer(self.framed(k, yaw), tree)) for k, yaw in pairs]
            return sorted(matches, key=lambda match: match.distance)

        matches = ranked(self.shortlist(cloud, depth))
        best = [
            ranked((match.object, yaw) for yaw in range(YAWS))[0] for match in matches[:_TURNED]
        ]
        return sorted(best + matches[_TURNED:], key=lambda match: match.distance)


def _chamfer(cloud: NDArray[np.float32], tree: cKDTree) -> float:
    to_tree, _ = tree.query(cloud)
    from_tree, _ = cKDTree(cloud).query(tree.data)
    return float(np.mean(to_tree) + np.mean(from_tree)) / 2


def describe(cloud: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distances [D] from a fixed grid of the truth frame to the nearest point of a cloud [N, 3]."""
    distance, _ = cKDTree(cloud).query(_probes())
    return np.asarray(distance, np.float32)


def _probes() -> NDArray[np.float32]:
    ticks = np.linspace(-0.5, 0.5, _PROBES, dtype=np.float32)
    return np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 3)


def _turn(yaw: int) -> NDArray[np.float32]:
    """The rotation of `frame_vertices` for azimuth yaw / 8 of a circle."""
    s, c = np.sin(2 * np.pi * yaw / YAWS), np.cos(2 * np.pi * yaw / YAWS)
    return np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]], np.float32)


def _turned(points: NDArray[np.float32], yaw: int) -> NDArray[np.float32]:
    turned: NDArray[np.float32] = points @ _turn(yaw).T
    return turned


def _to_cloud(
    points: NDArray[np.float32], frame: NDArray[np.float32], yaw: int
) -> NDArray[np.float32]:
    """Points of the truth frame back to where the cloud stands."""
    back: NDArray[np.float32] = (points * frame[3] + frame[:3]) @ _turn(yaw)
    return back


def _frame(outline: NDArray[np.float32], yaw: int) -> NDArray[np.float32]:
    turned = _turned(outline, yaw)
    center = (turned.min(axis=0) + turned.max(axis=0)) / 2
    diameter = 2 * np.linalg.norm(turned - center, axis=1).max()
    return np.append(center, max(diameter, 1e-6)).astype(np.float32)


def mesh_cloud(mesh: PackMesh, n_points: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """`n_points` points of the outer surface as modelled, [n_points, 3]; of all of it where
    almost nothing can be seen from outside. Raises DegenerateMeshError."""
    framed = frame_vertices(mesh.vertices, 0.0)
    scene = Scene(framed, mesh.faces)
    try:
        surface = sample_outer_surface(scene, n_points, rng)
    except DegenerateMeshError:
        surface = sample_surface(scene, n_points, rng)
    return surface.points


def index_pack(
    pack: MeshPack,
    indices: NDArray[np.int64],
    n_points: int = 1024,
    cache_dir: Path | None = None,
    seed: int = 0,
) -> ShapeIndex:
    """An index of objects `indices` [K] of a pack; object k of the index is `indices[k]`.

    With `cache_dir`, it is kept there under a name that depends on all it was made from.
    Raises DegenerateMeshError.
    """
    cached = None if cache_dir is None else cache_dir / _cache_name(pack, indices, n_points, seed)
    if cached is not None and cached.exists():
        with np.load(cached) as arrays:
            return ShapeIndex(arrays["clouds"], arrays["frames"], arrays["fields"])
    clouds = np.empty((len(indices), n_points, 3), np.float32)
    outlines = []
    for row, number in enumerate(indices):
        mesh = pack.mesh(int(number))
        rng = np.random.default_rng([seed, int(number)])
        clouds[row] = mesh_cloud(mesh, n_points, rng)
        outlines.append(frame_vertices(mesh.vertices, 0.0))
    index = ShapeIndex.build(clouds, outlines)
    if cached is not None:
        cached.parent.mkdir(parents=True, exist_ok=True)
        partial = cached.with_suffix(f".{os.getpid()}.partial.npz")
        np.savez(partial, clouds=index.clouds, frames=index.frames, fields=index.fields)
        partial.replace(cached)
    return index


def _cache_name(pack: MeshPack, indices: NDArray[np.int64], n_points: int, seed: int) -> str:
    digest = hashlib.sha256(f"{n_points} {seed} {YAWS} {_PROBES}".encode())
    for array in (pack.arrays["vertices"], pack.arrays["faces"], indices):
        digest.update(np.ascontiguousarray(array).tobytes())
    return f"shapes-{digest.hexdigest()[:16]}.npz"
