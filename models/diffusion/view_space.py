"""The space in which our own diffusion works: (u, v) of the crop and depth.

A point is (u, v, w): u right and v up from -1 to 1 across the crop, along which the picture's
features are looked up without any camera, and w its distance from the object's centre towards the
camera, in half sides of the crop at that centre, so that all three have one scale. A camera is
[B, 5] as in `models.feedforward.draft.Layers`: half side, inverse distance, right, up, elevation.
"""

import torch
from torch import Tensor

_NEAREST = 0.05  # share of the camera's distance: what is nearer is as good as behind it


def to_view(points: Tensor, camera: Tensor) -> Tensor:
    """Points [B, N, 3] of the upright frame to (u, v, w) [B, N, 3]."""
    half, inverse_distance, right, up, elevation = _columns(camera)
    sine, cosine = torch.sin(elevation), torch.cos(elevation)
    x, y, z = points.unbind(dim=-1)
    high, depth = y * cosine - z * sine, y * sine + z * cosine
    spread = (1 - inverse_distance * depth).clamp(min=_NEAREST)
    u, v = (x / spread - right) / half, (high / spread - up) / half
    return torch.stack([u, v, depth / half], dim=-1)


def from_view(view: Tensor, camera: Tensor) -> Tensor:
    """(u, v, w) [B, N, 3] to points [B, N, 3] of the upright frame; undoes `to_view`."""
    half, inverse_distance, right, up, elevation = _columns(camera)
    u, v, w = view.unbind(dim=-1)
    depth = w * half
    spread = (1 - inverse_distance * depth).clamp(min=_NEAREST)
    x, high = (right + half * u) * spread, (up + half * v) * spread
    sine, cosine = torch.sin(elevation), torch.cos(elevation)
    return torch.stack([x, high * cosine + depth * sine, depth * cosine - high * sine], dim=-1)


def turn_to_view(directions: Tensor, elevation: Tensor) -> Tensor:
    """Directions [B, N, 3] of the upright frame to the camera's axes: right, up, backwards."""
    sine, cosine = torch.sin(elevation)[:, None], torch.cos(elevation)[:, None]
    x, y, z = directions.unbind(dim=-1)
    return torch.stack([x, y * cosine - z * sine, y * sine + z * cosine], dim=-1)


def turn_from_view(directions: Tensor, elevation: Tensor) -> Tensor:
    """Undoes `turn_to_view`."""
    return turn_to_view(directions, -elevation)


def _columns(camera: Tensor) -> tuple[Tensor, ...]:
    return camera[:, :, None].unbind(dim=1)  # five of [B, 1]


def outline_distance(alpha: Tensor) -> Tensor:
    """How far each pixel is from the outline: positive inside, negative outside.

    Args:
        alpha: [B, T, T] 0..1; foreground from a half upwards.

    Returns:
        [B, T, T] float32 in half sides of the picture. Euclidean, to the nearest pixel of the
        other kind; +-4 where there is none.
    """
    T = alpha.shape[-1]
    inside = alpha >= 0.5
    ticks = torch.arange(T, device=alpha.device, dtype=torch.float32)
    apart = (ticks[:, None] - ticks).square()
    to_outside, to_inside = (_distance(where, apart) for where in (~inside, inside))
    return torch.where(inside, to_outside, -to_inside).clamp(-2 * T, 2 * T) * (2 / T)


def _distance(targets: Tensor, apart: Tensor) -> Tensor:
    """Pixels to the nearest of `targets` [B, T, T]: exact, one axis after the other."""
    cost = torch.where(targets, 0.0, 1e9)
    along = (cost[:, :, None, :] + apart).amin(dim=-1)  # [B, T, T]
    both = (along.transpose(1, 2)[:, :, None, :] + apart).amin(dim=-1)
    return both.transpose(1, 2).sqrt()
