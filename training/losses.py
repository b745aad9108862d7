import torch
from torch import Tensor
from torch.nn import functional as F

from kernels.chamfer import chamfer_distance, nearest_pairs
from models.diffusion.denoiser import Denoised
from models.diffusion.view_space import turn_to_view
from models.feedforward.draft import Layers, lift

_DRAFT_WEIGHTS = {
    "depth": 0.1,
    "points": 0.1,
    "chamfer": 3.0,
    "color": 0.25,
    "view": 1.0,
    "doubt": 0.05,
}
_DIFFUSION_WEIGHTS = {
    "denoise": 1.0,
    "earlier": 0.3,
    "depth": 2.0,
    "points": 1.0,
    "color": 0.25,
    "view": 1.0,
    "doubt": 0.1,
    "point_color": 0.5,
    "normal": 0.2,
}
_CLEAN_SIGMA = 0.15  # of view space
_LAYER_POINTS, _WALL_POINTS = 640, 128  # predicted points in the Chamfer distance


def true_camera(camera: Tensor) -> Tensor:
    """The dataset's (elevation, distance, cx, cy, h, fov) [B, 6] as `Layers.camera` [B, 5]."""
    elevation, distance, cx, cy, h = camera[:, :5].unbind(dim=1)
    return torch.stack([h * distance, 1 / distance, cx * distance, cy * distance, elevation], dim=1)


def layer_losses(layers: Layers, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Losses of the per-pixel maps and the camera, by name, without weights.

    Positions count as depth along the true camera's axis, which trains the maps alone, and as
    points of the upright frame, which trains maps and camera together.
    """
    truth = torch.stack([batch["front"], batch["back"]], dim=1).float()  # [B, 2, T, T, 3]
    colors = torch.stack([batch["front_color"], batch["back_color"]], dim=1).float() / 255
    mask = batch["mask"].float()[:, None]  # [B, 1, T, T]
    # Each picture counts the same, however small its object.
    weight = mask / mask.sum(dim=(2, 3), keepdim=True).clamp(min=1) / (2 * len(mask))
    camera = true_camera(batch["camera"])
    sine = torch.sin(camera[:, 4]).view(-1, 1, 1, 1)
    cosine = torch.cos(camera[:, 4]).view(-1, 1, 1, 1)
    true_depth = truth[..., 1] * sine + truth[..., 2] * cosine
    lifted = lift(layers.depth, layers.camera)  # [B, 2, T, T, 3]
    error = torch.linalg.vector_norm(lifted - truth, dim=-1)
    scale = torch.tensor([1.0, 0.5, 1.0, 1.0, 1.0], device=camera.device)
    spread = layers.log_error.clamp(-6, 1)
    apart = (layers.color - colors.permute(0, 1, 4, 2, 3)).abs().mean(dim=2)
    return {
        "depth": ((layers.depth - true_depth).abs() * weight).sum(),
        "points": (error * weight).sum(),
        "color": (apart * weight).sum(),
        "view": ((layers.camera - camera).abs() * scale).mean(),
        "tilt": (layers.camera[:, 4] - camera[:, 4]).abs().mean(),
        "doubt": ((error.detach() * torch.exp(-spread) + spread) * weight).sum(),
    }


def draft_loss(layers: Layers, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """Loss of a batch of the dataset, and its parts for the log.

    To the losses of `layer_losses` comes the sheet as a cloud against `points` by Chamfer
    distance. The former say early which pixel is which; left alone they flatten what is uncertain
    to its median, which the latter does not forgive.
    """
    parts = layer_losses(layers, batch)
    lifted = lift(layers.depth, layers.camera)
    cloud = sheet_points(lifted, batch["mask"])
    pairs = nearest_pairs(cloud, batch["points"])
    parts["chamfer"] = chamfer_distance(pairs, squared=False).mean()
    return weighted(parts, _DRAFT_WEIGHTS)


def diffusion_loss(
    layers: Layers,
    denoised: Denoised,
    target: Tensor,
    sigma: Tensor,
    sigma_data: float,
    batch: dict[str, Tensor],
) -> tuple[Tensor, dict[str, float]]:
    """Loss of a batch of noisy clouds, and its parts for the log.

    Squared error weighted as in EDM (Karras et al. 2022, table 1), so that it is about one at
    every sigma for a network that knows nothing; the guesses of earlier rounds count less. Colour
    and normal belong to the clean point: they count where little noise is left.

    Args:
        denoised: of D noisy clouds of each picture, those of one picture together.
        target: [B * D, N, 3] clean points of view space.
        sigma: [B * D].
        batch: as the dataset gives it, with D * N points, in that order.
    """
    weight = (sigma.square() + sigma_data**2) / (sigma * sigma_data).square()
    errors = [
        (weight * (guess - target).square().mean(dim=(1, 2))).mean() for guess in denoised.estimates
    ]
    parts = layer_losses(layers, batch)
    parts["denoise"] = errors[-1]
    parts["earlier"] = torch.stack(errors[:-1]).mean() if errors[:-1] else errors[-1] * 0
    clean = 1 / (1 + (sigma / _CLEAN_SIGMA).square())
    share = (clean / clean.sum())[:, None]
    true_colors = (batch["colors"].float() / 255).view(target.shape)
    colors = (denoised.colors - true_colors).abs().mean(dim=-1)
    normals = turn_to_view(batch["normals"].float(), batch["camera"][:, 0]).view(target.shape)
    cosine = (denoised.normals * normals).sum(dim=-1)
    parts["point_color"] = (colors.mean(dim=1, keepdim=True) * share).sum()
    parts["normal"] = ((1 - cosine).mean(dim=1, keepdim=True) * share).sum()
    return weighted(parts, _DIFFUSION_WEIGHTS)


def weighted(
    parts: dict[str, Tensor], weights: dict[str, float]
) -> tuple[Tensor, dict[str, float]]:
    """The sum of the parts that have a weight; all of them for the log, with that sum first."""
    loss = torch.stack([weight * parts[name] for name, weight in weights.items()]).sum()
    shown = {"loss": loss, **parts}
    return loss, {name: float(value.detach()) for name, value in shown.items()}


def sheet_points(lifted: Tensor, mask: Tensor) -> Tensor:
    """Random points of the sheet that is served: of both layers, and of the walls between them.

    Args:
        lifted: [B, 2, T, T, 3] front and back.
        mask: [B, T, T] bool, no row empty.

    Returns:
        [B, 768, 3].
    """
    B, _, T, _, _ = lifted.shape
    rows = torch.arange(B, device=mask.device)[:, None]
    both = mask[:, None].expand(B, 2, T, T).reshape(B, -1).float()
    layers = lifted.reshape(B, -1, 3)[rows, torch.multinomial(both, _LAYER_POINTS, True)]
    inner = -F.max_pool2d(-mask[:, None].float(), 3, stride=1, padding=1)
    rim = (mask.float() - inner[:, 0]).clamp(min=0).view(B, -1)
    picked = torch.multinomial(rim + 1e-9 * mask.view(B, -1), _WALL_POINTS, True)
    front, back = (lifted[:, layer].reshape(B, -1, 3)[rows, picked] for layer in (0, 1))
    share = torch.rand(B, _WALL_POINTS, 1, device=mask.device)
    return torch.cat([layers, front + share * (back - front)], dim=1)
