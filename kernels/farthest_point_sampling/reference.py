import torch
from torch import Tensor

UNSEEN = 1e38  # what the published kernel starts distances with


def farthest_point_sampling(
    points: Tensor, num_samples: int, lengths: Tensor | None, ties: str
) -> Tensor:
    """One point at a time. Points are put into the order in which ties prefer them, so that the
    first of equal ones is the right one."""
    B, N, _ = points.shape
    order = preference(N, ties).to(points.device)
    points = points[:, order]
    sq_dist = points.new_full((B, N), UNSEEN)
    if lengths is not None:
        sq_dist = sq_dist.masked_fill(order >= lengths[:, None], -1)
    clouds = torch.arange(B, device=points.device)
    picked = torch.zeros(B, num_samples, dtype=torch.int64, device=points.device)
    for s in range(1, num_samples):
        last = points[clouds, picked[:, s - 1]]
        x, y, z = (points - last[:, None]).square().unbind(-1)  # [B, N] each
        sq_dist = torch.minimum(sq_dist, x + y + z)
        picked[:, s] = sq_dist.argmax(dim=1)  # the first of equal ones
    return order[picked]


def preference(N: int, ties: str) -> Tensor:
    """[N] the indices of points, the preferred of equally far ones first; 0 comes first."""
    index = torch.arange(N)
    return (index % 512).argsort(stable=True) if ties == "pvcnn" else index
