"""More points for a cloud that is there: the other mode of GECCO's sampler.

The known points, noised, fill the inducers; the new ones read those and never each other.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from models.diffusion.gecco import GeccoNet

Draw = Callable[[Tensor], Tensor]  # normal noise of a tensor's shape and type


@torch.inference_mode()
def upsample(
    net: GeccoNet,
    known: Tensor,
    latents: Tensor,
    maps: Sequence[Tensor],
    K: Tensor,
    sigmas: Sequence[float],
    *,
    substeps: int = 5,
    churn: float = 0.5,
    draw: Draw = torch.randn_like,
) -> Tensor:
    """New points of the surface that `known` lies on.

    Args:
        known: [B, N, 3] in data space.
        latents: [B, M, 3] standard normal.
        maps, K: as `GeccoNet.denoise` takes them.
        sigmas: a schedule, the last 0.
        substeps: rounds of denoising and noising again at each level.
        churn: of Karras et al. 2022, algorithm 2.
        draw: noise, called in a fixed order: at each level for the known points, then for each
            substep, and between two of them unless the level is the last.

    Returns:
        [B, M, 3] in data space, float64.
    """
    steps = len(sigmas) - 1
    gamma = min(churn / steps, 2**0.5 - 1)
    clean = net.reparam.data_to_diffusion(known, K)
    x = latents.double() * sigmas[0]

    def denoised(x: Tensor, sigma: float, states: Sequence[Tensor] | None) -> list[Tensor]:
        level = known.new_full((len(known),), sigma)
        out, found = net.denoise(x.to(known.dtype), level, maps, K, states)
        return [out.double(), *found]

    for step in range(steps):
        sigma, following = sigmas[step : step + 2]
        noisy = clean + sigma * draw(clean)
        states = denoised(noisy, sigma, None)[1:]
        for substep in range(substeps):
            above = sigma * (1 + gamma)
            x = x + (above**2 - sigma**2) ** 0.5 * draw(x)
            slope = (x - denoised(x, above, states)[0]) / above
            ahead = x + (following - above) * slope
            if following:
                other = (ahead - denoised(ahead, following, states)[0]) / following
                ahead = x + (following - above) * (slope + other) / 2
            x = ahead
            if following and substep + 1 < substeps:
                x = x + (sigma**2 - following**2) ** 0.5 * draw(x)
    return net.reparam.diffusion_to_data(x.to(known.dtype), K).double()
