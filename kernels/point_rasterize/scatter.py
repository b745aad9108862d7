import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from kernels.point_rasterize.taps import Mode, taps

_FAR = 1e30
_SLACK = 2.0**-20  # of the numbers that a window is made of: eight times their rounding


def rasterize_points(
    points: Tensor, radius: float | Tensor, H: int, W: int
) -> tuple[Tensor, Tensor]:
    """Each point against the pixels about it; a pixel keeps the least place in the order of depth.

    As many passes over the points as the window of the largest disc has pixels.
    """
    B, N, _ = points.shape
    side = min(H, W)
    x, y, z = points[..., 0] * side, points[..., 1] * side, points[..., 2]
    reach = torch.as_tensor(radius, dtype=points.dtype, device=points.device) * side
    left, columns = _window(x, reach, W)
    top, rows = _window(y, reach, H)
    order = z.argsort(dim=1, stable=True)
    place = torch.empty_like(order).scatter_(1, order, _counted(points, B, N))
    places = torch.full((B, H * W + 1), N, device=points.device)  # the last is for what misses
    for dy in range(rows):
        row = top + dy
        up = (H - 1 - 2 * row - y).square()
        for dx in range(columns):
            column = left + dx
            covered = (W - 1 - 2 * column - x).square() + up < reach.square()
            hit = covered & (z >= 0) & (row < H) & (column < W)
            at = torch.where(hit, row * W + column, H * W)
            places.scatter_reduce_(1, at, place, "amin")
    places = places[:, :-1]
    # One more, for pixels that see nothing.
    index = torch.cat([order, order.new_full((B, 1), -1)], dim=1).gather(1, places)
    depth = torch.cat([z.gather(1, order), z.new_full((B, 1), torch.inf)], dim=1).gather(1, places)
    return index.view(B, H, W), depth.view(B, H, W)


def _window(x: Tensor, reach: Tensor, size: int) -> tuple[Tensor, int]:
    """The first pixel along a side that each disc may cover, and how many follow at the most."""
    x, reach = x.clamp(-_FAR, _FAR), reach.clamp(max=_FAR)
    reach = reach + (size + x.abs() + reach) * _SLACK
    first = ((size - 1 - x - reach) / 2).ceil().clamp(0, size).long()
    last = ((size - 1 - x + reach) / 2).floor().clamp(-1, size - 1).long()
    return first, max(0, int((last - first).max()) + 1) if x.numel() else 0


def _counted(like: Tensor, B: int, N: int) -> Tensor:
    return torch.arange(N, device=like.device).expand(B, N)


def pixels_of_points(index: Tensor, N: int) -> Tensor:
    """See `kernels.point_rasterize.pixels_of_points`; `index` is [B, H * W]."""
    B, pixels = index.shape
    found = torch.full((B, N + 1), -1, device=index.device)
    at = index.masked_fill(index < 0, N)
    return found.scatter_reduce_(1, at, _counted(index, B, pixels), "amax")[:, :N]


def gather_features(feature_map: Tensor, pixel: Tensor, H: int, W: int, mode: Mode) -> Tensor:
    """A weighted sum of cells is what `embedding_bag` computes, in one pass over the output."""
    B, C, h, w = feature_map.shape
    N = pixel.shape[1]
    if B == 0:
        return feature_map.new_empty(0, N, C)
    wide = torch.promote_types(feature_map.dtype, torch.float32)
    cells, weights = taps(pixel, (h, w), (H, W), mode)
    cells = cells + h * w * torch.arange(B, device=pixel.device)[:, None, None]
    table = feature_map.permute(0, 2, 3, 1).reshape(B * h * w, C).to(wide).contiguous()
    found = embedding_bag(
        cells.flatten(0, 1), table, mode="sum", per_sample_weights=weights.flatten(0, 1).to(wide)
    )
    return found.view(B, N, C).to(feature_map.dtype)
