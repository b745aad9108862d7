"""A cloud or mesh with all that its pictures share."""

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from geometry.frame import measure
from geometry.ground import Ground, ground_transfer
from geometry.mesh import Mesh
from geometry.neighbors import nearest
from geometry.normals import known_normals
from geometry.point_cloud import PointCloud
from geometry.shading_normals import vertex_normals
from geometry.spread import spread_subset
from geometry.srgb import to_linear
from geometry.tessellation import coarser, facing_out, finer, used
from geometry.transfer import Transfer, even_directions, light_transfer

Floats = NDArray[np.float32]

_CLAY = np.array([0.62, 0.58, 0.54], np.float32)  # of objects without colours, linear
_DIRECTIONS = 72
_MOST_CANDIDATES, _MOST_POINTS = 65_536, 24_576  # drawn of a cloud
_BELOW = 0.004  # of a cloud's points may lie below the ground
_BALL = 0.52  # radius, of the distance to the sixth neighbour
_GAP = 0.8  # radius of what hides the inside, of that distance
_STRAY = 1.5  # times the usual distance to the sixth neighbour
_LARGEST_BALL = 0.05  # radius, in diameters of the object
_MESH_LIFT, _CLOUD_LIFT = 0.027, 0.04  # in diameters
_SIMILAR = 12  # neighbours over which a cloud's light is averaged


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Positions are in diameters about the object's centre, upright.

    Attributes:
        positions: [N, 3].
        normals: [N, 3], zero where unknown.
        albedo: [N, 3] linear.
        faces: [F, 3] int32; none for clouds.
        closed: faces are seen from outside only.
        radii: [N] of balls; empty for meshes.
        gaps: [N] radii within which a ball's surroundings hide what is behind; empty for meshes.
        neighbors: [N, N], averages over neighbours.
    """

    positions: Floats
    normals: Floats
    albedo: Floats
    faces: NDArray[np.int32]
    closed: bool
    radii: Floats
    gaps: Floats
    neighbors: csr_array
    transfer: Transfer
    ground: Ground


def prepare(shape: PointCloud | Mesh, most_faces: int, pool: Executor) -> Scene:
    """`most_faces` is for meshes, and about: more are merged."""
    if isinstance(shape, Mesh):
        mesh, closed = facing_out(used(shape))
        return _mesh_scene(finer(coarser(mesh, most_faces)), closed, pool)
    return _cloud_scene(_distinct(shape), pool)


def _mesh_scene(mesh: Mesh, closed: bool, pool: Executor) -> Scene:
    frame = measure(mesh.vertices)
    positions = ((mesh.vertices - frame.centre) * frame.scale).astype(np.float32)
    normals = vertex_normals(mesh) if mesh.normals is None else mesh.normals
    row, column = mesh.faces[:, [0, 1, 2, 0, 1, 2]], mesh.faces[:, [1, 2, 0, 0, 1, 2]]
    floor, directions = float(positions[:, 1].min()), even_directions(_DIRECTIONS)
    return Scene(
        positions=positions,
        normals=normals,
        albedo=_albedo(mesh.colors, len(positions)),
        faces=mesh.faces,
        closed=closed,
        radii=np.empty(0, np.float32),
        gaps=np.empty(0, np.float32),
        neighbors=_averages(row.reshape(-1), column.reshape(-1), len(positions)),
        transfer=light_transfer(positions, normals, _MESH_LIFT, floor, directions, pool),
        ground=ground_transfer(positions, floor, directions, pool),
    )


def _cloud_scene(cloud: PointCloud, pool: Executor) -> Scene:
    frame = measure(cloud.positions)
    exact = (cloud.positions - frame.centre) * frame.scale
    positions = exact.astype(np.float32)
    distance, index = nearest(exact, min(_SIMILAR, len(exact)))
    normals = _smoothed_normals(known_normals(cloud), index)
    radii, gaps = _radii(distance)
    rows = np.repeat(np.arange(len(exact)), index.shape[1])
    floor, directions = float(np.quantile(positions[:, 1], _BELOW)), even_directions(_DIRECTIONS)
    return Scene(
        positions=positions,
        normals=normals,
        albedo=_albedo(cloud.colors, len(positions)),
        faces=np.empty((0, 3), np.int32),
        closed=False,
        radii=radii,
        gaps=gaps,
        neighbors=_averages(rows, index.reshape(-1), len(exact)),
        transfer=light_transfer(positions, normals, _CLOUD_LIFT, floor, directions, pool),
        ground=ground_transfer(positions, floor, directions, pool),
    )


def _distinct(cloud: PointCloud) -> PointCloud:
    """One of each point, and of too many an even subset of some."""
    chosen, rng = np.arange(len(cloud)), np.random.default_rng(0)
    if len(cloud) > _MOST_CANDIDATES:
        chosen = rng.choice(len(cloud), _MOST_CANDIDATES, replace=False)
    _, first = np.unique(cloud.positions[chosen], axis=0, return_index=True)
    chosen = chosen[np.sort(first)]
    if len(chosen) > _MOST_POINTS:
        chosen = chosen[np.sort(spread_subset(cloud.positions[chosen], _MOST_POINTS, rng))]
    colors, normals = cloud.colors, cloud.normals
    return PointCloud(
        cloud.positions[chosen],
        None if colors is None else colors[chosen],
        None if normals is None else normals[chosen],
    )


def _albedo(colors: NDArray[np.uint8] | None, count: int) -> Floats:
    if colors is None:
        return np.broadcast_to(_CLAY, (count, 3))
    return to_linear(colors).astype(np.float32)


def _averages(row: NDArray[np.integer], column: NDArray[np.integer], count: int) -> csr_array:
    """[N, N]: the mean over each point's neighbours; itself where it has none."""
    weight = (1 / np.maximum(np.bincount(row, minlength=count), 1)).astype(np.float32)
    return csr_array((weight[row], (row, column)), shape=(count, count))


def _smoothed_normals(normals: Floats, index: NDArray[np.intp]) -> Floats:
    """The mean over neighbours on the same side of the surface."""
    around = normals[index]  # [N, k, 3]
    same = np.einsum("nkc,nc->nk", around, normals) > 0.2
    summed = np.einsum("nkc,nk->nc", around, same.astype(np.float32))
    length = np.linalg.norm(summed, axis=1, keepdims=True)
    return np.where(length > 1e-6, summed / np.maximum(length, 1e-6), normals).astype(np.float32)


def _radii(distance: NDArray[np.float64]) -> tuple[Floats, Floats]:
    """Radii of balls [N] and of gaps to close about them [N], in diameters.

    From distances to neighbours [N, k]. Strays are small and close nothing.
    """
    if distance.shape[1] == 1:
        alone = np.full(len(distance), _LARGEST_BALL, np.float32)
        return alone, np.zeros_like(alone)
    reach = distance[:, min(6, distance.shape[1] - 1)]
    usual = float(np.clip(np.median(reach), 0.004, _LARGEST_BALL / _BALL))
    fitting = np.minimum(reach, 1.2 * usual**2 / np.maximum(reach, 1e-9))
    balls = _BALL * np.clip(fitting, 0.6 * usual, 1.05 * usual)
    gaps = np.where(reach < _STRAY * usual, _GAP * np.clip(reach, 0.9 * usual, 1.25 * usual), 0)
    return balls.astype(np.float32), gaps.astype(np.float32)
