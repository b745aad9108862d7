import torch
from torch import Tensor

from kernels.errors import BackendError

# Of the clouds' common box: the least temperature, and how fast it is come down to. Slower and
# colder costs in proportion and gains little.
_TEMPERATURE = 0.001
_SCALING = 0.97
_BLOCK = 1 << 24  # costs held at a time, besides those that GeomLoss holds


def lower_bound(x: Tensor, y: Tensor, p: int) -> Tensor:
    """Sinkhorn's prices by GeomLoss, made feasible: what they sum up to, no assignment undercuts.

    Its own value is off by many times the distance of clouds that are nearly alike, and the
    debiased divergence by more than this bound.
    """
    try:
        from geomloss import SamplesLoss
    except ImportError:
        raise BackendError(
            "emd: GeomLoss expected for the backend 'sinkhorn', got none installed: "
            "pip install 'bozzetto[evaluation]'"
        ) from None
    solve = SamplesLoss(
        "sinkhorn",
        p=p,
        blur=_TEMPERATURE ** (1 / p),
        scaling=_SCALING,
        diameter=3**0.5,
        debias=False,
        potentials=True,
        backend="tensorized",
    )
    bounds = x.new_zeros(len(x))
    for b in range(len(x)):
        prices, _ = solve(x[b].float(), y[b].float())
        # GeomLoss has |x - y|^2 / 2 for p = 2.
        of_x = p * prices.view(-1).to(x.dtype)
        of_y = _least(y[b], x[b], of_x, p)
        bounds[b] = of_y.mean() + _least(x[b], y[b], of_y, p).mean()
    return bounds


def _least(x: Tensor, y: Tensor, of_y: Tensor, p: int) -> Tensor:
    """[N] of each x the least cost to any y, less that one's price."""
    rows = max(1, _BLOCK // len(y))
    mode = "donot_use_mm_for_euclid_dist"
    return torch.cat(
        [
            (torch.cdist(some, y, compute_mode=mode) ** p - of_y).amin(dim=1)
            for some in torch.split(x, rows)
        ]
    )
