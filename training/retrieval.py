"""Retrieval by picture: of all training objects, seen from 8 sides, the one that looks most alike.

The baseline that any model of a picture has to beat. Pictures are compared by their outline, their
histograms of oriented gradients and their colours, all on the foreground crop.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab
from skimage.feature import hog
from tqdm import tqdm

from geometry.point_cloud import PointCloud
from models.foreground import crop_foreground
from training.cache import content_key
from training.camera import Camera, DegenerateMeshError, crop_window, frame_vertices
from training.meshes import MeshPack, PackMesh
from training.render import Light, Scene, render_picture
from training.surface import sample_outer_surface, sample_surface

VIEWS = 8
_SIZE = 48
_FILL = 0.9  # of the crop, as in the networks' input
_ELEVATION, _FOV, _DISTANCE = np.radians(17.5), np.radians(40.0), 2.0  # middle of the protocol's
_OUTLINE, _COLORS = 16, 4  # cells along a side
_HOG = {"orientations": 9, "pixels_per_cell": (8, 8), "cells_per_block": (2, 2)}
_HOG_LENGTH = (_SIZE // 8 - 1) ** 2 * 4 * 9
_LENGTHS = (_OUTLINE**2, _HOG_LENGTH, 3 * _COLORS**2)
_WEIGHTS = (1.0, 1.0, 1.0)  # of outline, gradients, colours
_SCALE = np.repeat(np.sqrt(np.array(_WEIGHTS, np.float32)), _LENGTHS)
_UNSEEN = 10.0  # the features of a view that shows nothing: far from those of all pictures
_MADE_BY = (VIEWS, _SIZE, _FILL, _ELEVATION, _FOV, _DISTANCE, _OUTLINE, _COLORS, _HOG)


def features(crop: NDArray[np.float32]) -> NDArray[np.float32]:
    """Outline, gradients and colours of a crop [4, 48, 48] in 0..1 with straight alpha: [D].

    The squared distance of two pictures' outlines is the mean over cells; each block of gradients
    has length 1 and counts for its share of the picture; colours are Lab in hundredths.
    """
    color, alpha = crop[:3].transpose(1, 2, 0), crop[3]
    outline = _cells(alpha[..., None], _OUTLINE).reshape(-1) / _OUTLINE
    # From 0.5 upwards, so that a black object has an outline too.
    shown = alpha * (0.5 + 0.5 * color.mean(axis=-1))
    gradients = hog(shown, **_HOG) / (_SIZE // 8 - 1)
    weighted = _cells(rgb2lab(color) * alpha[..., None] / 100, _COLORS).reshape(-1) / _COLORS
    return np.concatenate([outline, gradients, weighted]).astype(np.float32)


def _cells(image: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Means [count, count, C] over equal cells of an image [S, S, C]."""
    side = image.shape[0] // count
    means: NDArray[np.float32] = image.reshape(count, side, count, side, -1).mean(axis=(1, 3))
    return means


def view_features(mesh: PackMesh) -> NDArray[np.float32]:
    """The features [VIEWS, D] of one object from azimuth 0, 45, ... degrees."""
    found = np.full((VIEWS, sum(_LENGTHS)), _UNSEEN, np.float32)
    for view in range(VIEWS):
        try:
            framed = frame_vertices(mesh.vertices, view_azimuth(view))
            camera = Camera(0.0, _ELEVATION, _DISTANCE, _FOV)
            window = crop_window(framed, camera, _FILL)
        except DegenerateMeshError:
            continue
        scene = Scene(framed, mesh.faces)
        rgba = render_picture(scene, mesh.face_colors, camera, window, _light(camera), _SIZE)
        if rgba[..., 3].any():
            found[view] = features(rgba.transpose(2, 0, 1).astype(np.float32) / np.float32(255))
    return found


def view_azimuth(view: int) -> float:
    """Radians."""
    return 2 * np.pi * view / VIEWS


def _light(camera: Camera) -> Light:
    right, up, back = camera.axes
    aim = -0.5 * right + 0.7 * up + 0.7 * back
    return Light(
        direction=(aim / np.linalg.norm(aim)).astype(np.float32),
        key=0.75,
        ambient=0.35,
        sky=0.2,
        specular=0.0,
        shininess=1.0,
        tint=np.ones(3, np.float32),
    )


@dataclass(frozen=True)
class ViewIndex:
    """`table` [K * VIEWS, D] float16, mapped from disk where it is cached: the features of
    objects `indices` [K] of `pack`."""

    pack: MeshPack
    indices: NDArray[np.int64]
    table: NDArray[np.float16]

    @classmethod
    def build(
        cls, pack: MeshPack, indices: NDArray[np.int64], cache_dir: Path | None = None
    ) -> "ViewIndex":
        """Render all views, or take them from the cache, whose name depends on all they were made
        from. 8,360 objects take minutes."""
        if cache_dir is None:
            return cls(pack, indices, _table(pack, indices))
        cached = cache_dir / f"views-{content_key(pack, indices, *_MADE_BY)}.npy"
        if not cached.exists():
            cache_dir.mkdir(parents=True, exist_ok=True)
            partial = cached.with_suffix(f".{os.getpid()}.partial.npy")
            np.save(partial, _table(pack, tqdm(indices, desc="views", mininterval=5)))
            partial.replace(cached)
        return cls(pack, indices, np.load(cached, mmap_mode="r"))

    @cached_property
    def _weighted(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The table with its weights in it, and the squared length of each row."""
        scaled = self.table.astype(np.float32)
        scaled *= _SCALE
        return scaled, np.einsum("ij,ij->i", scaled, scaled)

    def ranked(self, picture: NDArray[np.float32]) -> list[tuple[int, int]]:
        """All objects, most alike first, each with its best view: (row of `indices`, view).

        `picture` are its features [D].
        """
        scaled, squared = self._weighted
        gaps = (squared - 2 * (scaled @ (picture * _SCALE))).reshape(-1, VIEWS)
        views = gaps.argmin(axis=1)
        order = np.argsort(gaps.min(axis=1), kind="stable")
        return [(int(row), int(views[row])) for row in order]

    def retrieve(
        self, rgba: NDArray[np.uint8], alpha: NDArray[np.uint8], num_points: int
    ) -> PointCloud:
        """The cloud of the object that looks most like a picture [H, W, 4] with foreground
        `alpha` [H, W], in the frame of the view that does. Raises NoForegroundError."""
        row, view = self.ranked(features(crop_foreground(rgba, alpha, _SIZE, _FILL)))[0]
        mesh = self.pack.mesh(int(self.indices[row]))
        return object_cloud(mesh, view_azimuth(view), num_points)


def object_cloud(mesh: PackMesh, azimuth: float, num_points: int) -> PointCloud:
    """`num_points` points of a mesh's outer surface in the truth frame of a camera at `azimuth`,
    with colours and normals; always the same ones. Raises DegenerateMeshError."""
    rng = np.random.default_rng(0)
    scene = Scene(frame_vertices(mesh.vertices, azimuth), mesh.faces)
    try:
        surface = sample_outer_surface(scene, num_points, rng)
        normals = surface.normals(scene)
    except DegenerateMeshError:
        surface = sample_surface(scene, num_points, rng)
        normals = scene.face_normals[surface.faces]
    return PointCloud(surface.points, mesh.face_colors[surface.faces], normals)


def _table(pack: MeshPack, indices: Iterable[int]) -> NDArray[np.float16]:
    rows = [view_features(pack.mesh(int(k))).astype(np.float16) for k in indices]
    return np.concatenate(rows)
