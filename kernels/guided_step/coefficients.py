"""What a step of each sampler is computed with.

All samplers of `models.samplers` are linear in what they hold, and move with the cloud: their
weights of x, denoised and memory add up to 1. Written as differences from denoised, as here, they
do so exactly, and nothing cancels where x is nearly clean.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor


class Coefficients(NamedTuple):
    """One cloud's row, in float64.

    Attributes:
        guidance: w; 1 is off.
        skip, out: denoised = skip * x + out * (what the network gave, guided).
        x, memory, noise: the next x is denoised + x * (x - denoised) + memory * (memory - denoised)
            + noise * (noise of variance 1).
    """

    guidance: float = 1.0
    skip: float = 0.0
    out: float = 1.0
    x: float = 0.0
    memory: float = 0.0
    noise: float = 0.0


def coefficients(
    sampler: str,
    sigmas: Sequence[float],
    evaluation: int,
    eta: float = 0.0,
    guidance: float = 1.0,
    sigma_data: float | None = None,
) -> Coefficients:
    """Of evaluation number `evaluation` of a trajectory of `models.samplers`.

    | sampler | x | memory | noise | memory holds |
    |---|---|---|---|---|
    | euler | r | 0 | 0 | |
    | ddim, ddpm (eta = 1) | kept / s | 0 | fresh | |
    | dpmpp_2m | r | (r - 1) a | 0 | denoised of the evaluation before |
    | heun, even evaluations | r | 0 | 0 | |
    | heun, odd evaluations | 1 - s / 2t | 1/2 | 0 | x of the evaluation before |

    s and t are the sigmas of a step's ends, r = t / s, fresh = eta t sqrt(1 - r^2), kept^2 = t^2 -
    fresh^2 and a = log(s / t) / (2 log(s' / s)), s' being the sigma before; a is 0 in the first and
    the last step.

    Args:
        sampler: euler, ddim, heun, dpmpp_2m or ddpm.
        sigmas: a schedule as `models.schedules` makes them: falling, the last 0.
        evaluation: 0 upwards.
        eta: of ddim, 0 to 1.
        guidance: w.
        sigma_data: of a network preconditioned as EDM does it (Karras et al. 2022, table 1); None
            where it gives denoised itself.

    Raises:
        ValueError: an unknown sampler, a bad schedule or eta, or no such evaluation.
    """
    falling = all(high > low for high, low in pairwise(sigmas))  # NaN fails too
    if len(sigmas) < 2 or sigmas[-1] != 0 or not falling or math.isinf(sigmas[0]):
        raise ValueError(
            f"sigmas: two or more expected, finite, falling, the last 0, got {tuple(sigmas)}"
        )
    if not 0 <= eta <= 1 or (eta > 0 and sampler != "ddim"):
        raise ValueError(f"eta: 0 to 1 expected, for ddim only, got {eta} for {sampler}")
    steps = len(sigmas) - 1
    evaluations = 2 * steps - 1 if sampler == "heun" else steps
    if not 0 <= evaluation < evaluations:
        raise ValueError(f"evaluation: 0 to {evaluations - 1} expected, got {evaluation}")
    step = evaluation // 2 if sampler == "heun" else evaluation
    sigma, following = sigmas[step], sigmas[step + 1]
    x, memory, noise = following / sigma, 0.0, 0.0
    match sampler:
        case "euler":
            pass
        case "ddim" | "ddpm":
            x, noise = _renoised(sigma, following, eta if sampler == "ddim" else 1.0)
        case "dpmpp_2m":
            if 0 < step < steps - 1:
                before = math.log(sigmas[step - 1] / sigma)
                memory = (x - 1) * math.log(sigma / following) / before / 2
        case "heun":
            if evaluation % 2:
                sigma, x, memory = following, (1 - sigma / following) / 2 + 0.5, 0.5
        case _:
            raise ValueError(
                f"sampler: euler, ddim, heun, dpmpp_2m or ddpm expected, got {sampler!r}"
            )
    skip, out = (0.0, 1.0) if sigma_data is None else _preconditioning(sigma, sigma_data)
    return Coefficients(guidance, skip, out, x, memory, noise)


def _renoised(sigma: float, following: float, eta: float) -> tuple[float, float]:
    """To the next sigma, eta of whose noise is new."""
    ratio = following / sigma
    share = eta * math.sqrt((1 - ratio) * (1 + ratio))  # of the noise, what is new
    return ratio * math.sqrt((1 - share) * (1 + share)), following * share


def _preconditioning(sigma: float, data: float) -> tuple[float, float]:
    total = sigma**2 + data**2
    return data**2 / total, sigma * data / math.sqrt(total)


def table(rows: Sequence[Coefficients], device: torch.device | None = None) -> Tensor:
    """[B, 6] float32, one row per cloud: one copy to the device for a step of all of them."""
    return torch.tensor(rows, dtype=torch.float32, device=device).view(
        -1, len(Coefficients._fields)
    )


def partners(rows: Tensor, clouds: int) -> Tensor:
    """Where each cloud's unconditional row is, or its own row where it has none: [B] int64.

    Args:
        rows: [R] int64, which cloud each row of the network's batch belongs to: 0 .. B - 1, then
            those that are guided, as `models.guidance.GuidedBatch.rows` has it.
        clouds: B.
    """
    places = torch.arange(len(rows), device=rows.device)
    return places[:clouds].index_copy(0, rows[clouds:], places[clouds:])
