"""Ray casting of one mesh: layers of positions and normals, and shaded pictures."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from training.camera import Camera, Window, pixel_grid, ray_directions

Side = Literal["front", "back"]

# Neighbours are compared by one number, in which colours of equal sum still differ.
_EDGE_KEY = np.array([0.7, 1.0, 0.4, 1.0], np.float32)
_EDGE_STEP = 0.05  # of linear light between neighbours: below it, one ray per pixel is enough


@dataclass(frozen=True, slots=True)
class Layer:
    """What rays [...] hit first (front) or last (back). Where `mask` is False, `face` is -1 and
    the rest is 0. Positions and normals are in the truth frame; `depth` is along the optical
    axis; normals look at the viewer in front and away from the viewer at the back."""

    mask: NDArray[np.bool_]
    position: NDArray[np.float32]
    normal: NDArray[np.float32]
    face: NDArray[np.int32]
    depth: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Light:
    """A key light from `direction` [3] (unit, towards the light), a sky and a uniform ambient;
    strengths are in linear light, `tint` [3] colours the key light."""

    direction: NDArray[np.float32]
    key: float
    ambient: float
    sky: float
    specular: float
    shininess: float
    tint: NDArray[np.float32]


class Scene:
    """A mesh ready for ray casting: vertices [V, 3] in the truth frame, faces [F, 3]."""

    def __init__(self, vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> None:
        self.vertices = np.ascontiguousarray(vertices, np.float32)
        self.faces = np.ascontiguousarray(faces, np.int32)
        corners = self.vertices[self.faces]  # [F, 3, 3]
        a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        cross = np.cross(a, b)
        length = np.sqrt(np.einsum("ij,ij->i", cross, cross))
        self.face_areas = length / 2
        self.face_normals = cross / np.maximum(length, np.float32(1e-20))[:, None]
        self._embree = EmbreeScene()
        TriangleMesh(self._embree, self.vertices, self.faces)

    def cast(
        self, origins: NDArray[np.float32], directions: NDArray[np.float32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """First hit of each ray [N, 3]: its face [N] (-1: none) and its distance [N] in units of
        the direction's length."""
        hits = self._embree.run(origins, np.ascontiguousarray(directions, np.float32), output=1)
        return hits["primID"], hits["tfar"]

    def occluded(
        self, origins: NDArray[np.float32], directions: NDArray[np.float32]
    ) -> NDArray[np.bool_]:
        """Whether each ray [N, 3] meets anything: [N]."""
        blocked: NDArray[np.bool_] = (
            self._embree.run(origins, np.ascontiguousarray(directions), query="OCCLUDED") >= 0
        )
        return blocked


def trace(
    scene: Scene,
    camera: Camera,
    window: Window,
    uv: NDArray[np.float32],
    side: Side = "front",
) -> tuple[NDArray[np.intp], Layer]:
    """Cast one ray for each pixel of `uv` [N, 2].

    Returns the numbers [M] of the rays that hit, and their layer with arrays [M, ...].
    """
    directions = ray_directions(camera, window, uv)
    eye = camera.position
    if side == "front":
        face, distance = scene.cast(np.broadcast_to(eye, directions.shape).copy(), directions)
    else:
        far = np.float32(camera.distance + 1)
        face, distance = scene.cast(eye + directions * far, -directions)
        distance = far - distance
    hit = np.flatnonzero(face >= 0)
    face, depth, directions = face[hit], distance[hit], directions[hit]
    position = directions * depth[:, None]
    position += eye
    normal = _facing(scene.face_normals[face], directions, side)
    return hit, Layer(np.ones(len(hit), np.bool_), position, normal, face, depth)


def _facing(
    normals: NDArray[np.float32], directions: NDArray[np.float32], side: Side
) -> NDArray[np.float32]:
    along = np.einsum("ij,ij->i", normals, directions)
    sign = np.where((along > 0) == (side == "front"), np.float32(-1), np.float32(1))
    return normals * sign[:, None]


