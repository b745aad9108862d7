import torch
from torch import Tensor


def assign(x: Tensor, y: Tensor, p: int) -> tuple[Tensor, Tensor]:
    """The Hungarian method with shortest augmenting paths, one cloud and one point at a time."""
    cost = (x[:, :, None] - y[:, None]).square().sum(dim=-1)  # [B, N, N]
    if p == 1:
        cost = cost.sqrt()
    partner = torch.stack([_assign(each) for each in cost]) if len(x) else cost[:, :, 0].long()
    return cost.gather(2, partner[..., None])[..., 0].mean(dim=1), partner


def _assign(cost: Tensor) -> Tensor:
    """[N] the column of each row, such that the sum of the costs is least."""
    N = len(cost)
    u, v = cost.new_zeros(N), cost.new_zeros(N + 1)  # prices of rows and columns
    owner = torch.full((N + 1,), -1, device=cost.device)  # the row of each column
    for row in range(N):
        column, owner[N] = N, row  # the path starts at a column that does not exist
        least = torch.full((N,), torch.inf, device=cost.device, dtype=cost.dtype)
        came_from = torch.full((N,), N, device=cost.device)
        passed = torch.zeros(N + 1, dtype=torch.bool, device=cost.device)
        while owner[column] >= 0:
            passed[column] = True
            i, free = owner[column], ~passed[:N]
            slack = cost[i] - u[i] - v[:N]
            came_from[free & (slack < least)] = column
            least = torch.where(free, torch.minimum(slack, least), least)
            column = int(torch.where(free, least, torch.inf).argmin())
            step = least[column].clone()
            u[owner[passed]] += step
            v[passed] -= step
            least[free] -= step
        while column != N:
            before = int(came_from[column])
            owner[column], column = owner[before].clone(), before
    return owner[:N].argsort()
