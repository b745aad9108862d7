"""Points drawn as discs, vectorised."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter

from geometry.layer import Floats, Layer
from geometry.view import View

_MOST_FRAGMENTS = 2_000_000  # at once: bounds the memory


def draw_discs(
    view: View, placed: NDArray[np.float64], normals: Floats, light: Floats, radii: Floats
) -> Layer:
    """Discs in the planes of `normals`, blended where they overlap, with a smoothed outline.

    Args:
        view: gives the picture's size.
        placed: [N, 3] centres in view space.
        normals: [N, 3] unit, in view space, each turned to the camera.
        light: [N, 3] linear colours.
        radii: [N] of view space, > 0.
    """
    size = view.size
    shown = np.flatnonzero(~_hidden(view, placed, float(radii.max())))
    placed, normals, light, radii = placed[shown], normals[shown], light[shown], radii[shown]
    pixels = view.project(placed).astype(np.float32)
    reach = float((radii * pixels[:, 2]).max()) * view.focal
    span = np.arange(-int(reach) - 1, int(reach) + 2, dtype=np.int32)
    stencil = np.stack(np.meshgrid(span, span), axis=-1).reshape(-1, 2)
    stencil = stencil[(stencil**2).sum(axis=1) <= (reach + 1) ** 2]
    pieces = -(-len(placed) * len(stencil) // _MOST_FRAGMENTS)
    top = np.full(size * size, -np.inf, np.float32)
    drawn = []
    for chunk in np.array_split(np.arange(len(placed)), pieces):
        fragments = _disc_fragments(view, placed, pixels, normals, radii, chunk, stencil)
        np.maximum.at(top, fragments[0], fragments[1])
        drawn.append(fragments)
    pixel, depth, weight, point = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    near = depth > top[pixel] - radii[point] * np.float32(0.8)
    pixel, weight, point = pixel[near], weight[near], point[near]
    values = np.concatenate([normals, light], axis=1)[point] * weight[:, None]
    total = np.bincount(pixel, weight, minlength=size * size)
    sums = [np.bincount(pixel, column, minlength=size * size) for column in values.T]
    mean = np.stack(sums, axis=1) / np.maximum(total, 1e-12)[:, None]
    square = (size, size)
    return _smoothed(
        Layer(
            depth=top.reshape(square),
            normal=mean[:, :3].reshape(*square, 3).astype(np.float32),
            light=mean[:, 3:].reshape(*square, 3).astype(np.float32),
            coverage=np.isfinite(top).astype(np.float32).reshape(square),
        ),
        0.45 * float(np.median(radii * pixels[:, 2])) * view.focal,
    )


def _disc_fragments(
    view: View,
    placed: NDArray[np.float64],
    pixels: Floats,
    normals: Floats,
    radii: Floats,
    chunk: NDArray[np.intp],
    stencil: NDArray[np.int32],
) -> tuple[NDArray[np.int32], Floats, Floats, NDArray[np.intp]]:
    """Pixel, depth, weight and point of each pixel centre inside the discs of a chunk."""
    corner = np.floor(pixels[chunk, :2]).astype(np.int32)
    shift = corner + np.float32(0.5) - pixels[chunk, :2]
    unit = 1 / (np.float32(view.focal) * pixels[chunk, 2] * radii[chunk])
    dx = (shift[:, :1] + stencil[:, 0].astype(np.float32)) * unit[:, None]
    dy = -(shift[:, 1:] + stencil[:, 1].astype(np.float32)) * unit[:, None]
    # Discs seen edge on keep some width, else thin parts fall into lines.
    slope = normals[chunk, :2] / np.maximum(normals[chunk, 2:], np.float32(0.35))
    dz = -(dx * slope[:, :1] + dy * slope[:, 1:])
    far = dx * dx + dy * dy + dz * dz
    column, row = corner[:, :1] + stencil[:, 0], corner[:, 1:] + stencil[:, 1]
    inside = (far < 1) & (column >= 0) & (column < view.size) & (row >= 0) & (row < view.size)
    point = chunk[np.nonzero(inside)[0]]
    depth = placed[point, 2].astype(np.float32) + dz[inside] * radii[point]
    weight = np.square(1 - far[inside])
    return (row * view.size + column)[inside], depth, weight, point


def _smoothed(layer: Layer, sigma: float) -> Layer:
    """The layer, changed in place: outline smoothed and small holes filled over `sigma` pixels."""
    covered = layer.coverage > 0
    around = gaussian_filter(layer.coverage, sigma, truncate=2.5)
    steep = 0.4 / max(sigma, 0.4)  # change of `around` over a pixel across a straight outline
    coverage = np.clip((around - 0.5) / steep + 0.5, 0, 1).astype(np.float32)
    gap = (coverage > 0) & ~covered
    nearest = distance_transform_edt(~covered, return_distances=False, return_indices=True)
    row, column = nearest[:, gap]
    for values in (layer.depth, layer.normal, layer.light):
        values[gap] = values[row, column]
    layer.depth[coverage == 0] = -np.inf
    return Layer(layer.depth, layer.normal, layer.light, coverage)


def _hidden(view: View, placed: NDArray[np.float64], radius: float) -> NDArray[np.bool_]:
    """[N]: surely behind others. A coarse depth buffer of cells as wide as the discs."""
    cell = 2 * np.ceil(radius * view.focal * float(view.project(placed)[:, 2].max())) / 2
    side = int(view.size / cell) + 3
    pixels = view.project(placed)
    column = np.clip((pixels[:, :2] / cell).astype(np.intp) + 1, 0, side - 1)
    index = column[:, 1] * side + column[:, 0]
    front = np.full(side * side, -np.inf)
    np.maximum.at(front, index, placed[:, 2])
    behind: NDArray[np.bool_] = placed[:, 2] < front[index] - 6 * radius
    return behind
