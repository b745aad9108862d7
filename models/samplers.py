"""Samplers: from noise to data, one network evaluation at a time.

A job's `Trajectory` says where the network is to be evaluated next, and `advance` takes what it
gave. The evaluation itself stands outside, so that one of them serves many jobs, each with its own
sampler at its own step. All that happens here is elementwise within one row: nothing depends on
what else is in the batch.

The noise is variance exploding: x = x_0 + sigma * n. `denoised` is the network's estimate of x_0.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from models.catalog import SAMPLERS
from models.schedules import checked_sigmas

_MAX_GAMMA = math.sqrt(2) - 1  # Karras et al. 2022, algorithm 2
_ADAMS_BASHFORTH = (  # weights of the slopes, newest first
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)
_WARM_STEPS = 3  # what an Adams-Bashforth method of order 4 needs behind it


@dataclass(slots=True)
class Trajectory:
    """One cloud's way from noise to data.

    Attributes:
        x: [N, C] float32, where the next evaluation happens; the sample once it is done.
        sigmas: falling, the last 0.
        generator: on the CPU, of the noise that ddpm, ddim with eta and heun with churn add.
        eta: of ddim: 0 adds no noise, 1 as much as ddpm.
        churn: of heun: how much noise all steps together put back, S_churn of Karras et al.
        halves: of pndm: the sigma halfway through each of its Runge-Kutta steps.
        floor: of pndm: the sigma at which its last step ends.
        evaluation: how many have been taken in.
        denoised: [N, C], the last estimate of x_0; None before the first.
        memory: what the sampler keeps between two evaluations.
    """

    x: Tensor
    sampler: str
    sigmas: tuple[float, ...]
    generator: torch.Generator
    eta: float = 0.0
    churn: float = 0.0
    halves: tuple[float, ...] = ()
    floor: float = 0.0
    evaluation: int = 0
    denoised: Tensor | None = None
    memory: tuple[Tensor, ...] = ()

    @property
    def steps(self) -> int:
        return len(self.sigmas) - 1

    @property
    def evaluations(self) -> int:
        """How many the whole way takes: Heun's n steps are 2n - 1 of them, those of pndm n + 9."""
        if self.sampler == "heun":
            return 2 * self.steps - 1
        return self.steps + (3 * warm_steps(self.steps) if self.sampler == "pndm" else 0)

    @property
    def sigma(self) -> float:
        """The noise level of the next evaluation; 0 once it is done."""
        at = self.evaluation
        match self.sampler:
            case "heun" if at % 2 == 0:  # each step is evaluated at both of its ends
                return self.raised(at // 2)
            case "heun":
                return self.sigmas[(at + 1) // 2]
            case "pndm" if at < 4 * warm_steps(self.steps):
                i, part = divmod(at, 4)
                half = self.halves[i]
                return (self.sigmas[i], half, half, self.sigmas[i + 1])[part]
            case "pndm":
                return self.sigmas[at - 3 * warm_steps(self.steps)]
            case _:
                return self.sigmas[at]

    def raised(self, step: int) -> float:
        """The sigma to which churn lifts a step of heun before it begins."""
        return self.sigmas[step] * (1 + min(self.churn / self.steps, _MAX_GAMMA))

    @property
    def done(self) -> bool:
        return self.evaluation == self.evaluations


def start(
    sampler: str,
    sigmas: Sequence[float],
    shape: Sequence[int],
    generator: torch.Generator,
    device: torch.device | None = None,
    eta: float = 0.0,
    *,
    churn: float = 0.0,
    halves: Sequence[float] = (),
    floor: float = 0.0,
) -> Trajectory:
    """A trajectory at pure noise, sigmas[0] * n, which churn then lifts.

    Noise comes from the CPU whatever the device, so that a seed means the same everywhere.

    Args:
        sampler: one of `models.catalog.SAMPLERS`.
        sigmas: a schedule as `models.schedules` makes them.
        shape: of the cloud, [N, C].
        generator: on the CPU, the job's own.
        eta: 0 to 1, for ddim only.
        churn: 0 upwards, for heun only.
        halves: for pndm only, one for each of its first min(3, steps - 1) steps, between the two
            sigmas of that step or on one of them. Without them, the geometric means.
        floor: for pndm only, from the last sigma above 0 down to 0. The first published PNDM ends
            at its first discrete time, not at 0, and serves what it has there.

    Raises:
        ValueError: an unknown sampler, a bad schedule, shape, eta, churn, halves or floor, or
            another device's generator.
    """
    if sampler not in _STEPS:
        raise ValueError(f"one of {', '.join(SAMPLERS)} expected, got {sampler!r}")
    if not 0 <= eta <= 1:
        raise ValueError(f"eta of 0 to 1 expected, got {eta}")
    if eta > 0 and sampler != "ddim":
        raise ValueError(f"eta is ddim's alone, got {eta} for {sampler}")
    if len(shape) != 2 or min(shape) < 1:
        raise ValueError(f"a shape [N, C] expected, got {list(shape)}")
    if generator.device.type != "cpu":
        raise ValueError(f"a generator on the CPU expected, got one on {generator.device}")
    if not 0 <= churn < math.inf or (churn > 0 and sampler != "heun"):
        raise ValueError(f"churn of 0 upwards expected, for heun only, got {churn} for {sampler}")
    if (halves or floor != 0) and sampler != "pndm":
        raise ValueError(f"halves and floor are pndm's alone, got some for {sampler}")
    schedule = checked_sigmas(sigmas)
    between = _checked_halves(schedule, halves) if sampler == "pndm" else ()
    if not 0 <= floor <= schedule[-2]:
        raise ValueError(f"a floor of 0 to {schedule[-2]} expected, got {floor}")
    noise = torch.randn(tuple(shape), generator=generator, dtype=torch.float32)
    x = noise.to(device) * schedule[0]
    way = Trajectory(x, sampler, schedule, generator, eta, churn, between, floor)
    _lift(way, 0)
    return way


def warm_steps(steps: int) -> int:
    """How many of pndm's first steps are Runge-Kutta's, four evaluations each."""
    return min(_WARM_STEPS, steps - 1)


def _checked_halves(sigmas: tuple[float, ...], halves: Sequence[float]) -> tuple[float, ...]:
    ends = list(pairwise(sigmas))[: warm_steps(len(sigmas) - 1)]
    if not halves:
        return tuple(math.sqrt(high * low) for high, low in ends)
    inside = [high >= half >= low for (high, low), half in zip(ends, halves, strict=False)]
    if len(halves) != len(ends) or not all(inside):
        raise ValueError(f"a half in each of {ends} expected, got {tuple(halves)}")
    return tuple(halves)


def advance(trajectory: Trajectory, denoised: Tensor) -> None:
    """Takes in one evaluation: `denoised` [N, C], any float type, at the trajectory's x and sigma.

    Raises:
        ValueError: the trajectory is done, or `denoised` has another shape than x.
    """
    if trajectory.done:
        raise ValueError(f"all {trajectory.evaluations} evaluations have been taken in")
    if denoised.shape != trajectory.x.shape:
        expected, actual = list(trajectory.x.shape), list(denoised.shape)
        raise ValueError(f"denoised of shape {expected} expected, got {actual}")
    denoised = denoised.to(trajectory.x.dtype)
    _STEPS[trajectory.sampler](trajectory, denoised)
    trajectory.denoised = denoised
    trajectory.evaluation += 1


def _euler(trajectory: Trajectory, denoised: Tensor) -> None:
    """dx/dsigma = (x - denoised) / sigma (Karras et al. 2022, equation 3), by Euler's method."""
    sigma, following = _ends(trajectory)
    trajectory.x = denoised + (following / sigma) * (trajectory.x - denoised)


def _heun(trajectory: Trajectory, denoised: Tensor) -> None:
    """Karras et al. 2022, algorithm 1, with churn algorithm 2: Euler's step, then again with the
    mean of both slopes.

    Step i takes evaluations 2i and 2i + 1, the last step, to 0, only the first of the two.
    """
    x, i = trajectory.x, trajectory.evaluation // 2
    sigma, following = trajectory.raised(i), trajectory.sigmas[i + 1]
    if trajectory.evaluation % 2 == 0:
        slope = (x - denoised) / sigma
        trajectory.memory = (x, slope)
        trajectory.x = x + (following - sigma) * slope if following else denoised
    else:
        before, slope = trajectory.memory
        mean = (slope + (x - denoised) / following) / 2
        trajectory.x = before + (following - sigma) * mean
        trajectory.memory = ()
        _lift(trajectory, i + 1)


def _lift(trajectory: Trajectory, step: int) -> None:
    """Noise on top, from the step's sigma to the one that churn raises it to."""
    if trajectory.churn == 0:
        return
    sigma, raised = trajectory.sigmas[step], trajectory.raised(step)
    fresh = math.sqrt((raised - sigma) * (raised + sigma))
    trajectory.x = trajectory.x + fresh * _noise(trajectory)


def _dpmpp_2m(trajectory: Trajectory, denoised: Tensor) -> None:
    """DPM-Solver++(2M) (Lu et al. 2022, algorithm 2), lambda being -log sigma.

    The first step, and the last, to 0, are of first order, which is Euler's.
    """
    sigma, following = _ends(trajectory)
    guess = denoised
    if trajectory.memory and following:
        previous = trajectory.sigmas[trajectory.evaluation - 1]
        ahead = math.log(sigma / following) / math.log(previous / sigma) / 2
        guess = denoised + ahead * (denoised - trajectory.memory[0])
    trajectory.x = guess + (following / sigma) * (trajectory.x - guess)
    trajectory.memory = (denoised,)


def _ddim(trajectory: Trajectory, denoised: Tensor) -> None:
    """DDIM (Song et al. 2021, equation 12) in terms of sigma. With eta = 0 it is Euler's step."""
    _renoise(trajectory, denoised, trajectory.eta)


def _ddpm(trajectory: Trajectory, denoised: Tensor) -> None:
    """Ancestral sampling (Ho et al. 2020) with the posterior's own variance: DDIM with eta = 1."""
    _renoise(trajectory, denoised, 1.0)


def _renoise(trajectory: Trajectory, denoised: Tensor, eta: float) -> None:
    """To the next sigma, eta of whose noise is new."""
    sigma, following = _ends(trajectory)
    # 1 - (following / sigma)^2, factored: it cancels where steps are small
    ratio = following / sigma
    fresh = eta * following * math.sqrt((1 - ratio) * (1 + ratio))
    kept = math.sqrt(max(following**2 - fresh**2, 0.0))
    x = denoised + (kept / sigma) * (trajectory.x - denoised)
    if fresh > 0:
        x = x + fresh * _noise(trajectory)
    trajectory.x = x


def _noise(trajectory: Trajectory) -> Tensor:
    x = trajectory.x
    return torch.randn(x.shape, generator=trajectory.generator, dtype=torch.float32).to(x)


def _pndm(trajectory: Trajectory, denoised: Tensor) -> None:
    """Liu et al. 2022, algorithm 2: Runge-Kutta's steps, then linear multistep ones.

    Their transfer is Euler's step in sigma with some mean of slopes, which are the noise. The
    memory holds the newest slopes of full steps, and within a Runge-Kutta step after them the x it
    began with and the sum of slopes so far.
    """
    slope = (trajectory.x - denoised) / trajectory.sigma
    at, warm = trajectory.evaluation, 4 * warm_steps(trajectory.steps)
    if at < warm:
        _runge_kutta(trajectory, slope)
        return
    step = at - warm // 4 * 3
    sigma, following = trajectory.sigmas[step : step + 2]
    slopes = (slope, *trajectory.memory)[:4]
    mean = _weighted(slopes)
    if following == 0:
        following = trajectory.floor
    if len(slopes) == 1:  # as Euler's step, which keeps the estimate bit by bit at the end
        x = denoised + (following / sigma) * (trajectory.x - denoised)
    else:
        x = trajectory.x + (following - sigma) * mean
    if step + 1 == trajectory.steps:
        x = x / math.sqrt(1 + trajectory.floor**2)
    trajectory.x, trajectory.memory = x, slopes[:3]


def _runge_kutta(trajectory: Trajectory, slope: Tensor) -> None:
    step, part = divmod(trajectory.evaluation, 4)
    sigma, following = trajectory.sigmas[step : step + 2]
    if part == 0:
        slopes = (slope, *trajectory.memory)
        before, total = trajectory.x, slope / 6
    else:
        *kept, before, total = trajectory.memory
        slopes = tuple(kept)
        total = total + slope / (6 if part == 3 else 3)
    reached = trajectory.halves[step] if part < 2 else following
    trajectory.x = before + (reached - sigma) * (total if part == 3 else slope)
    trajectory.memory = slopes if part == 3 else (*slopes, before, total)


def _weighted(slopes: tuple[Tensor, ...]) -> Tensor:
    """The Adams-Bashforth mean of one to four slopes, newest first."""
    weights = _ADAMS_BASHFORTH[len(slopes) - 1]
    mean = weights[0] * slopes[0]
    for weight, slope in zip(weights[1:], slopes[1:], strict=True):
        mean = mean + weight * slope
    return mean


def _ends(trajectory: Trajectory) -> tuple[float, float]:
    """The two sigmas of the present step of a sampler with one evaluation in each."""
    i = trajectory.evaluation
    return trajectory.sigmas[i], trajectory.sigmas[i + 1]


_STEPS: dict[str, Callable[[Trajectory, Tensor], None]] = {
    "ddim": _ddim,
    "euler": _euler,
    "heun": _heun,
    "dpmpp_2m": _dpmpp_2m,
    "ddpm": _ddpm,
    "pndm": _pndm,
}
