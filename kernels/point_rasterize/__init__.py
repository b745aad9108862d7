"""Which point of a cloud each pixel sees, and the features of those pixels for the points seen."""

from typing import NamedTuple

import torch
from torch import Tensor

from kernels.checks import (
    check_alike,
    check_devices,
    check_dtype,
    check_finite,
    check_index,
    check_lengths,
    check_range,
    check_shapes,
    values_are_trusted,
)
from kernels.dispatch import ANYWHERE, CPU, CUDA, Choice, Table
from kernels.point_rasterize import painter, reference, scatter
from kernels.point_rasterize.taps import FeaturesAt, Mode
from kernels.ragged import without_padding

TABLE = Table(
    op="point_rasterize",
    size="points, B * N",
    backends={"reference": ANYWHERE, "scatter": ANYWHERE, "painter": CPU, "triton": CUDA},
    choices=(
        Choice("painter", "cpu", measured="kernels-cpu"),
        Choice("triton", "cuda"),
        Choice("scatter", "cuda"),
    ),
    # Points are single or double precision; the others are those of features.
    dtypes={"triton": (torch.float32, torch.float16, torch.bfloat16)},
)
_LONGEST_SIDE = 1 << 15
_LARGEST_RADIUS = 1e30


class Fragments(NamedTuple):
    """What each pixel of a picture sees.

    Attributes:
        point: [B, H, W] int64, its number, -1 where there is none.
        z: [B, H, W] its depth, of the points' type; infinite where there is none.
    """

    point: Tensor
    z: Tensor


def rasterize_points(
    points: Tensor,
    image_size: int | tuple[int, int],
    radius: float | Tensor,
    lengths: Tensor | None = None,
) -> Fragments:
    """Draw points as discs that face the camera and keep the nearest one of each pixel.

    Args:
        points: [B, N, 3] float32 or float64, finite, in PyTorch3D's normalised device coordinates:
            +x left, +y up, z the depth; the shorter side of the picture spans -1 to 1.
        image_size: (H, W) or the side of a square, up to 32,768 pixels.
        radius: of the discs, in the unit of x and y, 0 to 1e30; or [B, N], one of each point.
        lengths: [B] int64, 1 to N, valid points of each cloud; the rest is padding, never read.

    Returns:
        `Fragments`: of the points with z >= 0 whose centre is nearer than `radius` to the centre of
        the pixel, strictly, the one with the least z; of equal ones the lower index. Row 0 is the
        top. A disc that holds no pixel's centre is not seen.

    Raises:
        ShapeError: a shape above does not hold.
        ValueError: types or devices differ, a size, radius or length is out of range, a value is
            not finite.

    Not differentiable. Deterministic, and the same bits on every backend: distances are taken in
    half pixels, where centres of pixels are whole numbers. Costs as much as the discs have pixels;
    on CUDA only `scatter` waits for the largest radius. Source: PyTorch3D's rasteriser with one
    point a pixel, as PC^2 (CVPR 2023) conditions on a picture by it.
    """
    sizes = check_shapes(points=(points, "B N 3"))
    B, N = sizes["B"], sizes["N"]
    H, W = _sides(image_size)
    check_dtype("points", points, [torch.float32, torch.float64])
    check_lengths("lengths", lengths, B, N, points)
    points = points.detach()
    if isinstance(radius, Tensor):
        check_shapes(points=(points, "B N 3"), radius=(radius, "B N"))
        check_alike(points=points, radius=radius)
        radius = radius.detach()
    else:
        check_range("radius", radius, 0.0, _LARGEST_RADIUS)
        radius = float(radius)
    points = without_padding(points, lengths, fill=-1.0)  # behind the camera
    if isinstance(radius, Tensor):
        radius = without_padding(radius[..., None], lengths)[..., 0]
    check_finite(points=points)
    if isinstance(radius, Tensor):
        check_finite(radius=radius)
        _check_not_negative(radius)
    match TABLE.pick(points, B * N):
        case "triton":
            from kernels.point_rasterize import kernel

            return Fragments(*kernel.rasterize_points(points, radius, H, W))
        case "painter":
            return Fragments(*painter.rasterize_points(points, radius, H, W))
        case "scatter":
            return Fragments(*scatter.rasterize_points(points, radius, H, W))
        case _:
            return Fragments(*reference.rasterize_points(points, radius, H, W))


