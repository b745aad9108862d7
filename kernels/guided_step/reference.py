from torch import Tensor


def guided_step(
    x: Tensor,
    out: Tensor,
    coefficients: Tensor,
    partner: Tensor | None,
    memory: Tensor | None,
    noise: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """One line for each thing that happens."""
    w, skip, scale, of_x, of_memory, of_noise = coefficients[:, :, None, None].unbind(1)
    out = out.to(x.dtype)
    cond = out[: len(x)]
    uncond = cond if partner is None else out[partner]
    denoised = skip * x + scale * (uncond + w * (cond - uncond))
    following = denoised + of_x * (x - denoised)
    if memory is not None:
        following = following + of_memory * (memory - denoised)
    if noise is not None:
        following = following + of_noise * noise
    return following, denoised
