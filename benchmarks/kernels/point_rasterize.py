from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

from benchmarks.kernels.cases import Call, Case, by_backend, cloud
from geometry.balls import paint_balls
from geometry.neighbors import nearest
from geometry.view import DISTANCE, View, views_around
from kernels.point_rasterize import TABLE, gather_features, pixels_of_points, rasterize_points

_SHAPES = ((1, 2048), (1, 8192), (8, 4096))
_GPU_SHAPES = (*_SHAPES, (8, 8192), (64, 8192))
_SIDE, _RADIUS = 224, 0.0075  # of PC^2
_CHANNELS, _MAP_SIDE = 384, 14
_PREVIEW_POINTS, _PREVIEW_SIDE = (4096, 100_000), 512
_BYTES_S = 4.3e12  # of an H200


def cases(device: torch.device) -> Iterator[Case]:
    for B, N in _SHAPES if device.type == "cpu" else _GPU_SHAPES:
        points = cloud(device, B, N) * 0.9 + torch.tensor([0.0, 0.0, 3.0], device=device)
        yield _pixels(points)
        yield _features(points)
    for N in _PREVIEW_POINTS:
        yield _preview(device, N)


def _pixels(points: Tensor) -> Case:
    B, N, _ = points.shape
    slow = () if points.is_cuda and B == 1 else ("reference",)  # seconds
    return Case(
        name=f"pixels of points, B {B}, N {N:,}, {_SIDE} px",
        size=float(B * N),
        like=points,
        ours=by_backend(TABLE, points, partial(_seen, points), slow),
        others={},
        # Keys written and read, points and depths written; points read, pixels written.
        floor_us=B * (_SIDE**2 * 36 + N * 20) / _BYTES_S * 1e6,
    )


def _seen(points: Tensor) -> Tensor:
    return pixels_of_points(rasterize_points(points, _SIDE, _RADIUS), points.shape[1])


def _features(points: Tensor) -> Case:
    B, N, _ = points.shape
    pixel = _seen(points)
    tokens = torch.randn(B, _MAP_SIDE**2, _CHANNELS, generator=torch.Generator().manual_seed(0))
    feature_map = tokens.to(points.device).mT.view(B, _CHANNELS, _MAP_SIDE, _MAP_SIDE)
    call = partial(gather_features, feature_map, pixel, _SIDE)
    twice = () if points.is_cuda else ("scatter",)  # the painter gathers by the same code
    others: dict[str, Call] = {"grid_sample": partial(_grid_sample, feature_map, pixel)}
    if points.is_cuda:
        enlarged = torch.compile(_enlarged)
        others["enlarged map, torch.compile"] = partial(enlarged, feature_map, pixel)
    return Case(
        name=f"features, B {B}, N {N:,}, C {_CHANNELS}, {_MAP_SIDE} to {_SIDE} px",
        size=float(B * N),
        like=points,
        ours=by_backend(TABLE, points, call, twice),
        others={"enlarged map": partial(_enlarged, feature_map, pixel), **others},
        floor_us=B * N * (_CHANNELS * 4 + 8) / _BYTES_S * 1e6,
    )


def _enlarged(feature_map: Tensor, pixel: Tensor) -> Tensor:
    """As published: all of the map at the picture's size, then the pixels wanted."""
    large = interpolate(feature_map, size=(_SIDE, _SIDE), mode="bilinear", align_corners=False)
    at = pixel.clamp(min=0)[:, None].expand(-1, _CHANNELS, -1)
    return large.flatten(2).gather(2, at).mT * (pixel >= 0)[..., None]


def _grid_sample(feature_map: Tensor, pixel: Tensor) -> Tensor:
    centre = torch.stack([pixel % _SIDE, pixel // _SIDE], dim=-1) * 2 + 1
    grid = (centre / _SIDE - 1)[:, None]
    found = grid_sample(feature_map, grid, padding_mode="border", align_corners=False)
    return found[:, :, 0].mT * (pixel >= 0)[..., None]


def _preview(device: torch.device, N: int) -> Case:
    """The z-buffer alone against the painting of a preview's balls, shading included."""
    positions = cloud(torch.device("cpu"), N).numpy()
    [view] = views_around(positions, [30.0], 20.0, _PREVIEW_SIDE, margin=0.05)
    placed = view.place(positions)
    radius = 0.85 * float(np.median(nearest(placed, 7)[0][:, -1]))
    radii = np.full(N, radius, np.float32)
    pixels = view.project(placed).astype(np.float32)
    reach = radii * pixels[:, 2] * np.float32(view.focal)
    white, round_ = np.full((N, 3), 255, np.float32), np.ones(N, np.float32)
    points, sizes = (each.to(device) for each in _in_device_coordinates(view, placed, radii))
    paint = partial(paint_balls, pixels, reach, round_, white, _PREVIEW_SIDE)
    raster = partial(rasterize_points, points, _PREVIEW_SIDE, sizes)
    slow = ("reference", "scatter") if device.type == "cpu" else ("reference",)
    return Case(
        name=f"preview, N {N:,}, {_PREVIEW_SIDE} px",
        size=float(N),
        like=points,
        ours=by_backend(TABLE, points, raster, slow),
        others={"geometry.balls, shaded": paint},
        floor_us=(_PREVIEW_SIDE**2 * 28 + N * 16) / _BYTES_S * 1e6,
    )


def _in_device_coordinates(
    view: View, placed: NDArray[np.float64], radii: NDArray[np.float32]
) -> tuple[Tensor, Tensor]:
    """Points [1, N, 3] and radii [1, N] as the rasteriser wants them."""
    pixels = view.project(placed)
    depth = DISTANCE - placed[:, 2]
    across = (view.size - 2 * pixels[:, :2]) / view.size
    points = np.concatenate([across, depth[:, None]], axis=1).astype(np.float32)
    sizes = (radii * pixels[:, 2] * view.focal * 2 / view.size).astype(np.float32)
    return torch.from_numpy(points)[None], torch.from_numpy(sizes)[None]
