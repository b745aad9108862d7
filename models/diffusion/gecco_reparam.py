"""The two spaces GECCO diffuses in, and how a point finds its place in the picture.

Data space is the camera's: x right, y down, z forward. K [B, 3, 3] is normalised: it maps to
0..1 across the picture in both directions, the horizontal one first. Skew is not looked at.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LOGIT_SCALE = 1.1  # of UVL; not in a checkpoint
_BEHIND = 1e-8
_EDGE = 1 - 1e-6  # how far out of the picture UVL can say
_FARTHEST = 40.0  # logarithm of a distance: float32 has no exponential of more than 88


class GaussianReparam(nn.Module):
    """Positions, standardised: of objects."""

    mean: Tensor
    sigma: Tensor

    def __init__(self, mean: Tensor | None = None, sigma: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(3) if mean is None else mean)
        self.register_buffer("sigma", torch.ones(3) if sigma is None else sigma)

    def data_to_diffusion(self, points: Tensor, K: Tensor) -> Tensor:
        return (points - self.mean) / self.sigma

    def diffusion_to_data(self, x: Tensor, K: Tensor) -> Tensor:
        return x * self.sigma + self.mean

    def distance(self) -> float:
        """Of the middle of the data from the camera."""
        return float(self.mean[2])


class UVLReparam(nn.Module):
    """Place in the picture and logarithm of the distance from the camera: of scenes."""

    uvl_mean: Tensor
    uvl_std: Tensor

    def __init__(self, mean: Tensor | None = None, std: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("uvl_mean", torch.zeros(3) if mean is None else mean)
        self.register_buffer("uvl_std", torch.ones(3) if std is None else std)

    def data_to_diffusion(self, points: Tensor, K: Tensor) -> Tensor:
        """Points outside the picture are moved to its edge, where the space ends."""
        place = picture_distance(points, K)
        centred = (2 * place[..., :2] - 1) / LOGIT_SCALE
        uv = torch.atanh(centred.clamp(-_EDGE, _EDGE))
        uvl = torch.cat([uv, place[..., 2:].log()], dim=-1)
        return (uvl - self.uvl_mean) / self.uvl_std

    def diffusion_to_data(self, x: Tensor, K: Tensor) -> Tensor:
        """All values are finite, as a few long steps of a sampler throw points far away."""
        uvl = x * self.uvl_std + self.uvl_mean
        uv = (torch.tanh(uvl[..., :2]) * LOGIT_SCALE + 1) / 2
        ahead = torch.ones_like(uv[..., :1])
        rays = torch.cat([uv, ahead], dim=-1) @ torch.linalg.inv(K).mT
        return F.normalize(rays, dim=-1) * uvl[..., 2:].clamp(max=_FARTHEST).exp()

    def distance(self) -> float:
        """Of the middle of the data from the camera."""
        return float(self.uvl_mean[2].exp())


def projected(points: Tensor, K: Tensor) -> Tensor:
    """Data-space points [B, N, 3] to (horizontal, vertical) [B, N, 2], 0..1 inside the picture.

    What lies behind the camera is mirrored through it, as published; all values are finite.
    """
    z = points[..., 2:]
    scaled = points[..., :2] / torch.where(z.abs() > _BEHIND, z + _BEHIND, 1)
    focal = torch.stack([K[:, 0, 0], K[:, 1, 1]], dim=-1)[:, None]
    return scaled * focal + K[:, None, :2, 2]


def picture_distance(points: Tensor, K: Tensor) -> Tensor:
    """[B, N, 3]: place in the picture, then the Euclidean distance from the camera."""
    away = torch.linalg.vector_norm(points, dim=-1, keepdim=True)
    return torch.cat([projected(points, K), away], dim=-1)


def look_up(maps: Tensor, place: Tensor) -> Tensor:
    """Bilinear, zero outside: [B, C, h, w] at (horizontal, vertical) [B, N, 2] to [B, N, C].

    Places are taken in float32 or better.
    """
    grid = (2 * place - 1)[:, :, None]
    found = F.grid_sample(
        maps, grid.to(maps.dtype), mode="bilinear", padding_mode="zeros", align_corners=False
    )
    return found[..., 0].transpose(1, 2)
