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

import torch
from torch import Tensor

from models.catalog import SAMPLERS
from models.schedules import checked_sigmas


@dataclass(slots=True)
class Trajectory:
    """One cloud's way from noise to data.

    Attributes:
        x: [N, C] float32, where the next evaluation happens; the sample once it is done.
        sigmas: falling, the last 0.
        generator: on the CPU, of the noise that ddpm, and ddim with eta, add on the way.
        eta: of ddim: 0 adds no noise, 1 as much as ddpm.
        evaluation: how many have been taken in.
        denoised: [N, C], the last estimate of x_0; None before the first.
        memory: what the sampler keeps between two evaluations.
    """

    x: Tensor
    sampler: str
    sigmas: tuple[float, ...]
    generator: torch.Generator
    eta: float = 0.0
    evaluation: int = 0
    denoised: Tensor | None = None
    memory: tuple[Tensor, ...] = ()

    @property
    def evaluations(self) -> int:
        """How many the whole way takes: Heun's n steps are 2n - 1 of them."""
        steps = len(self.sigmas) - 1
        return 2 * steps - 1 if self.sampler == "heun" else steps

    @property
    def sigma(self) -> float:
        """The noise level of the next evaluation; 0 once it is done."""
        if self.sampler == "heun":  # each step is evaluated at both of its ends
            return self.sigmas[(self.evaluation + 1) // 2]
        return self.sigmas[self.evaluation]

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
) -> Trajectory:
    """A trajectory at pure noise, sigmas[0] * n.

    Noise comes from the CPU whatever the device, so that a seed means the same everywhere.

    Args:
        sampler: one of `models.catalog.SAMPLERS`.
        sigmas: a schedule as `models.schedules` makes them.
        shape: of the cloud, [N, C].
        generator: on the CPU, the job's own.
        eta: 0 to 1, for ddim only.

    Raises:
        ValueError: an unknown sampler, a bad schedule, shape or eta, or another device's generator.
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
    schedule = checked_sigmas(sigmas)
    noise = torch.randn(tuple(shape), generator=generator, dtype=torch.float32)
    return Trajectory(noise.to(device) * schedule[0], sampler, schedule, generator, eta)


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
    """Karras et al. 2022, algorithm 1: Euler's step, then again with the mean of both slopes.

    Step i takes evaluations 2i and 2i + 1, the last step, to 0, only the first of the two.
    """
    x, i = trajectory.x, trajectory.evaluation // 2
    sigma, following = trajectory.sigmas[i : i + 2]
    if trajectory.evaluation % 2 == 0:
        slope = (x - denoised) / sigma
        trajectory.memory = (x, slope)
        trajectory.x = x + (following - sigma) * slope if following else denoised
    else:
        before, slope = trajectory.memory
        mean = (slope + (x - denoised) / following) / 2
        trajectory.x = before + (following - sigma) * mean
        trajectory.memory = ()


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
        noise = torch.randn(x.shape, generator=trajectory.generator, dtype=torch.float32)
        x = x + fresh * noise.to(x)
    trajectory.x = x


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
}
