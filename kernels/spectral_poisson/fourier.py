import math

import torch
from torch import Tensor

from kernels.scatter import scatter_sum


def indicator(
    points: Tensor, normals: Tensor, share: Tensor, resolution: int, sigma: float
) -> tuple[Tensor, Tensor]:
    """PyTorch's real FFT, one axis of the normals after the other to save memory."""
    B, R = len(points), resolution
    spread = _spread(points, torch.cat([normals, share[..., None]], dim=-1), R)
    wave = 2 * math.pi * torch.fft.fftfreq(R, device=points.device, dtype=points.dtype)
    # The highest frequency of an even number of nodes has no sign, hence no slope.
    slope = torch.where(torch.arange(R, device=points.device) * 2 == R, 0.0, wave)
    half = R // 2 + 1
    square = wave[:, None, None] ** 2 + wave[:, None] ** 2 + wave[:half] ** 2
    response = torch.exp(-(sigma**2) / 2 * square) / torch.where(square > 0, square, torch.inf)
    slopes = (slope[:, None, None], slope[:, None], slope[:half])
    flow = torch.zeros(B, R, R, half, device=points.device, dtype=points.dtype.to_complex())
    for values, along in zip(spread[:3], slopes, strict=True):
        flow = flow + torch.fft.rfftn(values, dim=(1, 2, 3)) * along
    field = torch.fft.irfftn(1j * flow * response, s=(R, R, R), dim=(1, 2, 3))
    return field, (field * spread[3]).sum(dim=(1, 2, 3))


def _spread(points: Tensor, values: Tensor, R: int) -> Tensor:
    """Values [B, N, K] shared out to the eight nodes around each point: [K, B, R, R, R]."""
    B, _, K = values.shape
    place = points * R
    low = place.detach().floor()
    part = place - low
    corner = torch.cartesian_prod(*[torch.arange(2, device=points.device)] * 3)  # [8, 3]
    node = (low.long()[:, :, None] + corner) % R  # [B, N, 8, 3]
    weight = torch.where(corner == 1, part[:, :, None], 1 - part[:, :, None]).prod(dim=-1)
    x, y, z = node.unbind(dim=-1)
    first = torch.arange(B, device=points.device)[:, None, None] * R
    rows = ((first + x) * R + y) * R + z
    shared = (weight[..., None] * values[:, :, None]).view(-1, K)
    return scatter_sum(shared, rows.flatten(), B * R**3).T.reshape(K, B, R, R, R)
