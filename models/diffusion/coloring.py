"""Colours from the picture itself, for the clouds of systems that give positions only."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from geometry.normals import known_normals
from geometry.point_cloud import PointCloud
from models.diffusion.cleaning import own_colors
from models.diffusion.view_space import to_view, turn_to_view

_GREY = 170
_BLUR = 15  # pixels: hidden points take the colour of about the place, without its detail


def plain(positions: NDArray[np.float32]) -> PointCloud:
    """Points [N, 3] of a network that sees no picture: all of one grey."""
    return PointCloud(positions, np.full((len(positions), 3), _GREY, np.uint8))


def picture_colored(points: Tensor, camera: Tensor, rgba: Tensor) -> PointCloud:
    """Upright points [N, 3] with colours and estimated normals.

    Points that the picture shows take its own colour there; the others, a blurred one of the place
    where they would be seen.

    Args:
        camera: [1, 5] as in `models.feedforward.draft.Layers`.
        rgba: [1, 4, S, S] 0..1, straight alpha.
    """
    bare = PointCloud(points.float().cpu().numpy())
    normals = known_normals(bare)
    camera, rgba = camera.cpu(), rgba.cpu()
    view = to_view(torch.from_numpy(bare.positions)[None], camera)
    turned = turn_to_view(torch.from_numpy(normals)[None], camera[:, 4])
    colors = own_colors(view, _blurred(view, rgba), turned, rgba, sided=False)
    rounded = (colors[0].clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return PointCloud(bare.positions, rounded, normals)


def _blurred(view: Tensor, rgba: Tensor) -> Tensor:
    """[1, N, 3]: the picture's mean colour around each point, of the foreground alone."""
    weighted = torch.cat([rgba[:, :3] * rgba[:, 3:], rgba[:, 3:]], dim=1)
    average = weighted.mean(dim=(2, 3), keepdim=True)
    soft = F.avg_pool2d(weighted, _BLUR, 1, _BLUR // 2) + 1e-2 * average
    grid = torch.stack([view[..., 0], -view[..., 1]], dim=-1)[:, :, None]
    found = F.grid_sample(soft, grid, padding_mode="border", align_corners=False)[..., 0]
    return (found[:, :3] / found[:, 3:].clamp(min=float(np.finfo(np.float32).tiny))).transpose(1, 2)
