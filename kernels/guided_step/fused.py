import torch
from torch import Tensor


def guided_step(
    x: Tensor,
    out: Tensor,
    coefficients: Tensor,
    partner: Tensor | None,
    memory: Tensor | None,
    noise: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """The same in PyTorch's operations of three inputs, which read and write half as often."""
    w, skip, scale, of_x, of_memory, of_noise = coefficients[:, :, None, None].unbind(1)
    guided = out[: len(x)].to(x.dtype)
    if partner is not None:
        guided = torch.lerp(out[partner].to(x.dtype), guided, w)
    denoised = torch.addcmul(skip * x, scale, guided)
    following = torch.lerp(denoised, x, of_x)
    if memory is not None:
        following.addcmul_(of_memory, memory - denoised)
    if noise is not None:
        following.addcmul_(of_noise, noise)
    return following, denoised
