"""From points to a closed mesh."""

import numpy as np
from numpy.typing import NDArray
from skimage.measure import marching_cubes

from geometry.color_transfer import transferred_colors
from geometry.denoise import denoised
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
from geometry.thinning import thinned

Floats = NDArray[np.float64]

MIN_POINTS = 16
MIN_FACES = 100
DEFAULT_FACES = 20_000
_RESOLUTIONS = (16, 256)
_SPACING_NEIGHBORS = 8
_MANY = 50_000  # points: more do not make a better surface at these resolutions
_LEAST_COMPANY = 6
_STRAY = 8.0  # times the usual spacing: a lone point, not part of the surface
_CELLS_PER_SPACING = 3.2  # finer cells would only draw the gaps between the points


def reconstruct_surface(
    cloud: PointCloud, *, resolution: int = 96, target_faces: int | None = None
) -> Mesh:
    """A closed mesh through the points, with normals, and colours if the cloud has them.

    Normals of the cloud are used where it has any, and must face outwards; else they are
    estimated. Noisy points are first moved onto the surface that their neighbours agree on. Parts
    that the normals do not explain, such as single sheets and wires, become solid with the
    thickness of the gaps between their points. Pieces under 1 % of the faces and lone points are
    dropped. Faces are counter-clockwise from outside. Of more than 50,000 points those that share
    a cell are merged first. Deterministic.

    Args:
        cloud: at least `MIN_POINTS` distinct points.
        resolution: cells along the longest side, 16 to 256; sparse clouds take fewer.
        target_faces: simplify to at most about this many faces, at least `MIN_FACES`; None:
            `DEFAULT_FACES`. The grid gives two to four times as many at the default resolution.

    Raises:
        GeometryError: too few distinct points, or an argument out of its bounds.
    """
    _check(resolution, target_faces)
    cloud, spacing = _cleaned(_manageable(cloud, resolution))
    frame = measure(cloud.positions)
    points = (cloud.positions.astype(np.float64) - frame.centre) * frame.scale
    spacing = spacing * frame.scale
    known = known_normals(cloud).astype(np.float64)
    points, normals, noise = denoised(points, known, spacing)
    low = points.min(axis=0)
    longest = float((points.max(axis=0) - low).max())
    finest = _CELLS_PER_SPACING * longest / float(np.median(spacing))
    cell = longest / np.clip(finest, _RESOLUTIONS[0], resolution)

    cells = (points - low) / cell + PAD
    vertices, faces = _extracted(cells, normals, spacing / cell, noise)
    vertices, faces = simplified(vertices, faces, target_faces or DEFAULT_FACES)
    placed = ((vertices - PAD) * cell + low) / frame.scale + frame.centre
    mesh = Mesh(placed.astype(np.float32), faces)
    facing = vertex_normals(mesh)
    if cloud.colors is None:
        return Mesh(mesh.vertices, faces, None, facing)
    colors = transferred_colors(cells, cloud.colors, normals, vertices, facing)
    return Mesh(mesh.vertices, faces, colors, facing)


def _check(resolution: int, target_faces: int | None) -> None:
    if not _RESOLUTIONS[0] <= resolution <= _RESOLUTIONS[1]:
        raise GeometryError(
            f"resolution: must be {_RESOLUTIONS[0]} to {_RESOLUTIONS[1]}, got {resolution}"
        )
    if target_faces is not None and target_faces < MIN_FACES:
        raise GeometryError(f"target_faces: must be at least {MIN_FACES}, got {target_faces}")


def _manageable(cloud: PointCloud, cells: int) -> PointCloud:
    """At most `_MANY` points; what fills a volume ends in larger cells than a surface does."""
    while len(cloud) > _MANY:
        cloud = thinned(cloud, cells)
        cells = cells * 4 // 5
    return cloud


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


def _extracted(
    cells: Floats, normals: Floats, spacing: Floats, noise: float
) -> tuple[Floats, NDArray[np.int32]]:
    """The surface through points [N, 3]; everything in cells."""
    grid = make_grid(cells)
    field = inside_field(grid, normals, spacing, noise)
    reach = np.maximum(1.5, 0.8 * spacing)
    lost = np.ones(len(cells), np.bool_)
    if field.min() < 0 < field.max():
        far = nearest(_zero_set(field)[0], 1, cells)[0][:, 0] > reach
        lost = _in_company(cells, far, 2 * spacing)
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


def _in_company(cells: Floats, lost: NDArray[np.bool_], reach: Floats) -> NDArray[np.bool_]:
    """The `lost` points that have enough others near: a sheet or wire, and not noise."""
    found = lost.copy()
    if lost.sum() > _LEAST_COMPANY:
        distance, _ = nearest(cells[lost], _LEAST_COMPANY + 1, cells[lost])
        found[lost] = distance[:, -1] <= reach[lost]
    return found


def _zero_set(field: NDArray[np.float32]) -> tuple[Floats, NDArray[np.int32]]:
    """Vertices in cells and outward faces of the surface between inside and outside."""
    vertices, faces, _, _ = marching_cubes(field, 0.0, gradient_direction="ascent")
    return vertices.astype(np.float64), faces.astype(np.int32)
