"""Pictures of clouds and meshes, drawn on the CPU."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from geometry.discs import draw_discs
from geometry.errors import GeometryError
from geometry.frame import measure
from geometry.layer import Layer
from geometry.lighting import finish, ground_shadow, shade
from geometry.mesh import Mesh
from geometry.neighbors import nearest
from geometry.normals import known_normals
from geometry.point_cloud import PointCloud
from geometry.resample import sample_surface
from geometry.shading_normals import vertex_normals
from geometry.srgb import from_linear, to_linear
from geometry.triangles import draw_triangles
from geometry.view import View, views_around

_AZIMUTH, _ELEVATION = 30.0, 20.0  # degrees
_FRAME_MS = 80
_SUPERSAMPLE = 2
_CLAY = np.array([0.62, 0.58, 0.54], np.float32)  # of objects without colours, linear
_PAPER = np.array([0.93, 0.93, 0.92], np.float32)  # behind pictures that cannot be transparent
_LARGEST_DISC = 0.05  # radius, in diameters of the object
_SHADOW_SAMPLES = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """A cloud or mesh with all that its pictures share."""

    shape: PointCloud | Mesh
    normals: NDArray[np.float32]  # [N, 3], zero where unknown
    light: NDArray[np.float32]  # [N, 3] linear
    ground: NDArray[np.float64]  # [M, 3] points on the surface, in diameters about the centre
    radii: NDArray[np.float32]  # [N] of the discs, in diameters; empty for meshes

    def positions(self) -> NDArray[np.float32]:
        return self.shape.positions if isinstance(self.shape, PointCloud) else self.shape.vertices


def render_points(
    cloud: PointCloud, size: int = 512, azimuth: float = _AZIMUTH, elevation: float = _ELEVATION
) -> NDArray[np.uint8]:
    """The cloud as overlapping shaded discs, [size, size, 4] sRGB with straight alpha.

    The object fills nine tenths of the picture and casts a soft shadow on a transparent ground.
    Azimuth 0 looks from +Z, 90 from +X; both angles are degrees. Missing normals are estimated.
    """
    return _render(_prepare(cloud), [azimuth], elevation, size)[0]


def render_mesh(
    mesh: Mesh, size: int = 512, azimuth: float = _AZIMUTH, elevation: float = _ELEVATION
) -> NDArray[np.uint8]:
    """The mesh with smooth shading; the rest as `render_points`."""
    return _render(_prepare(mesh), [azimuth], elevation, size)[0]


def preview_png(shape: PointCloud | Mesh, size: int = 512) -> bytes:
    """A still of a cloud or mesh as PNG with a transparent background."""
    picture = _render(_prepare(shape), [_AZIMUTH], _ELEVATION, size)[0]
    file = BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def turntable_gif(shape: PointCloud | Mesh, size: int = 320, frames: int = 24) -> bytes:
    """One turn about the vertical axis as an endless GIF, on a plain light background.

    GIF knows no half-transparent pixels, so a transparent background would have ragged edges.
    """
    angles = [_AZIMUTH + 360.0 * k / frames for k in range(frames)]
    pictures = _render(_prepare(shape), angles, _ELEVATION, size)
    flat = [Image.fromarray(_on_paper(picture)) for picture in pictures]
    # One palette for all frames, else the background flickers.
    strip = Image.fromarray(np.concatenate([np.asarray(p)[::2, ::2] for p in flat[::3]], axis=1))
    palette = strip.quantize(255, Image.Quantize.MEDIANCUT)
    indexed = [p.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for p in flat]
    file = BytesIO()
    indexed[0].save(
        file, "GIF", save_all=True, append_images=indexed[1:], duration=_FRAME_MS, loop=0
    )
    return file.getvalue()


def _prepare(shape: PointCloud | Mesh) -> _Prepared:
    if isinstance(shape, Mesh):
        positions = shape.vertices
        normals = vertex_normals(shape) if shape.normals is None else shape.normals
        surface = _shadow_points(shape)
        radii = np.empty(0, np.float32)
    else:
        positions = surface = shape.positions
        normals = known_normals(shape)
        radii = _disc_radii(shape)
    frame = measure(positions)
    light = np.broadcast_to(_CLAY, positions.shape)
    if shape.colors is not None:
        light = to_linear(shape.colors).astype(np.float32)
    ground = (surface.astype(np.float64) - frame.centre) * frame.scale
    return _Prepared(shape, normals, light, ground, radii)


def _shadow_points(mesh: Mesh) -> NDArray[np.float32]:
    try:
        return sample_surface(mesh, _SHADOW_SAMPLES, np.random.default_rng(0)).positions
    except GeometryError:  # no area
        return mesh.vertices


def _disc_radii(cloud: PointCloud) -> NDArray[np.float32]:
    """[N] in diameters of the object, wide enough to close the surface between the points."""
    distinct, copies = np.unique(cloud.positions, axis=0, return_inverse=True)
    frame = measure(distinct)
    points = (distinct.astype(np.float64) - frame.centre) * frame.scale
    if len(points) == 1:
        return np.full(len(cloud), _LARGEST_DISC, np.float32)
    distance, _ = nearest(points, min(7, len(points)))
    usual = float(np.clip(np.median(distance[:, -1]), 0.005, _LARGEST_DISC))
    radii = np.clip(0.85 * distance[:, -1], 0.6 * usual, 1.4 * usual).astype(np.float32)
    return radii[copies.reshape(-1)]


def _render(
    prepared: _Prepared, azimuths: Sequence[float], elevation: float, size: int
) -> list[NDArray[np.uint8]]:
    # Discs come with soft outlines; triangles need more than one sample per pixel.
    factor = _SUPERSAMPLE if isinstance(prepared.shape, Mesh) else 1
    margin = float(prepared.radii.max(initial=0.0))
    views = views_around(prepared.positions(), azimuths, elevation, size * factor, margin)
    pictures = []
    for view in views:
        layer = _draw(prepared, view)
        shadow = ground_shadow(view.resized(size), prepared.ground)
        pictures.append(finish(shade(layer), layer.coverage, shadow))
    return pictures


def _draw(prepared: _Prepared, view: View) -> Layer:
    placed = view.place(prepared.positions())
    normals = (prepared.normals @ view.rotation.T).astype(np.float32)
    if isinstance(prepared.shape, Mesh):
        return draw_triangles(view, placed, prepared.shape.faces, normals, prepared.light)
    # The far side of a thin part must not show through the near one.
    placed[:, 2] += np.minimum(normals[:, 2], 0) * prepared.radii
    return draw_discs(view, placed, _turned(normals), prepared.light, prepared.radii)


def _turned(normals: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit `normals` of view space, turned to the camera.

    Those just beyond the outline become the outline's own; the inside of an open cloud is seen
    from behind and flips over.
    """
    away = normals[:, 2] < 0
    rim = away & (normals[:, 2] > -0.5)
    turned = np.where((away & ~rim)[:, None], -normals, normals)
    turned[rim, 2] = 0
    turned[~turned.any(axis=1)] = (0, 0, 1)
    unit: NDArray[np.float32] = turned / np.linalg.norm(turned, axis=1, keepdims=True)
    return unit


def _on_paper(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    alpha = picture[..., 3:] / np.float32(255)
    return from_linear(to_linear(picture[..., :3]) * alpha + _PAPER * (1 - alpha))
