"""Pictures of clouds and meshes, drawn on the CPU."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from geometry.animation import gif_file, webp_file, webp_frame
from geometry.balls import paint_balls
from geometry.ground import shadow_in_view, shadow_maps
from geometry.lighting import developed, exposure, light_views, reflected
from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud
from geometry.scene import Scene, prepare
from geometry.triangles import paint_triangles
from geometry.view import View, views_around

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]
Made = TypeVar("Made")

_AZIMUTH, _ELEVATION = 30.0, 20.0  # degrees
_FRAME_MS = 80
_THREADS = 2
# Samples per pixel along each side, and faces that are worth drawing.
_STILL, _TURNTABLE = (2.0, 120_000), (1.5, 40_000)
_SHADOW = 0.9  # of the ground's light, at most
_GAMMA = 1.8  # of a white page under a transparent shadow; screens' 2.2 looks too faint
_PAPER = 238  # sRGB grey behind pictures that cannot be transparent
_INSIDE = 0.55  # brightness of balls that face away
_COATED = 0.5  # cosine to the camera up to which gaps between balls are closed
_COAT_DEPTH, _COAT_SHADE = 1.1, 0.82  # in radii of the coat; of the colour


def render_points(
    cloud: PointCloud, size: int = 512, azimuth: float = _AZIMUTH, elevation: float = _ELEVATION
) -> Picture:
    """The cloud as small shaded balls, [size, size, 4] sRGB with straight alpha.

    The object fills nine tenths of the picture and casts a soft shadow on a transparent ground.
    Azimuth 0 looks from +Z, 90 from +X; both angles are degrees. Missing normals are estimated.
    """
    return _pictures(cloud, [azimuth], elevation, size, lambda picture: picture)[0]


def render_mesh(
    mesh: Mesh, size: int = 512, azimuth: float = _AZIMUTH, elevation: float = _ELEVATION
) -> Picture:
    """The mesh with smooth shading; the rest as `render_points`."""
    return _pictures(mesh, [azimuth], elevation, size, lambda picture: picture)[0]


def preview_png(shape: PointCloud | Mesh, size: int = 512) -> bytes:
    """A still of a cloud or mesh as PNG with a transparent background."""
    picture = _pictures(shape, [_AZIMUTH], _ELEVATION, size, lambda picture: picture)[0]
    file = BytesIO()
    Image.fromarray(picture).save(file, "PNG", compress_level=4)
    return file.getvalue()


def turntable_gif(shape: PointCloud | Mesh, size: int = 320, frames: int = 20) -> bytes:
    """One turn about the vertical axis as an endless GIF, on a plain light background.

    GIF knows no half-transparent pixels, so a transparent background would have ragged edges.
    """
    return gif_file(_turn(shape, size, frames, _on_paper), _FRAME_MS)


def turntable_webp(shape: PointCloud | Mesh, size: int = 320, frames: int = 20) -> bytes:
    """One turn about the vertical axis as an endless WebP with a transparent background."""
    return webp_file(_turn(shape, size, frames, webp_frame), size, _FRAME_MS)


def _turn(
    shape: PointCloud | Mesh, size: int, frames: int, use: Callable[[Picture], Made]
) -> list[Made]:
    angles = [_AZIMUTH + 360.0 * k / frames for k in range(frames)]
    return _pictures(shape, angles, _ELEVATION, size, use)


def _pictures(
    shape: PointCloud | Mesh,
    azimuths: Sequence[float],
    elevation: float,
    size: int,
    use: Callable[[Picture], Made],
) -> list[Made]:
    """What `use` makes of each picture."""
    fineness, most_faces = _STILL if len(azimuths) == 1 else _TURNTABLE
    with ThreadPoolExecutor(_THREADS) as pool:  # NumPy and OpenCV release the GIL
        scene = prepare(shape, most_faces, pool)
        margin = float(scene.radii.max(initial=0.0))
        views = views_around(scene.positions, azimuths, elevation, size, margin)
        lights = light_views(
            scene.transfer,
            [view.rotation for view in views],
            lambda values: scene.neighbors @ (scene.neighbors @ values),
        )
        shadows = shadow_maps(scene.ground, lights.ground_shares)
        gain = np.float32(exposure(scene.albedo))

        def draw(number: int) -> Made:
            view = views[number]
            light = reflected(lights, number, scene.albedo, scene.normals, view.rotation)
            large = view.resized(round(size * fineness))
            painted = _painted(scene, large, developed(light * gain))
            # Colours are multiplied with coverage from here on: empty pixels are black.
            painted = np.asarray(cv2.resize(painted, (size, size), interpolation=cv2.INTER_AREA))
            return use(_over(painted, shadow_in_view(shadows[number], scene.ground.floor, view)))

        return list(pool.map(draw, range(len(views))))


def _painted(scene: Scene, view: View, colors: Floats) -> Picture:
    pixels = view.project(view.place(scene.positions)).astype(np.float32)
    if len(scene.radii):
        return _painted_balls(scene, view, pixels, colors)
    return paint_triangles(pixels, _seen_faces(scene, pixels), colors, view.size)


def _seen_faces(scene: Scene, pixels: Floats) -> NDArray[np.int32]:
    if not scene.closed:
        return scene.faces
    x, y = pixels[:, 0][scene.faces.T], pixels[:, 1][scene.faces.T]
    area = (x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0])
    seen: NDArray[np.int32] = scene.faces[area < 0]
    return seen


def _painted_balls(scene: Scene, view: View, pixels: Floats, colors: Floats) -> Picture:
    """Balls, and behind those that face the camera a wider flat coat, which closes gaps."""
    scale = (pixels[:, 2] * np.float32(view.focal)).astype(np.float32)
    facing = scene.normals @ view.rotation[2].astype(np.float32)
    # What faces away is seen from inside, through gaps.
    colors = colors * np.clip(1 + facing, np.float32(_INSIDE), 1)[:, None]
    coat = np.flatnonzero((facing > _COATED) & (scene.gaps > 0))
    sunk = scene.positions[coat] - scene.normals[coat] * (_COAT_DEPTH * scene.gaps[coat, None])
    sunk_pixels = view.project(view.place(sunk)).astype(np.float32)
    flat = np.zeros(len(coat), np.float32)
    return paint_balls(
        np.concatenate([sunk_pixels, pixels]),
        np.concatenate([(scene.gaps * scale)[coat], scene.radii * scale]),
        np.concatenate([flat, np.ones(len(pixels), np.float32)]),
        np.concatenate([_COAT_SHADE * colors[coat], colors]),
        view.size,
    )


def _over(painted: Picture, shadow: Floats) -> Picture:
    """`painted` [size, size, 4], colours times coverage, over a black [size, size] shadow."""
    covered = painted[..., 3] * np.float32(1 / 255)
    dark = 1 - (1 - np.float32(_SHADOW) * shadow) ** np.float32(1 / _GAMMA)
    alpha = covered + (1 - covered) * dark
    picture = np.empty_like(painted)
    spread = 1 / np.maximum(alpha, np.float32(1 / 512))
    for channel in range(3):
        picture[..., channel] = np.minimum(painted[..., channel] * spread + np.float32(0.5), 255)
    picture[..., 3] = alpha * np.float32(255) + np.float32(0.5)
    return picture


def _on_paper(picture: Picture) -> Picture:
    alpha = picture[..., 3:] * np.float32(1 / 255)
    flat: Picture = (picture[..., :3] * alpha + (_PAPER + 0.5 - _PAPER * alpha)).astype(np.uint8)
    return flat
