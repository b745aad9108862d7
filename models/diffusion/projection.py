"""Which part of a picture each point of a cloud sees: PC^2's conditioning by rasterisation.

Cameras are PyTorch3D's: v = X R + T of row vectors, +x left, +y up, +z forwards, in the view and
in the picture, whose sides are at -1 and 1. A point is told what stands in the picture where it is
the nearest one of a pixel; all others are told zeros.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from kernels.point_rasterize import gather_features, pixels_of_points, rasterize_points
from models.cameras import PerspectiveCamera

FINE_CHANNELS: Final = 5  # colours, mask, distance transform
_LEAST_DEPTH = 1e-4  # a division by less gives nonsense; such points are at the camera's own place
_NEAREST, _FARTHEST = 0.55, 50.0  # of a guessed camera, from the centre, in object diameters
_WIDEST = 0.05  # cosine of the angle at which a picture's edge is taken to end


@dataclass(frozen=True, slots=True)
class Views:
    """Cameras of B pictures.

    Attributes:
        R: [B, 3, 3].
        T: [B, 3].
        focal, principal: [B, 2].
    """

    R: Tensor
    T: Tensor
    focal: Tensor
    principal: Tensor

    @staticmethod
    def of(camera: PerspectiveCamera, like: Tensor) -> "Views":
        """One camera [1], of the type and on the device of `like`."""
        parts = (camera.R, camera.T, camera.focal, camera.principal)
        return Views(*(like.new_tensor(part)[None] for part in parts))

    @staticmethod
    def of_windows(camera: Tensor) -> "Views":
        """The exact cameras of guesses [B, 5] as in `models.feedforward.draft.Layers`."""
        half, inverse_distance, right, up, elevation = camera.unbind(dim=1)
        half = half.clamp(min=1e-3)
        distance = 1 / inverse_distance.clamp(1 / _FARTHEST, 1 / _NEAREST)
        sine, cosine, zero = elevation.sin(), elevation.cos(), torch.zeros_like(half)
        rows = [zero - 1, zero, zero, zero, cosine, -sine, zero, -sine, -cosine]
        return Views(
            torch.stack(rows, dim=1).view(-1, 3, 3),
            torch.stack([zero, zero, distance], dim=1),
            (distance / half)[:, None].expand(-1, 2),
            torch.stack([right / half, -up / half], dim=1),
        )

    @property
    def packed(self) -> Tensor:
        """[B, 16]"""
        return torch.cat([self.R.flatten(1), self.T, self.focal, self.principal], dim=1)

    @staticmethod
    def unpacked(packed: Tensor) -> "Views":
        R = packed[:, :9].reshape(-1, 3, 3)
        return Views(R, packed[:, 9:12], packed[:, 12:14], packed[:, 14:16])

    def to_ndc(self, points: Tensor, unit: float = 1.0) -> Tensor:
        """Points [B, N, 3] to x and y of the picture and the view's z, [B, N, 3].

        Args:
            unit: of the points, that many to one of T.
        """
        seen = points @ self.R + unit * self.T[:, None]
        z = seen[..., 2:]
        depth = torch.where(z.abs() < _LEAST_DEPTH, _LEAST_DEPTH, z)
        return torch.cat(
            [self.focal[:, None] * seen[..., :2] / depth + self.principal[:, None], z], -1
        )

    def centred_at(self, alpha: Tensor) -> Tensor:
        """[B, 3]: where the mean of masks alpha [B, S, S] is, as deep in the view as the origin."""
        S = alpha.shape[-1]
        ticks = 1 - (2 * torch.arange(S, device=alpha.device, dtype=alpha.dtype) + 1) / S
        total = alpha.sum(dim=(1, 2)).clamp(min=1e-6)
        x, y = (alpha.sum(dim=1) @ ticks) / total, (alpha.sum(dim=2) @ ticks) / total
        rays = (torch.stack([x, y], dim=1) - self.principal) / self.focal
        seen = torch.cat([rays, torch.ones_like(rays[:, :1])], dim=1) * self.T[:, 2:]
        return ((seen - self.T)[:, None] @ self.R.mT)[:, 0]


def distance_transform(mask: Tensor) -> Tensor:
    """How far each pixel is from the mask, in half sides of the picture, at most 1.

    Args:
        mask: [B, 1, S, S] 0..1; foreground above a half.

    OpenCV's approximation by 3 x 3 masks, as published.
    """
    outside = (mask[:, 0] <= 0.5).cpu().numpy().astype(np.uint8)
    apart = [cv2.distanceTransform(row, cv2.DIST_L2, cv2.DIST_MASK_3) for row in outside]
    half = mask.shape[-1] / 2
    return torch.from_numpy(np.stack(apart))[:, None].to(mask).div(half).clamp(0, 1)


def fine_maps(rgb: Tensor, mask: Tensor) -> Tensor:
    """[B, 5, S, S]: colours around 0, the soft mask, its distance transform."""
    return torch.cat([(rgb - 0.5) / 0.5, mask, distance_transform(mask)], dim=1)


def looked_up(ndc: Tensor, coarse: Tensor, fine: Tensor, radius: float) -> Tensor:
    """What the points that can be seen find in the picture; zeros for the others.

    Args:
        ndc: [B, N, 3] of `Views.to_ndc`.
        coarse: [B, C, s, s] features, as if enlarged bilinearly.
        fine: [B, 5, S, S] of `fine_maps`; S is the side of the picture that is drawn.
        radius: of a point's disc.

    Returns:
        [B, N, 3 + C + 2]: colours, features, mask, distance transform.
    """
    side = fine.shape[-1]
    pixel = pixels_of_points(rasterize_points(ndc, side, radius), ndc.shape[1])
    features = gather_features(coarse, pixel, side)
    local = gather_features(fine, pixel, side)
    return torch.cat([local[..., :3], features.to(local), local[..., 3:]], dim=-1)


def upright(rgba: Tensor, views: Views) -> tuple[Tensor, Tensor, Tensor]:
    """A given camera's picture as one without roll that looks at the origin sees it.

    Args:
        rgba: [1, 4, S, S].
        views: one.

    Returns:
        The picture [1, 4, S, S], turned; its camera [1, 5] as in `models.feedforward.draft.Layers`;
        and the turn [1, 3, 3] about +Y that brings the camera's azimuth to +Z, for row vectors.
    """
    place = -(views.T[:, None] @ views.R.mT)[0, 0]
    distance = place.norm()
    x, y, z = place.unbind()
    flat, zero, one = torch.hypot(x, z).clamp(min=1e-9), torch.zeros_like(x), torch.ones_like(x)
    level = bool(flat > 1e-6 * distance)
    s, c = (x / flat, z / flat) if level else (zero, one)
    turn = torch.stack([c, zero, s, zero, one, zero, -s, zero, c]).view(1, 3, 3)
    elevation = torch.atan2(y, flat)
    window = torch.stack([one, 1 / distance, zero, zero, elevation])[None]
    between = Views.of_windows(window).R.mT @ turn.mT @ views.R  # from the level view to this one
    edges = views.R.new_tensor([[-1, 0], [1, 0], [0, -1], [0, 1]])
    rays = F.pad((edges - views.principal) / views.focal, (0, 1), value=1.0) @ between[0].mT
    plane = rays[:, :2] / rays[:, 2:].clamp(min=_WIDEST) * distance  # +x left
    low, high = plane.amin(dim=0), plane.amax(dim=0)
    middle, half = (low + high) / 2, (high - low).max() / 2
    camera = torch.stack([half, 1 / distance, -middle[0], middle[1], elevation])[None]
    S = rgba.shape[-1]
    ticks = (2 * torch.arange(S, device=rgba.device, dtype=rgba.dtype) + 1) / S - 1
    v, u = torch.meshgrid(-ticks, ticks, indexing="ij")
    ahead = torch.stack([middle[0] - half * u, middle[1] + half * v, distance.expand(S, S)], dim=-1)
    seen = ahead @ between[0]
    at = views.focal * seen[..., :2] / seen[..., 2:].clamp(min=_LEAST_DEPTH) + views.principal
    turned = F.grid_sample(rgba, -at[None], padding_mode="zeros", align_corners=False)
    return turned, camera, turn