def _covered_pixels(scene: Scene, camera: Camera, window: Window, size: int) -> NDArray[np.intp]:
    """Flat numbers of the pixels within the object's projected box: no other ray can hit."""
    projected = camera.project(scene.vertices)
    center = np.array([window.cx, window.cy], np.float32)
    low = (projected.min(axis=0) - center) / np.float32(window.h)
    high = (projected.max(axis=0) - center) / np.float32(window.h)
    left, right = _pixel_range(low[0], high[0], size)
    top, bottom = _pixel_range(-high[1], -low[1], size)
    return (np.arange(top, bottom)[:, None] * size + np.arange(left, right)).reshape(-1)


def _pixel_range(low: float, high: float, size: int) -> tuple[int, int]:
    first = int(np.floor((low + 1) / 2 * size))
    last = int(np.ceil((high + 1) / 2 * size))
    return min(max(first, 0), size), min(max(last, 0), size)


def render_layers(scene: Scene, camera: Camera, window: Window, size: int) -> tuple[Layer, Layer]:
    """The front and the back layer at the pixel centres of a [size, size] picture."""
    uv = pixel_grid(size).reshape(-1, 2)
    pixels = _covered_pixels(scene, camera, window, size)
    hit, front = trace(scene, camera, window, uv[pixels])
    pixels = pixels[hit]
    hit, back = trace(scene, camera, window, uv[pixels], "back")
    return _scattered(front, pixels, size), _scattered(back, pixels[hit], size)


def _scattered(layer: Layer, pixels: NDArray[np.intp], size: int) -> Layer:
    """A layer of some pixels laid out as a picture."""
    mask = np.zeros(size * size, np.bool_)
    position = np.zeros((size * size, 3), np.float32)
    normal = np.zeros((size * size, 3), np.float32)
    face = np.full(size * size, -1, np.int32)
    depth = np.zeros(size * size, np.float32)
    mask[pixels] = True
    position[pixels], normal[pixels] = layer.position, layer.normal
    face[pixels], depth[pixels] = layer.face, layer.depth
    square = (size, size)
    return Layer(
        mask.reshape(square),
        position.reshape(*square, 3),
        normal.reshape(*square, 3),
        face.reshape(square),
        depth.reshape(square),
    )


def random_light(rng: np.random.Generator, camera: Camera) -> Light:
    """A key light biased to the camera's upper hemisphere, of random strength and tint."""
    right, up, back = camera.axes
    aim = rng.normal(0, 0.8) * right + abs(rng.normal(0.3, 0.6)) * up + rng.uniform(0.2, 1) * back
    direction = (aim / np.linalg.norm(aim)).astype(np.float32)
    ambient = rng.uniform(0.15, 0.6)
    return Light(
        direction=direction,
        key=rng.uniform(0.4, 1.1),
        ambient=ambient,
        sky=rng.uniform(0.0, 0.4),
        specular=rng.uniform(0.05, 0.5) if rng.random() < 0.3 else 0.0,
        shininess=rng.uniform(5, 40),
        tint=rng.uniform(0.88, 1.0, 3).astype(np.float32),
    )


def shade(
    layer: Layer, albedo: NDArray[np.float32], light: Light, camera: Camera
) -> NDArray[np.float32]:
    """Linear colours [..., 3] of a layer whose surface has the linear `albedo` [..., 3]."""
    normal = layer.normal
    lambert = np.maximum(normal @ light.direction, np.float32(0)) * np.float32(light.key)
    soft = np.float32(light.ambient) + np.float32(light.sky / 2) * (1 + normal[..., 1])
    radiance = albedo * (soft[..., None] + lambert[..., None] * light.tint)
    if light.specular > 0:
        view = camera.position - layer.position
        view /= np.linalg.norm(view, axis=-1, keepdims=True)
        half = view + light.direction
        half /= np.maximum(np.linalg.norm(half, axis=-1, keepdims=True), np.float32(1e-6))
        cosine = np.maximum(np.einsum("...i,...i->...", normal, half), np.float32(0))
        gloss = np.float32(light.specular) * cosine ** np.float32(light.shininess)
        radiance += gloss[..., None] * light.tint
    lit: NDArray[np.float32] = np.clip(radiance, 0, 1) * layer.mask[..., None]
    return lit


