"""How near training comes to validation in shape: `python -m training.duplicates`.

For every validation object the nearest training object, over 8 turns about +Y and the mirror
image: a shortlist by distance field and sampled Chamfer distance, then Chamfer distance between
the surfaces themselves. Reports; changes nothing.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks.hardware import describe
from training.camera import frame_vertices
from training.meshes import MeshPack, PackMesh, split
from training.render import Scene
from training.shape_search import YAWS, ShapeIndex, index_pack, mesh_cloud
from training.surface import sample_surface

THRESHOLDS = (0.005, 0.01, 0.015)
_LISTED = 20
_DEPTH, _EXACT = 50, 5  # candidates by sampled, then by exact distance
_POINTS, _DENSE = 2048, 16_384
_NEIGHBOURS = 6
_MIRROR = np.array([-1, 1, 1], np.float32)


@dataclass(frozen=True, slots=True)
class Pair:
    """A validation object and the training object nearest to it: the mean of the two mean
    distances between their surfaces, in bounding-sphere diameters."""

    val: str
    train: str
    yaw: int
    mirrored: bool
    distance: float


class Surface:
    """A mesh in a truth frame, to be measured against: vertices [V, 3], faces [F, 3]."""

    def __init__(self, vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> None:
        rng = np.random.default_rng(0)
        scene = Scene(vertices, faces)
        self.points = sample_surface(scene, _POINTS, rng).points
        dense = sample_surface(scene, _DENSE, rng)
        self._corners = vertices[faces].astype(np.float64)
        self._faces = dense.faces
        self._tree = cKDTree(dense.points)

    def distances(self, points: NDArray[np.float32]) -> NDArray[np.float64]:
        """Distance of each of `points` [N, 3] to the surface, exact but for points whose nearest
        face holds none of their nearest samples."""
        _, nearest = self._tree.query(points, k=_NEIGHBOURS)  # [N, K]
        corners = self._corners[self._faces[nearest]]
        gaps = triangle_distances(np.asarray(points, np.float64)[:, None], corners)
        return np.asarray(gaps.min(axis=1))


def surface_chamfer(a: Surface, b: Surface) -> float:
    """The mean of the two mean distances from one surface to the other."""
    return float(a.distances(b.points).mean() + b.distances(a.points).mean()) / 2


def triangle_distances(
    points: NDArray[np.float64], corners: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Distance [...] of points [..., 3] to triangles [..., 3, 3]; they may be broadcast."""
    a, b, c = corners[..., 0, :], corners[..., 1, :], corners[..., 2, :]
    ab, ac, ap = b - a, c - a, points - a
    bb, bc, cc = (_dot(u, v) for u, v in ((ab, ab), (ab, ac), (ac, ac)))
    pb, pc = _dot(ap, ab), _dot(ap, ac)
    area = bb * cc - bc * bc  # twice the area, squared
    scale = np.where(area > 1e-12 * bb * cc, area, np.inf)
    s, t = (cc * pb - bc * pc) / scale, (bb * pc - bc * pb) / scale
    inside = (s >= 0) & (t >= 0) & (s + t <= 1) & np.isfinite(scale)
    off_plane = np.linalg.norm(ap - s[..., None] * ab - t[..., None] * ac, axis=-1)
    edges = [_segment_distances(points, u, v) for u, v in ((a, b), (b, c), (c, a))]
    distance: NDArray[np.float64] = np.where(inside, off_plane, np.minimum.reduce(edges))
    return distance


def _dot(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.einsum("...i,...i->...", a, b))


def _segment_distances(
    points: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    along = end - start
    at = np.clip(_dot(points - start, along) / np.maximum(_dot(along, along), 1e-30), 0, 1)
    return np.asarray(np.linalg.norm(points - start - at[..., None] * along, axis=-1))


def nearest_pair(
    mesh: PackMesh, pack: MeshPack, train: NDArray[np.int64], index: ShapeIndex
) -> Pair:
    """The training object nearest to `mesh`; object k of `index` is `train[k]`."""
    cloud = mesh_cloud(mesh, index.clouds.shape[1], np.random.default_rng(0))
    found = [
        (match, mirrored)
        for mirrored in (False, True)
        for match in index.nearest(cloud * _MIRROR if mirrored else cloud, _DEPTH)[:_EXACT]
    ]
    found = sorted(found, key=lambda pair: pair[0].distance)[:_EXACT]
    framed = frame_vertices(mesh.vertices, 0.0)
    pairs = []
    for match, mirrored in found:
        other = pack.mesh(int(train[match.object]))
        turned = frame_vertices(other.vertices, 2 * np.pi * match.yaw / YAWS)
        distance = surface_chamfer(
            Surface(framed * _MIRROR if mirrored else framed, mesh.faces),
            Surface(turned, other.faces),
        )
        pairs.append(Pair(mesh.path, other.path, match.yaw, mirrored, round(distance, 5)))
    return min(pairs, key=lambda pair: pair.distance)


def summary(pairs: Sequence[Pair]) -> dict[str, object]:
    """How many pairs are nearer than each of THRESHOLDS, quantiles, and all pairs, nearest
    first."""
    distances = np.array([pair.distance for pair in pairs])
    ordered = sorted(pairs, key=lambda pair: pair.distance)
    return {
        "validation objects": len(pairs),
        "below": {str(t): int((distances < t).sum()) for t in THRESHOLDS},
        "quantiles": {
            str(q): round(float(np.quantile(distances, q)), 5) for q in (0.05, 0.25, 0.5, 0.75)
        },
        "pairs": [asdict(pair) for pair in ordered],
    }


def table(pairs: Sequence[Pair]) -> str:
    """The nearest pairs as Markdown."""
    rows = ["| validation | training | distance |", "|---|---|---:|"]
    for pair in sorted(pairs, key=lambda pair: pair.distance)[:_LISTED]:
        names = (path.removesuffix(".glb") for path in (pair.val, pair.train))
        mirrored = ", mirrored" if pair.mirrored else ""
        rows.append("| {} | {}{mirrored} | {distance:.4f} |".format(
            *names, mirrored=mirrored, distance=pair.distance
        ))  # fmt: skip
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", type=Path, default=Path("../shared/data3d/train.npz.xz"))
    parser.add_argument("--manifest", type=Path, default=Path("../shared/data3d/manifest.csv"))
    parser.add_argument("--cache", type=Path, default=Path("runs"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/near-duplicates.json"))
    args = parser.parse_args()
    started = time.monotonic()
    pack = MeshPack.load(args.pack, args.manifest, args.cache)
    sides = split(pack)
    index = index_pack(pack, sides.train, cache_dir=args.cache)
    pairs = []
    for number, k in enumerate(sides.val, 1):
        pairs.append(nearest_pair(pack.mesh(int(k)), pack, sides.train, index))
        if number % 20 == 0:
            print(f"{number} of {len(sides.val)}, {time.monotonic() - started:.0f} s", flush=True)
    report = {
        "hardware": describe(),
        "seconds": round(time.monotonic() - started),
        "training objects": len(sides.train),
        **summary(pairs),
    }
    args.out.write_text(json.dumps(report, indent=1) + "\n")
    print(report["below"], "\n", table(pairs), sep="")


if __name__ == "__main__":
    main()
