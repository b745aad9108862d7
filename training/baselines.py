"""What a model is compared with: predictors that know less than it, or more.

`sphere` and `mean shape` ignore the picture; `retrieval` finds the training object that looks most
like it; `oracle retrieval` knows the truth and finds the training object nearest to that.
"""

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.point_cloud import PointCloud
from models.foreground import extract_foreground
from training.cache import content_key
from training.camera import frame_vertices
from training.dataset import ValidationPicture
from training.meshes import MeshPack
from training.metrics import Cloud, chamfer
from training.predictors import Picture, Predictor, on_track
from training.render import Scene
from training.retrieval import ViewIndex, object_cloud, view_azimuth
from training.shape_search import YAWS, ShapeIndex, index_pack
from training.surface import sample_surface

BaselineName = Literal["sphere", "mean", "retrieval", "oracle"]
BASELINES: tuple[BaselineName, ...] = ("sphere", "mean", "retrieval", "oracle")
# Rows of a table, by baseline.
ROW_NAMES: dict[BaselineName, tuple[str, ...]] = {
    "sphere": ("sphere",),
    "mean": ("mean shape",),
    "retrieval": ("retrieval, track A", "retrieval, track B"),
    "oracle": ("oracle retrieval",),
}

SHORTLIST, FINALISTS = 200, 8  # objects that the oracle measures coarsely, and exactly
_COARSE_POINTS = 2048
_SAMPLED_OBJECTS, _SAMPLED_POINTS, _MEDOID_POINTS = 1000, 1024, 128
_SPHERE_OBJECTS = 200


def baseline_predictors(
    name: BaselineName,
    pack: MeshPack,
    train: NDArray[np.int64],
    num_points: int,
    cache_dir: Path,
) -> dict[str, Predictor]:
    """The rows of one baseline; what takes long to find is kept in `cache_dir`."""
    match name:
        case "sphere":
            ball = fallback_sphere(pack, train, num_points, cache_dir)
            return {"sphere": lambda _: ball}
        case "mean":
            mean = mean_shape(pack, train, num_points, cache_dir)
            return {"mean shape": lambda _: mean}
        case "retrieval":
            find = partial(_retrieve, ViewIndex.build(pack, train, cache_dir), num_points)
            return {
                "retrieval, track A": on_track(find, "A"),
                "retrieval, track B": on_track(find, "B"),
            }
        case "oracle":
            index = index_pack(pack, train, cache_dir=cache_dir)
            return {"oracle retrieval": partial(_oracle, index, pack, train, num_points)}


def _retrieve(index: ViewIndex, num_points: int, picture: Picture) -> PointCloud:
    return index.retrieve(picture, extract_foreground(picture, "auto").alpha, num_points)


def _oracle(
    index: ShapeIndex,
    pack: MeshPack,
    train: NDArray[np.int64],
    num_points: int,
    picture: ValidationPicture,
) -> PointCloud:
    row, yaw = nearest_object(index, picture.points)
    return object_cloud(pack.mesh(int(train[row])), view_azimuth(yaw), num_points)


def nearest_object(
    index: ShapeIndex, points: NDArray[np.float32], shortlist: int = SHORTLIST
) -> tuple[int, int]:
    """The object and yaw of `index` with the least CD to a truth [N, 3], as it stands.

    Approximate: `shortlist` objects by descriptor, their CD to few points in their likeliest yaw,
    then all yaws of the best by CD to all points.
    """
    truth = Cloud(points)
    few = truth.subset(_COARSE_POINTS)

    def distance(target: Cloud, row: int, yaw: int) -> float:
        return chamfer(Cloud(index.framed(row, yaw)), target)

    found = index.shortlist(points, shortlist)
    found.sort(key=lambda match: distance(few, *match))
    finalists = [(row, yaw) for row, _ in found[:FINALISTS] for yaw in range(YAWS)]
    finalists.sort(key=lambda match: distance(few, *match))
    return min(finalists[:FINALISTS], key=lambda match: distance(truth, *match))


