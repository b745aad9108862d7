import torch
from torch import Tensor
from torch.nn.functional import interpolate

from kernels.point_rasterize.taps import Mode


def rasterize_points(
    points: Tensor, radius: float | Tensor, H: int, W: int
) -> tuple[Tensor, Tensor]:
    """Every pixel against every point, a row of the picture at a time."""
    side = min(H, W)
    x, y, z = points[..., 0] * side, points[..., 1] * side, points[..., 2]
    radii = torch.as_tensor(radius, dtype=points.dtype, device=points.device).expand_as(z)
    sq_reach = (radii * side).square()[:, None]
    depth = z.masked_fill(z < 0, torch.inf)[:, None].expand(-1, W, -1)  # [B, W, N]
    across = W - 1 - 2 * torch.arange(W, device=points.device)[:, None] - x[:, None]
    rows = []
    for row in range(H):
        up = (H - 1 - 2 * row - y)[:, None]
        covered = across.square() + up.square() < sq_reach
        rows.append(depth.masked_fill(~covered, torch.inf).min(dim=2))  # the first of equal ones
    depths = torch.stack([least for least, _ in rows], dim=1)
    index = torch.stack([at for _, at in rows], dim=1)
    return index.masked_fill(depths.isinf(), -1), depths


def pixels_of_points(index: Tensor, N: int) -> Tensor:
    """See `kernels.point_rasterize.pixels_of_points`; `index` is [B, H * W]."""
    owned = index[:, None] == torch.arange(N, device=index.device)[:, None]  # [B, N, H * W]
    number = torch.arange(index.shape[1], device=index.device)
    return torch.where(owned, number, -1).amax(dim=2)


def gather_features(feature_map: Tensor, pixel: Tensor, H: int, W: int, mode: Mode) -> Tensor:
    """The map enlarged to the picture's size, as published, and read at the pixels."""
    _, _, h, w = feature_map.shape
    wide = feature_map.to(torch.promote_types(feature_map.dtype, torch.float32))
    if mode == "bilinear":
        large = interpolate(wide, size=(H, W), mode="bilinear", align_corners=False)
    else:
        rows, columns = (
            torch.arange(side, device=pixel.device) * size // side
            for size, side in ((h, H), (w, W))
        )
        large = wide[:, :, rows[:, None], columns]
    at = pixel.clamp(min=0)[:, None].expand(-1, feature_map.shape[1], -1)  # [B, C, N]
    features = large.flatten(2).gather(2, at).masked_fill((pixel < 0)[:, None], 0)
    return features.mT.to(feature_map.dtype)
