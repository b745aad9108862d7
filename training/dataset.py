"""Training samples rendered on the fly, and the pictures of the validation split."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, fields

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from training.backgrounds import composite, damage_alpha, damage_colors, random_background
from training.bodies.anatomy import Anatomy
from training.bodies.generate import random_body
from training.camera import (
    Camera,
    DegenerateMeshError,
    Window,
    crop_window,
    frame_window,
    random_camera,
)
from training.materials import recolour
from training.meshes import BODY_SOURCE, MeshPack, PackMesh, Split
from training.occlusion import Border, random_border, random_cover
from training.render import Layer, Scene, random_light, render_layers, render_picture
from training.surface import sample_outer_surface

N_POINTS = 1024
MAX_STRETCH = 0.15
ELEVATION = (-10.0, 60.0)
OCCLUDED_SHARE, CUT_SHARE = 0.15, 0.05  # of the pictures; the truth stays whole
GENERATED_SHARE = 0.5  # of the bodies
MIN_PIXELS = 40  # of the target grid: an object seen edge-on teaches nothing


@dataclass(frozen=True, slots=True)
class TrainingSample:
    """One picture and what is to be learnt from it, S and T the sides of picture and targets.

    `picture` [S, S, 4] uint8 sRGB: the foreground crop over a background, with its alpha.
    `mask` [T, T] bool, `front` and `back` [T, T, 3] float32: first and last surface along the
    ray of each pixel, in the truth frame (0 outside the mask); `front_color` and `back_color`
    [T, T, 3] uint8: unlit sRGB. `camera` [6] float32: elevation (rad), distance, window cx, cy
    and h, fov (rad). `points` [P, 3] float32, uniform by area on the outer surface, `normals`
    [P, 3] float32 (outward) and `colors` [P, 3] uint8 (unlit sRGB); they take a sixth of the time,
    and a loss that does not use them asks for P = 0.
    """

    picture: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    front: NDArray[np.float32]
    back: NDArray[np.float32]
    front_color: NDArray[np.uint8]
    back_color: NDArray[np.uint8]
    camera: NDArray[np.float32]
    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    colors: NDArray[np.uint8]


def make_sample(
    mesh: PackMesh,
    rng: np.random.Generator,
    size: int = 128,
    target_size: int = 64,
    n_points: int = N_POINTS,
    elevation: tuple[float, float] = ELEVATION,
) -> TrainingSample:
    """Render one random sample of `mesh`, seen from an elevation within bounds in degrees.

    Raises DegenerateMeshError if too little is visible.
    """
    camera, framed = random_camera(rng, _stretched(mesh.vertices, rng), elevation)
    border = random_border(framed, camera, rng) if rng.random() < CUT_SHARE else None
    window = _jittered_window(framed, camera, border, rng)
    scene = Scene(framed, mesh.faces)
    front, back = render_layers(scene, camera, window, target_size)
    mask = front.mask & back.mask
    if int(mask.sum()) < MIN_PIXELS:
        raise DegenerateMeshError("too little of the mesh is visible")
    colors = recolour(mesh, rng)
    light = random_light(rng, camera)
    surface = sample_outer_surface(scene, n_points, rng)
    picture = render_picture(scene, colors, camera, window, light, size)
    sample = TrainingSample(
        picture=_damaged(picture, None if border is None else border.beyond(window, size), rng),
        mask=mask,
        front=front.position * mask[..., None],
        back=back.position * mask[..., None],
        front_color=_albedo(front, colors, mask),
        back_color=_albedo(back, colors, mask),
        camera=np.array(
            [camera.elevation, camera.distance, window.cx, window.cy, window.h, camera.fov],
            np.float32,
        ),
        points=surface.points,
        normals=surface.normals(scene),
        colors=colors[surface.faces],
    )
    return mirrored(sample) if rng.random() < 0.5 else sample


def _stretched(vertices: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    if rng.random() < 0.5:
        return vertices
    return vertices * rng.uniform(1 - MAX_STRETCH, 1 + MAX_STRETCH, 3).astype(np.float32)


def _jittered_window(
    framed: NDArray[np.float32], camera: Camera, border: Border | None, rng: np.random.Generator
) -> Window:
    fill = rng.uniform(0.80, 0.95)
    crop = crop_window if border is None else border.crop_window
    window = crop(framed, camera, fill)
    dx, dy = rng.uniform(-1, 1, 2) * min(0.06, 0.8 * (1 - fill)) * window.h
    return Window(window.cx + dx, window.cy + dy, window.h)


def _albedo(layer: Layer, colors: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.where(mask[..., None], colors[layer.face], np.uint8(0))


def _damaged(
    rgba: NDArray[np.uint8], outside: NDArray[np.bool_] | None, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """A rendered picture [S, S, 4] as a photograph of something would give it; nothing is known of
    the pixels `outside` [S, S] of it."""
    size = rgba.shape[0]
    rgb = composite(rgba, random_background(rng, size), soft=rng.random() < 0.5)
    alpha = rgba[..., 3]
    if rng.random() < OCCLUDED_SHARE:
        cover = random_cover(alpha, rng)
        if cover is not None:
            rgb += (random_background(rng, size) - rgb) * cover[..., None]
            alpha = np.rint(alpha * (1 - cover)).astype(np.uint8)
    picture = np.dstack([damage_colors(rgb, rng), damage_alpha(alpha, rng)])
    if outside is not None:
        picture[outside] = 0
    return picture


def mirrored(sample: TrainingSample) -> TrainingSample:
    """The sample of the object's mirror image in x: picture and targets flipped left to right."""
    sign = np.array([-1, 1, 1], np.float32)
    camera = sample.camera.copy()
    camera[2] = -camera[2]
    return TrainingSample(
        picture=sample.picture[:, ::-1],
        mask=sample.mask[:, ::-1],
        front=sample.front[:, ::-1] * sign,
        back=sample.back[:, ::-1] * sign,
        front_color=sample.front_color[:, ::-1],
        back_color=sample.back_color[:, ::-1],
        camera=camera,
        points=sample.points * sign,
        normals=sample.normals * sign,
        colors=sample.colors,
    )


