import math

import torch
from torch import Tensor


def indicator(
    points: Tensor, normals: Tensor, share: Tensor, resolution: int, sigma: float
) -> tuple[Tensor, Tensor]:
    """Fourier sums written out as products with matrices; weights of all nodes, most of them 0."""
    node = torch.arange(resolution, device=points.device, dtype=points.dtype)
    apart = points[..., None] * resolution - node  # [B, N, 3, R]
    apart = (apart + resolution / 2) % resolution - resolution / 2
    x, y, z = (1 - apart.abs()).clamp(min=0).unbind(dim=2)
    vectors = torch.einsum("bnx,bny,bnz,bnc->bcxyz", x, y, z, normals)

    whole = (node + resolution // 2) % resolution - resolution // 2  # 0, 1, ..., -2, -1
    wave = 2 * math.pi / resolution * whole
    # The highest frequency of an even number of nodes has no sign, hence no slope.
    slope = torch.where(2 * whole.abs() == resolution, 0.0, wave)
    turn = torch.polar(torch.ones_like(node[:, None] * wave), -node[:, None] * wave)
    spectrum = torch.einsum("bcxyz,xu,yv,zw->bcuvw", vectors.to(turn.dtype), turn, turn, turn)
    u, v, w = torch.meshgrid(slope, slope, slope, indexing="ij")
    flow = spectrum[:, 0] * u + spectrum[:, 1] * v + spectrum[:, 2] * w
    square = wave[:, None, None] ** 2 + wave[:, None] ** 2 + wave**2
    response = torch.exp(-(sigma**2) / 2 * square) / torch.where(square > 0, square, torch.inf)
    back = turn.conj() / resolution
    field = torch.einsum("buvw,ux,vy,wz->bxyz", 1j * flow * response, back, back, back).real
    return field, torch.einsum("bxyz,bnx,bny,bnz,bn->b", field, x, y, z, share)
