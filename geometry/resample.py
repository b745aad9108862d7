"""Clouds of exactly as many points as asked for."""

import numpy as np
from numpy.typing import NDArray

from geometry.errors import GeometryError
from geometry.frame import measure
from geometry.mesh import Mesh
from geometry.neighbors import nearest
from geometry.point_cloud import PointCloud
from geometry.shading_normals import face_vectors
from geometry.spread import spread_subset
from geometry.srgb import from_linear, to_linear

_NEIGHBORS = 6
_ROUNDS = 8


def resample(cloud: PointCloud, num_points: int, rng: np.random.Generator) -> PointCloud:
    """The cloud with exactly `num_points` points.

    Fewer: a subset of the points, spread evenly whatever the density was. More: all distinct
    points and new ones inside triangles of neighbours, most where points are sparse, with colour
    and normal interpolated. No two points of the result are equal, copies in the input included,
    unless float32 has no room between them.

    Raises:
        GeometryError: `num_points` below 1.
    """
    _check_count(num_points)
    distinct = np.sort(np.unique(cloud.positions, axis=0, return_index=True)[1])
    unique = cloud if len(distinct) == len(cloud) else cloud.take(distinct)
    if num_points <= len(unique):
        return unique.take(spread_subset(unique.positions, num_points, rng))
    grown = _grown(unique, num_points - len(unique), rng)
    for _ in range(_ROUNDS):
        kept = np.unique(grown.positions, axis=0, return_index=True)[1]
        if len(kept) == num_points:
            break
        grown = grown.take(np.sort(kept))
        grown = _grown(grown, num_points - len(kept), rng)
    return grown


def _grown(cloud: PointCloud, extra: int, rng: np.random.Generator) -> PointCloud:
    """The distinct points of `cloud` and `extra` new ones between them."""
    frame = measure(cloud.positions)
    points = (cloud.positions.astype(np.float64) - frame.centre) * frame.scale
    count = len(points)
    if count == 1:
        reach = 1e-3 * max(float(np.abs(cloud.positions).max()), 1e-3)
        jitter = rng.uniform(-reach, reach, (extra, 3))
        copies = cloud.take(np.zeros(extra + 1, np.intp))
        moved = copies.positions.astype(np.float64)
        moved[1:] += jitter
        return PointCloud(moved.astype(np.float32), copies.colors, copies.normals)
    distance, index = nearest(points, min(_NEIGHBORS + 1, count))
    distance, index = distance[:, 1:], index[:, 1:]
    # Systematic draws, in proportion to the area that a point stands for.
    area = np.minimum(distance[:, -1], 3 * np.median(distance[:, -1])) ** 2
    share = np.cumsum(area) / area.sum()
    base = np.searchsorted(share, (np.arange(extra) + rng.random()) / extra, side="right")
    base = np.minimum(base, count - 1)
    if cloud.normals is not None:  # the other side of a thin part comes last
        agrees = np.einsum("nkc,nc->nk", cloud.normals[index], cloud.normals) > 0.2
        best = np.argsort(np.where(agrees, distance, distance + 1), axis=1)
        index = np.take_along_axis(index, best, axis=1)
    choice = rng.permuted(np.tile(np.arange(min(4, index.shape[1])), (extra, 1)), axis=1)
    corners = np.stack([base, index[base, choice[:, 0]], index[base, choice[:, -1]]], axis=1)
    return _joined(cloud, _interpolated(cloud, corners, _triangle_weights(extra, rng)))


def _interpolated(
    cloud: PointCloud, corners: NDArray[np.intp], weights: NDArray[np.float64]
) -> PointCloud:
    """Points at `weights` [N, 3] between `corners` [N, 3] of a cloud."""
    colors, normals = cloud.colors, cloud.normals
    return PointCloud(
        positions=_mixed(cloud.positions[corners], weights).astype(np.float32),
        colors=None if colors is None else _mixed_colors(colors[corners], weights),
        normals=None
        if normals is None
        else _unit(_mixed(normals[corners], weights)).astype(np.float32),
    )


def _joined(one: PointCloud, other: PointCloud) -> PointCloud:
    """Both clouds, which have the same attributes."""
    return PointCloud(
        np.concatenate([one.positions, other.positions]),
        None
        if one.colors is None or other.colors is None
        else np.concatenate([one.colors, other.colors]),
        None
        if one.normals is None or other.normals is None
        else np.concatenate([one.normals, other.normals]),
    )


def sample_surface(mesh: Mesh, num_points: int, rng: np.random.Generator) -> PointCloud:
    """Points uniform by area on the faces, with colour and normal interpolated (in linear light).

    Without normals of its own the mesh gives those of its faces. Faces without area get no point.

    Raises:
        GeometryError: `num_points` below 1, or a mesh without area.
    """
    _check_count(num_points)
    areas = face_vectors(mesh.vertices, mesh.faces)
    length = np.linalg.norm(areas, axis=1)
    cumulative = np.cumsum(length)
    if not cumulative[-1] > 0:
        raise GeometryError("the mesh has no area: no points can be drawn from it")
    # Stratified: one draw in each of num_points equal shares of the area.
    shares = (np.arange(num_points) + rng.random(num_points)) / num_points
    face = np.searchsorted(cumulative, shares * cumulative[-1], side="right")
    face = np.minimum(face, np.flatnonzero(length)[-1])
    corners = mesh.faces[face].astype(np.intp)
    weights = _triangle_weights(num_points, rng)
    drawn = _interpolated(PointCloud(mesh.vertices, mesh.colors, mesh.normals), corners, weights)
    if mesh.normals is not None:
        return drawn
    flat = (areas[face] / length[face, None]).astype(np.float32)
    return PointCloud(drawn.positions, drawn.colors, flat)


def _triangle_weights(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """[count, 3] barycentric weights, uniform on the triangle."""
    root, turn = np.sqrt(rng.random(count)), rng.random(count)
    return np.stack([1 - root, root * (1 - turn), root * turn], axis=1)


def _mixed(values: NDArray[np.floating], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """[N, K, C] values and [N, K] weights to [N, C]."""
    mean: NDArray[np.float64] = np.einsum("nk,nkc->nc", weights, values.astype(np.float64))
    return mean


def _mixed_colors(colors: NDArray[np.uint8], weights: NDArray[np.float64]) -> NDArray[np.uint8]:
    return from_linear(_mixed(to_linear(colors), weights))


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit length; zero vectors stay zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float64] = np.divide(
        vectors, length, out=np.zeros_like(vectors), where=length > 0
    )
    return unit


def _check_count(num_points: int) -> None:
    if num_points < 1:
        raise GeometryError(f"num_points: must be at least 1, got {num_points}")