def pixels_of_points(fragments: Fragments, N: int) -> Tensor:
    """Of each point a pixel that sees it.

    Args:
        fragments: of clouds of N points.
        N: points of a cloud, padding included, at least 1.

    Returns:
        [B, N] int64, row * W + column, -1 for points that no pixel sees. Of several pixels the
        largest number: the last one, where the published code keeps whichever is written last.

    Raises:
        ShapeError, ValueError: the fragments are not those of such clouds.
    """
    point, z = fragments
    sizes = check_shapes(point=(point, "B H W"), z=(z, "B H W"))
    check_dtype("point", point, [torch.int64])
    check_devices(point=point, z=z)
    check_range("N", N, 1, torch.iinfo(torch.int32).max)
    check_index("point", point, -1, N - 1)
    flat = point.flatten(1)
    match TABLE.pick(z, sizes["B"] * N):
        case "triton":
            from kernels.point_rasterize import kernel

            return kernel.pixels_of_points(flat, N)
        case "painter":
            return painter.pixels_of_points(flat, N)
        case "scatter":
            return scatter.pixels_of_points(flat, N)
        case _:
            return reference.pixels_of_points(flat, N)


def gather_features(
    feature_map: Tensor,
    pixel: Tensor,
    image_size: int | tuple[int, int],
    mode: Mode = "bilinear",
) -> Tensor:
    """Features of the pixels that points are seen at, read from a map of another size.

    Args:
        feature_map: [B, C, h, w] floating, finite, over the same view as the picture; h and w up to
            32,768. Fastest where channels lie side by side, as in tokens [B, h * w, C] viewed as a
            map.
        pixel: [B, N] int64, row * W + column, -1 for points without one.
        image_size: (H, W) or the side of a square: of the picture that `pixel` counts.
        mode: how the map would be enlarged to H x W: "bilinear" as by `interpolate` without
            aligned corners, or "nearest", where cell (row * h // H, column * w // W) counts. Both
            read the pixel itself where the map is as large as the picture.

    Returns:
        [B, N, C] of the map's type: the enlarged map at each pixel, without enlarging it; 0 for
        points without a pixel.

    Raises:
        ShapeError: a shape above does not hold.
        ValueError: types or devices differ, a pixel is out of the picture, a value is not finite.

    Differentiable to the map, deterministically. Sums are of float32 or better. Source: PC^2.
    """
    sizes = check_shapes(feature_map=(feature_map, "B C h w"), pixel=(pixel, "B N"))
    H, W = _sides(image_size)
    for side in ("h", "w"):
        check_range(f"feature_map: {side}", sizes[side], 1, _LONGEST_SIDE)
    floating = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
    check_dtype("feature_map", feature_map, floating)
    check_dtype("pixel", pixel, [torch.int64])
    check_devices(feature_map=feature_map, pixel=pixel)
    if mode not in ("bilinear", "nearest"):
        raise ValueError(f"mode: 'bilinear' or 'nearest' expected, got {mode!r}")
    check_index("pixel", pixel, -1, H * W - 1)
    check_finite(feature_map=feature_map)
    match TABLE.pick(feature_map, pixel.numel()):
        case "triton":
            from kernels.point_rasterize import kernel

            gather = kernel.gather_features
        case "reference":
            gather = reference.gather_features
        case _:
            gather = scatter.gather_features
    found: Tensor = FeaturesAt.apply(feature_map, pixel, (H, W), mode, gather)  # type: ignore[no-untyped-call]
    return found


def _sides(image_size: int | tuple[int, int]) -> tuple[int, int]:
    H, W = (image_size, image_size) if isinstance(image_size, int) else image_size
    for name, side in (("H", H), ("W", W)):
        check_range(f"image_size: {name}", side, 1, _LONGEST_SIDE)
    return H, W


def _check_not_negative(radius: Tensor) -> None:
    if values_are_trusted() or radius.numel() == 0:
        return
    if (least := float(radius.min())) < 0:
        raise ValueError(f"radius: values of at least 0 expected, got {least}")