def sphere(radius: float, num_points: int) -> PointCloud:
    """Points evenly spread on a sphere (Fibonacci lattice)."""
    k = np.arange(num_points) + 0.5
    y = 1 - 2 * k / num_points
    ring = np.sqrt(1 - y * y)
    turn = np.pi * (1 + 5**0.5) * k
    points = np.stack([ring * np.cos(turn), y, ring * np.sin(turn)], axis=1) * radius
    return PointCloud(points.astype(np.float32))


def fallback_sphere(
    pack: MeshPack, train: NDArray[np.int64], num_points: int, cache_dir: Path
) -> PointCloud:
    """The sphere baseline, which also stands for every prediction that a model refuses."""

    def radius() -> dict[str, float]:
        _, clouds = _random_clouds(pack, train, _SPHERE_OBJECTS)
        return {"radius": best_sphere_radius(clouds)}

    key = content_key(pack, train, _SPHERE_OBJECTS, _SAMPLED_POINTS)
    found = _kept(cache_dir / f"sphere-{key}.json", radius)
    return sphere(found["radius"], num_points)


def mean_shape(
    pack: MeshPack, train: NDArray[np.int64], num_points: int, cache_dir: Path
) -> PointCloud:
    """The medoid of random training objects, each turned by a random azimuth."""

    def search() -> dict[str, float]:
        chosen, clouds = _random_clouds(pack, train, _SAMPLED_OBJECTS)
        k, azimuth = chosen[medoid(clouds)]
        return {"object": k, "azimuth": azimuth}

    key = content_key(pack, train, _SAMPLED_OBJECTS, _SAMPLED_POINTS, _MEDOID_POINTS)
    found = _kept(cache_dir / f"medoid-{key}.json", search)
    return object_cloud(pack.mesh(int(found["object"])), found["azimuth"], num_points)


def _kept(path: Path, compute: Callable[[], dict[str, float]]) -> dict[str, float]:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial_file = path.with_suffix(f".{os.getpid()}.partial")
        partial_file.write_text(json.dumps(compute()))
        partial_file.replace(path)
    found: Any = json.loads(path.read_text())
    return dict(found)


def _random_clouds(
    pack: MeshPack, train: NDArray[np.int64], count: int
) -> tuple[list[tuple[int, float]], list[NDArray[np.float32]]]:
    """`count` random objects with a random azimuth each, and their clouds in that truth frame."""
    rng = np.random.default_rng(0)
    chosen, clouds = [], []
    for k in rng.choice(train, size=min(count, len(train)), replace=False):
        mesh, azimuth = pack.mesh(int(k)), rng.uniform(0, 2 * np.pi)
        scene = Scene(frame_vertices(mesh.vertices, azimuth), mesh.faces)
        clouds.append(sample_surface(scene, _SAMPLED_POINTS, rng).points)
        chosen.append((int(k), float(azimuth)))
    return chosen, clouds


def best_sphere_radius(clouds: list[NDArray[np.float32]]) -> float:
    """The radius whose sphere has the least mean CD to `clouds`."""
    radii = np.arange(0.15, 0.5, 0.02)
    spheres = [Cloud(sphere(float(r), _SAMPLED_POINTS).positions) for r in radii]
    targets = [Cloud(cloud) for cloud in clouds]
    means = [np.mean([chamfer(ball, target) for target in targets]) for ball in spheres]
    return float(radii[int(np.argmin(means))])


def medoid(clouds: list[NDArray[np.float32]]) -> int:
    """The cloud with the least mean CD to the others, by a few points of each."""
    points = torch.from_numpy(np.stack([cloud[:_MEDOID_POINTS] for cloud in clouds]))  # [C, M, 3]
    flat = points.view(-1, 3)
    totals = torch.zeros(len(points))
    for i, cloud in enumerate(points):
        distance = torch.cdist(cloud, flat).view(len(cloud), len(points), -1)
        totals[i] = (distance.amin(dim=0).mean() + distance.amin(dim=2).mean()) / 2
    return int(totals.argmin())