def render_picture(
    scene: Scene,
    face_colors: NDArray[np.uint8],
    camera: Camera,
    window: Window,
    light: Light,
    size: int,
    supersample: int = 2,
) -> NDArray[np.uint8]:
    """A shaded picture, RGBA [size, size, 4] uint8, sRGB, straight alpha.

    Only pixels on an edge of shape, shading or colour get `supersample`^2 rays each.
    """
    grid = pixel_grid(size).reshape(-1, 2)
    linear = srgb_to_linear(face_colors)
    pixels = _covered_pixels(scene, camera, window, size)
    rgba = np.zeros((size * size, 4), np.float32)
    rgba[pixels] = _radiance(scene, linear, camera, window, light, grid[pixels])
    if supersample > 1:
        edges = _edge_pixels(rgba, size)
        fine = pixel_grid(supersample).reshape(1, -1, 2) / np.float32(size)
        rays = (grid[edges, None] + fine).reshape(-1, 2)
        samples = _radiance(scene, linear, camera, window, light, rays)
        samples = samples.reshape(len(edges), supersample**2, 4)
        total = samples[:, 0].copy()
        for k in range(1, samples.shape[1]):  # several times faster than mean(axis=1)
            total += samples[:, k]
        rgba[edges] = total / np.float32(samples.shape[1])
    picture = np.zeros((size * size, 4), np.uint8)
    painted = np.flatnonzero(rgba[:, 3])
    alpha = rgba[painted, 3:]
    picture[painted, :3] = linear_to_srgb(np.divide(rgba[painted, :3], alpha))
    picture[painted, 3:] = np.rint(alpha * np.float32(255))
    return picture.reshape(size, size, 4)


def _radiance(
    scene: Scene,
    linear: NDArray[np.float32],
    camera: Camera,
    window: Window,
    light: Light,
    uv: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Premultiplied linear RGBA [N, 4] of one ray per row of `uv`."""
    hit, layer = trace(scene, camera, window, uv)
    seen = np.ones((len(hit), 4), np.float32)
    seen[:, :3] = shade(layer, linear[layer.face], light, camera)
    rgba = np.zeros((len(uv), 4), np.float32)
    rgba[hit] = seen
    return rgba


def _edge_pixels(rgba: NDArray[np.float32], size: int) -> NDArray[np.intp]:
    """Flat numbers of the pixels that differ from one of their four neighbours."""
    key = (rgba @ _EDGE_KEY).reshape(size, size)
    edges = np.zeros((size, size), np.bool_)
    rows = np.abs(key[1:] - key[:-1]) > _EDGE_STEP
    columns = np.abs(key[:, 1:] - key[:, :-1]) > _EDGE_STEP
    edges[1:] |= rows
    edges[:-1] |= rows
    edges[:, 1:] |= columns
    edges[:, :-1] |= columns
    return np.flatnonzero(edges)


@lru_cache(maxsize=1)
def _decode_table() -> NDArray[np.float32]:
    value = np.arange(256) / 255
    curve = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return curve.astype(np.float32)


@lru_cache(maxsize=1)
def _encode_table() -> NDArray[np.uint8]:
    value = np.arange(4096) / 4095
    curve = np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1 / 2.4) - 0.055)
    steps: NDArray[np.float64] = np.rint(curve * 255)
    return steps.astype(np.uint8)


def srgb_to_linear(colors: NDArray[np.uint8]) -> NDArray[np.float32]:
    """sRGB bytes [...] to linear light [...] in 0..1."""
    return _decode_table()[colors]


def linear_to_srgb(linear: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Linear light [...], clipped to 0..1, to sRGB bytes [...]."""
    steps = np.clip(linear, 0, 1) * np.float32(4095) + np.float32(0.5)
    encoded: NDArray[np.uint8] = _encode_table()[steps.astype(np.intp)]
    return encoded
