"""Training of the network that lays a mesh through Point-E's points.

The authors train it on distances to watertight meshes. Here a distance is to the nearest of the
many points of the true surface, and its sign whether that point's normal leads there.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.knn import knn
from models.diffusion.pointe import OWN_SDF
from models.diffusion.pointe_sdf import SdfConfig, SdfNet
from models.encoders.own import IMAGE_SIZE

_CLAMP = 0.1  # diameters: farther away only the sign matters
_SPREADS = (0.01, 0.05)  # of queries around the surface


@dataclass(frozen=True, slots=True)
class SdfTraining:
    n_points: int = 2048  # of the true surface
    shown: int = 256  # to the network
    queries: int = 256
    noise: float = 0.01  # of the shown points: sampled clouds are not clean


class SdfObjective:
    image_size = IMAGE_SIZE

    def __init__(self, config: SdfTraining, network: SdfConfig = OWN_SDF) -> None:
        self.config = config
        self.net = SdfNet(network)
        self.n_points = config.n_points

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        config = self.config
        points, normals = batch["points"].float(), batch["normals"].float()
        queries = drawn_queries(points, config.queries)
        truth = signed_distance(queries, points, normals).clamp(-_CLAMP, _CLAMP) / _CLAMP
        shown = points[:, : config.shown]
        shown = shown + config.noise * torch.randn_like(shown)
        with torch.autocast(points.device.type, torch.bfloat16):
            found = self.net(queries, self.net.encode(shown)).float()
        # The network's unit is that of points; errors count in clamps.
        error = (found / _CLAMP).clamp(-1, 1) - truth
        loss = (error.abs() + 0.1 * (found / _CLAMP - truth).abs()).mean()
        wrong = ((found > 0) != (truth > 0)).float().mean()
        return loss, {"loss": float(loss.detach()), "wrong_side": float(wrong)}


def drawn_queries(points: Tensor, count: int) -> Tensor:
    """[B, count, 3]: near the surface, a little farther, and an eighth anywhere in the box."""
    B, N, _ = points.shape
    picked = torch.randint(N, (B, count), device=points.device)
    near = points.gather(1, picked[..., None].expand(-1, -1, 3))
    spread = points.new_tensor(_SPREADS)[torch.arange(count, device=points.device) % 2]
    near = near + spread.view(1, -1, 1) * torch.randn_like(near)
    anywhere = torch.rand_like(near) * 1.2 - 0.6
    far = (torch.arange(count, device=points.device) % 8 == 7).view(1, -1, 1)
    return torch.where(far, anywhere, near)


def signed_distance(queries: Tensor, points: Tensor, normals: Tensor) -> Tensor:
    """[B, M] of queries [B, M, 3] to the points [B, N, 3] of a surface, positive outside."""
    found = knn(queries, points, 1)
    index = found.index.expand(-1, -1, 3)
    away = queries - points.gather(1, index)
    outside = (away * normals.gather(1, index)).sum(dim=-1) >= 0
    distance = found.sq_dist[..., 0].sqrt()
    return torch.where(outside, distance, -distance)
