"""From points to a closed mesh."""

import numpy as np
from numpy.typing import NDArray
from skimage.measure import marching_cubes

from geometry.errors import GeometryError
from geometry.fragments import six_volumes, without_fragments
from geometry.frame import measure
from geometry.indicator import PAD, add_balls, close_at_box, inside_field, make_grid
from geometry.mesh import Mesh
from geometry.neighbors import nearest
from geometry.normals import known_normals
from geometry.point_cloud import PointCloud
from geometry.shading_normals import vertex_normals
from geometry.simplify import simplified
from geometry.srgb import from_linear, to_linear

Floats = NDArray[np.float64]

MIN_POINTS = 16
MIN_FACES = 100
_RESOLUTIONS = (16, 256)
_SPACING_NEIGHBORS = 8
_STRAY = 8.0  # times the usual spacing: a lone point, not part of the surface
_CELLS_PER_SPACING = 3.2  # finer cells would only draw the gaps between the points


def reconstruct_surface(
    cloud: PointCloud, *, resolution: int = 96, target_faces: int | None = None
) -> Mesh:
    """A closed mesh through the points, with normals, and colours if the cloud has them.

    Normals of the cloud are used where it has any, and must face outwards; else they are
    estimated. Parts that the normals do not explain, such as single sheets and wires, become
    solid with the thickness of the gaps between their points. Pieces under 1 % of the faces and
    lone points are dropped. Faces are counter-clockwise from outside. Deterministic.

    Args:
        cloud: at least `MIN_POINTS` distinct points.
        resolution: cells along the longest side, 16 to 256; sparse clouds take fewer.
        target_faces: simplify to at most about this many faces, at least `MIN_FACES`; None keeps
            what the grid gives.

    Raises:
        GeometryError: too few distinct points, or an argument out of its bounds.
    """
    _check(resolution, target_faces)
    cloud, spacing = _cleaned(cloud)
    frame = measure(cloud.positions)
    points = (cloud.positions.astype(np.float64) - frame.centre) * frame.scale
    spacing = spacing * frame.scale
    low = points.min(axis=0)
    longest = float((points.max(axis=0) - low).max())
    finest = _CELLS_PER_SPACING * longest / float(np.median(spacing))
    cell = longest / np.clip(finest, _RESOLUTIONS[0], resolution)

    cells = (points - low) / cell + PAD
    vertices, faces = _extracted(cells, known_normals(cloud).astype(np.float64), spacing / cell)
    if target_faces is not None:
        vertices, faces = simplified(vertices, faces, target_faces)
    colors = None if cloud.colors is None else _nearest_colors(cells, cloud.colors, vertices)
    placed = ((vertices - PAD) * cell + low) / frame.scale + frame.centre
    mesh = Mesh(placed.astype(np.float32), faces, colors)
    return Mesh(mesh.vertices, faces, colors, vertex_normals(mesh))


def _check(resolution: int, target_faces: int | None) -> None:
    if not _RESOLUTIONS[0] <= resolution <= _RESOLUTIONS[1]:
        raise GeometryError(
            f"resolution: must be {_RESOLUTIONS[0]} to {_RESOLUTIONS[1]}, got {resolution}"
        )
    if target_faces is not None and target_faces < MIN_FACES:
        raise GeometryError(f"target_faces: must be at least {MIN_FACES}, got {target_faces}")


def _cleaned(cloud: PointCloud) -> tuple[PointCloud, Floats]:
    """Distinct points without strays, and the spacing [N] around each, in the cloud's unit."""
    distinct = np.sort(np.unique(cloud.positions, axis=0, return_index=True)[1])
    if len(distinct) < MIN_POINTS:
        raise GeometryError(
            f"a surface needs at least {MIN_POINTS} distinct points, got {len(distinct)}"
        )
    cloud = cloud.take(distinct)
    distance, _ = nearest(cloud.positions.astype(np.float64), _SPACING_NEIGHBORS + 1)
    # So many points on a disc of that radius.
    spacing: Floats = distance[:, -1] * np.sqrt(np.pi / _SPACING_NEIGHBORS)
    kept = spacing <= _STRAY * np.median(spacing)
    return cloud.take(kept), spacing[kept]


def _extracted(cells: Floats, normals: Floats, spacing: Floats) -> tuple[Floats, NDArray[np.int32]]:
    """The surface through points [N, 3]; everything in cells."""
    grid = make_grid(cells)
    field = inside_field(grid, normals, spacing)
    reach = np.maximum(1.5, 0.8 * spacing)
    lost = np.ones(len(cells), np.bool_)
    if field.min() < 0 < field.max():
        lost = nearest(_zero_set(field)[0], 1, cells)[0][:, 0] > reach
    if lost.any():
        radii = np.clip(0.7 * spacing[lost], 1.3, PAD / 2)
        field = add_balls(field, cells[lost], radii)
    field = close_at_box(field, cells, margin=max(2.0, float(np.median(spacing))))
    vertices, faces = _zero_set(field)
    gap, near = nearest(cells, 1, vertices)
    vertices, faces = without_fragments(vertices, faces, gap[:, 0] / (3 * reach[near[:, 0]]))
    if six_volumes(vertices, faces).sum() <= 0:
        raise GeometryError("the points enclose no volume")
    return vertices, faces


def _zero_set(field: NDArray[np.float32]) -> tuple[Floats, NDArray[np.int32]]:
    """Vertices in cells and outward faces of the surface between inside and outside."""
    vertices, faces, _, _ = marching_cubes(field, 0.0, gradient_direction="ascent")
    return vertices.astype(np.float64), faces.astype(np.int32)


def _nearest_colors(
    points: Floats, colors: NDArray[np.uint8], vertices: Floats
) -> NDArray[np.uint8]:
    """[V, 3]: the colours of the nearest points, weighted by 1 / distance in linear light."""
    distance, index = nearest(points, 3, vertices)
    weight = 1 / np.maximum(distance, 1e-6)
    weight /= weight.sum(axis=1, keepdims=True)
    return from_linear(np.einsum("nk,nkc->nc", weight, to_linear(colors)[index]))