class TrainingStream(IterableDataset[dict[str, Tensor]]):
    """An endless stream of batches; each tensor is a field of TrainingSample with a leading B.

    With `anatomy`, GENERATED_SHARE of the bodies are made on the spot instead of the pack's own.

    Use it as `DataLoader(stream, batch_size=None, num_workers=k)`: every worker draws from a
    random stream of its own, fixed by `seed` and the worker's number.
    """

    def __init__(
        self,
        pack: MeshPack,
        indices: NDArray[np.int64],
        weights: NDArray[np.float64],
        seed: int,
        batch_size: int,
        size: int = 128,
        target_size: int = 64,
        n_points: int = N_POINTS,
        anatomy: Anatomy | None = None,
    ) -> None:
        self.pack = pack
        self.indices = indices
        self.cumulative = np.cumsum(weights) / np.sum(weights)
        self.seed = seed
        self.batch_size = batch_size
        self.size = size
        self.target_size = target_size
        self.n_points = n_points
        self.anatomy = anatomy

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        info = get_worker_info()
        if info is not None:
            cv2.setNumThreads(0)  # the workers are the parallelism
        rng = np.random.default_rng([self.seed, 0 if info is None else info.id])
        while True:
            yield collate([self._draw(rng) for _ in range(self.batch_size)])

    def _draw(self, rng: np.random.Generator) -> TrainingSample:
        while True:
            pick = min(int(np.searchsorted(self.cumulative, rng.random())), len(self.indices) - 1)
            mesh = self._mesh(int(self.indices[pick]), rng)
            try:
                return make_sample(mesh, rng, self.size, self.target_size, self.n_points)
            except DegenerateMeshError:
                continue

    def _mesh(self, number: int, rng: np.random.Generator) -> PackMesh:
        is_body = self.pack.sources[number] == BODY_SOURCE
        if self.anatomy is not None and is_body and rng.random() < GENERATED_SHARE:
            return random_body(rng, self.anatomy)
        return self.pack.mesh(number)


def collate(samples: list[TrainingSample]) -> dict[str, Tensor]:
    """Stack samples field by field: name -> [B, ...]."""
    return {
        field.name: torch.from_numpy(np.stack([getattr(s, field.name) for s in samples]))
        for field in fields(TrainingSample)
    }


@dataclass(frozen=True, slots=True)
class ValidationPicture:
    """One picture of the protocol and its truth, in the truth frame of its camera.

    `rgba` [S, S, 4] uint8 (track A: true alpha), `opaque` [S, S, 3] uint8 (track B), `points`
    and `normals` [N, 3] float32, `colors` [N, 3] uint8 sRGB: uniform by area on the outer
    surface. Normals have either sign.
    """

    object_index: int
    path: str
    category: str
    camera: Camera
    rgba: NDArray[np.uint8]
    opaque: NDArray[np.uint8]
    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    colors: NDArray[np.uint8]


def validation_pictures(
    pack: MeshPack,
    split: Split,
    pictures_per_object: int = 2,
    seed: int = 0,
    size: int = 512,
    n_points: int = 16_384,
) -> Iterator[ValidationPicture]:
    """The pictures of all validation objects, each fixed by `seed`, the object's path and its
    own number: neither the order nor the rest of the pack matters."""
    for k in split.val:
        mesh = pack.mesh(int(k))
        for number in range(pictures_per_object):
            rng = np.random.default_rng([seed, zlib.crc32(mesh.path.encode()), number])
            yield validation_picture(mesh, int(k), rng, size, n_points)


def validation_picture(
    mesh: PackMesh,
    index: int,
    rng: np.random.Generator,
    size: int,
    n_points: int,
    elevation: tuple[float, float] = (-10.0, 45.0),
) -> ValidationPicture:
    """One picture by the bounds of the protocol. Raises DegenerateMeshError."""
    camera, framed = random_camera(rng, mesh.vertices, elevation, fov=(25, 55))
    scene = Scene(framed, mesh.faces)
    colors = recolour(mesh, rng)
    light = random_light(rng, camera)
    rgba = render_picture(scene, colors, camera, frame_window(camera), light, size, supersample=3)
    opaque = composite(rgba, random_background(rng, size), soft=True)
    truth = sample_outer_surface(scene, n_points, rng, rays=(4, 12, 32))
    return ValidationPicture(
        object_index=index,
        path=mesh.path,
        category=mesh.category,
        camera=camera,
        rgba=rgba,
        opaque=np.rint(opaque).astype(np.uint8),
        points=truth.points,
        normals=scene.face_normals[truth.faces],
        colors=colors[truth.faces],
    )
