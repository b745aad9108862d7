"""Meshes from clouds of known objects: how near to the true surface, how clean, how fast.

Needs the training pack in ../shared/data3d. Open3D's screened Poisson reconstruction is measured
beside ours where that package can be imported; it is no dependency of this project.
"""

import importlib
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.frame import normalise
from geometry.mesh import Mesh
from geometry.neighbors import nearest
from geometry.normals import estimate_normals
from geometry.point_cloud import PointCloud
from geometry.quality import measure_quality
from geometry.resample import resample, sample_surface
from geometry.surface import reconstruct_surface
from geometry.texture import bake_texture
from training.meshes import MeshPack

DATA = Path("../shared/data3d")
_CACHE = Path("runs")
_OBJECTS, _POINTS, _JUDGED = 24, 4096, 20_000
_NOISE = (0.0, 0.005, 0.01)  # in diameters
_NEAR = 0.01
_DEPTH = 7
_REPEATS = 5
_ALL_FACES = 1_000_000  # more than any grid gives

Method = Callable[[PointCloud], Mesh]


@dataclass(frozen=True, slots=True)
class Score:
    """One mesh against the true surface; lengths in diameters of the object."""

    chamfer: float
    f_score: float
    normal_agreement: float
    watertight: float
    components: float
    faces: float
    seconds: float


def measure() -> dict[str, float]:
    """Means over the objects (of seconds the median) for each noise, source of normals, method."""
    methods = _methods()
    scores: defaultdict[str, list[Score]] = defaultdict(list)
    rng = np.random.default_rng(0)
    for truth in true_surfaces():
        for case, cloud in cases(truth, rng):
            for name, method in methods.items():
                scores[f"{case}, {name}"].append(judge(method, cloud, truth, rng))
    figures = {f"{case}: {key}": x for case, some in scores.items() for key, x in _means(some)}
    return figures | _seconds()


def true_surfaces() -> Iterator[Mesh]:
    """Closed objects in one piece from the pack, in the output frame: the same on every run."""
    pack = MeshPack.load(DATA / "train.npz.xz", DATA / "manifest.csv", _CACHE)
    single = [k for k in range(len(pack)) if pack.tiers[k] == "A" and pack.n_components[k] == 1]
    found = 0
    for k in np.random.default_rng(7).permutation(single):
        packed = pack.mesh(int(k))
        mesh = normalise(Mesh(packed.vertices, packed.faces))
        quality = measure_quality(mesh, PointCloud(mesh.vertices))
        if quality.watertight and quality.components == 1:
            yield mesh
            found += 1
        if found == _OBJECTS:
            return


def cases(truth: Mesh, rng: np.random.Generator) -> Iterator[tuple[str, PointCloud]]:
    """4,096 evenly spread points, with more and more noise, with true normals and without."""
    cloud = resample(sample_surface(truth, 4 * _POINTS, rng), _POINTS, rng)
    for noise in _NOISE:
        moved = cloud.positions + noise * rng.normal(size=cloud.positions.shape).astype(np.float32)
        yield f"noise {noise:g}, true normals", PointCloud(moved, None, cloud.normals)
        yield f"noise {noise:g}, no normals", PointCloud(moved)


def judge(method: Method, cloud: PointCloud, truth: Mesh, rng: np.random.Generator) -> Score:
    started = time.perf_counter()
    mesh = method(cloud)
    seconds = time.perf_counter() - started
    ours, theirs = (_judged(shape, rng) for shape in (mesh, truth))
    (there, match), (back, source) = (
        nearest(a.positions.astype(np.float64), 1, b.positions.astype(np.float64))
        for a, b in ((theirs, ours), (ours, theirs))
    )
    agreement = (
        (_normals(ours) * _normals(theirs)[match[:, 0]]).sum(axis=1).mean()
        + (_normals(theirs) * _normals(ours)[source[:, 0]]).sum(axis=1).mean()
    ) / 2
    precision, recall = (there < _NEAR).mean(), (back < _NEAR).mean()
    quality = measure_quality(mesh, cloud)
    return Score(
        chamfer=float(there.mean() + back.mean()) / 2,
        f_score=float(2 * precision * recall / max(precision + recall, 1e-9)),
        normal_agreement=float(agreement),
        watertight=float(quality.watertight),
        components=float(quality.components),
        faces=float(quality.faces),
        seconds=seconds,
    )


def _judged(mesh: Mesh, rng: np.random.Generator) -> PointCloud:
    return sample_surface(Mesh(mesh.vertices, mesh.faces), _JUDGED, rng)


def _normals(cloud: PointCloud) -> NDArray[np.float32]:
    if cloud.normals is None:
        raise ValueError("points of a surface have normals")
    return cloud.normals


def _means(scores: list[Score]) -> Iterator[tuple[str, float]]:
    columns = zip(*(astuple(score) for score in scores), strict=True)
    for field, column in zip(fields(Score), columns, strict=True):
        median = field.name == "seconds"
        yield field.name, statistics.median(column) if median else statistics.fmean(column)


def _methods() -> dict[str, Method]:
    methods: dict[str, Method] = {
        "ours": reconstruct_surface,
        "ours with all faces": lambda cloud: reconstruct_surface(cloud, target_faces=_ALL_FACES),
    }
    try:
        open3d = importlib.import_module("open3d")
    except ImportError:
        print("surface  Open3D is not installed: not measured")
        return methods
    name = f"Open3D {open3d.__version__} Poisson of depth {_DEPTH}"
    return methods | {name: lambda cloud: _open3d_poisson(open3d, cloud)}


def _open3d_poisson(open3d: Any, cloud: PointCloud) -> Mesh:
    """As its documentation has it: normals by tangent planes where the cloud has none."""
    points = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(cloud.positions))
    if cloud.normals is not None:
        points.normals = open3d.utility.Vector3dVector(cloud.normals)
    else:
        points.estimate_normals(open3d.geometry.KDTreeSearchParamKNN(16))
        points.orient_normals_consistent_tangent_plane(16)
    solved, _ = open3d.geometry.TriangleMesh.create_from_point_cloud_poisson(points, depth=_DEPTH)
    return Mesh(
        np.asarray(solved.vertices).astype(np.float32),
        np.asarray(solved.triangles).astype(np.int32),
    )


def _seconds() -> dict[str, float]:
    """Medians on the first object, with colours: what a job pays."""
    rng = np.random.default_rng(0)
    truth = next(true_surfaces())
    shades = ((truth.vertices + 0.5) * 255).clip(0, 255).astype(np.uint8)
    coloured = Mesh(truth.vertices, truth.faces, shades)
    cloud = resample(sample_surface(coloured, 4 * _POINTS, rng), _POINTS, rng)
    mesh = reconstruct_surface(cloud)
    small = reconstruct_surface(cloud, target_faces=10_000)
    million = sample_surface(coloured, 1_000_000, rng)
    return {
        "surface of 4,096 points, s": _median(lambda: reconstruct_surface(cloud)),
        "normals of 4,096 points, s": _median(lambda: estimate_normals(cloud)),
        "surface of 1,000,000 points, s": _median(lambda: reconstruct_surface(million)),
        "quality report, s": _median(lambda: measure_quality(mesh, cloud)),
        "texture of 1,024 texels on 10,000 faces, s": _median(
            lambda: bake_texture(small, cloud, 1024)
        ),
    }


def _median(call: Callable[[], object]) -> float:
    seconds = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)
