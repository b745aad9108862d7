"""From a sampled cloud to one that is served: strays, candidates, the picture's own colours."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn import functional as F

FloatArray = NDArray[np.float32]

_NEIGHBOURS = 4
_LONELY = 3.0  # times the median distance to the fourth neighbour
_EXTREMES = 4  # points, or this share if that is more of them, on each side of each axis
_EXTREME_SHARE = 0.001
_OUTLINE_SIDE = 48
_IN_FRONT = 0.12  # of view space: how far behind the first point of its pixel one is still seen


def without_strays(points: FloatArray, count: int) -> NDArray[np.intp]:
    """Which `count` of the points [N, 3] to keep: the first ones, but with the loneliest of them
    replaced by spare points that are not lonely, as far as those go.

    Raises:
        ValueError: fewer points than are wanted.
    """
    if len(points) < count:
        raise ValueError(f"{count} points cannot be kept of {len(points)}")
    tree, k = cKDTree(points), min(_NEIGHBOURS + 1, len(points))
    apart = np.asarray(tree.query(points, k=[k])[0])[:, 0]
    lonely = apart > _LONELY * np.median(apart)
    kept = np.arange(count)
    strays = kept[lonely[:count]]
    strays = strays[np.argsort(-apart[strays], kind="stable")]
    spare = count + np.flatnonzero(~lonely[count:])
    replaced = min(len(strays), len(spare))
    kept[strays[:replaced]] = spare[:replaced]
    return kept


def reined_in(points: FloatArray) -> FloatArray:
    """`points` [N, 3] with the few outermost, along each axis and from the middle, moved in.

    The output's frame hangs on them: a single stray more or less would scale the whole object.
    """
    share = max(_EXTREME_SHARE, _EXTREMES / len(points))
    low, high = np.quantile(points, [share, 1 - share], axis=0)
    centre = (low + high) / 2
    away = np.clip(points, low, high) - centre
    radius = np.linalg.norm(away, axis=1, keepdims=True)
    limit = max(float(np.quantile(radius, 1 - share)), 1e-12)
    return np.asarray(centre + away * (limit / np.maximum(radius, limit)), np.float32)


def best_outline(candidates: Sequence[FloatArray], alpha: FloatArray) -> int:
    """Which of the clouds [N, 3] of view space fits the outline best, by intersection over union.

    Args:
        alpha: [S, S] 0..1, of the crop.
    """
    size = (_OUTLINE_SIDE, _OUTLINE_SIDE)
    wanted = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA) >= 0.5
    scores = [outline_overlap(outline(points), wanted) for points in candidates]
    return int(np.argmax(scores))


def outline(points: FloatArray, side: int = _OUTLINE_SIDE) -> NDArray[np.bool_]:
    """The pixels [side, side] that a cloud of view space covers, small gaps closed."""
    cells = np.floor((points[:, :2] * [1, -1] + 1) * (side / 2)).astype(np.int64)
    inside = ((cells >= 0) & (cells < side)).all(axis=1)
    covered = np.zeros((side, side), np.uint8)
    covered[cells[inside, 1], cells[inside, 0]] = 1
    closed = cv2.morphologyEx(covered, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    return np.asarray(closed > 0)


def outline_overlap(covered: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> float:
    """Intersection over union; 1 where both are empty."""
    union = int((covered | wanted).sum())
    return int((covered & wanted).sum()) / union if union else 1.0


def own_colors(
    points: Tensor, colors: Tensor, normals: Tensor, rgba: Tensor, *, sided: bool = True
) -> Tensor:
    """`colors`, or the picture's own where a point can be seen in it.

    Args:
        points, colors, normals: [1, N, 3] as in `Denoised`.
        rgba: [1, 4, S, S] 0..1, straight alpha.
        sided: False for estimated normals, whose side is chance on a fuzzy cloud. Then what is
            hidden is told from the depth of the pixels around as well.

    Returns:
        [1, N, 3] sRGB, 0..1.
    """
    grid = torch.stack([points[..., 0], -points[..., 1]], dim=-1)[:, :, None]
    weighted = torch.cat([rgba[:, :3] * rgba[:, 3:], rgba[:, 3:]], dim=1)
    found = F.grid_sample(weighted, grid, padding_mode="zeros", align_corners=False)[..., 0]
    alpha = found[:, 3:].transpose(1, 2)  # [1, N, 1]
    shown = found[:, :3].transpose(1, 2) / alpha.clamp(min=1e-3)
    ahead = normals[..., 2:] if sided else normals[..., 2:].abs()
    facing = torch.sigmoid((ahead - 0.1) * 12)
    first = _first(points, around=0 if sided else 1)
    seen = facing * (first & (alpha[..., 0] > 0.3))[..., None]
    return torch.lerp(colors.clamp(0, 1), shown, seen)


def _first(points: Tensor, around: int) -> Tensor:
    """[1, N] bool: about as near to the camera as any point of the same pixel, or of those that are
    up to `around` pixels away."""
    side = _OUTLINE_SIDE
    cells = ((points[0, :, :2] * points.new_tensor([1, -1]) + 1) * (side / 2)).long()
    cells = cells.clamp(0, side - 1)
    cell = cells[:, 1] * side + cells[:, 0]
    depth = points[0, :, 2]
    nearest = torch.full((side * side,), -torch.inf, device=points.device)
    nearest = nearest.scatter_reduce(0, cell, depth, "amax")
    image = nearest.view(1, 1, side, side)
    nearest = F.max_pool2d(image, 2 * around + 1, 1, around).flatten()
    return (depth > nearest[cell] - _IN_FRONT)[None]
