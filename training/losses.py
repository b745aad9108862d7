import torch
from torch import Tensor

from models.feedforward.draft import Layers, lift

_COLOR_WEIGHT = 0.25
_CAMERA_WEIGHT = 1.0
_ERROR_WEIGHT = 0.05


def true_camera(camera: Tensor) -> Tensor:
    """The dataset's (elevation, distance, cx, cy, h, fov) [B, 6] as `Layers.camera` [B, 5]."""
    elevation, distance, cx, cy, h = camera[:, :5].unbind(dim=1)
    return torch.stack([h * distance, 1 / distance, cx * distance, cy * distance, elevation], dim=1)


def draft_loss(layers: Layers, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """Loss of a batch of the dataset, and its parts for the log.

    Positions count twice: as depth along the true camera's axis, which trains the per-pixel maps
    alone, and as points of the upright frame, which trains maps and camera together.
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
    depth = ((layers.depth - true_depth).abs() * weight).sum()
    error = torch.linalg.vector_norm(lift(layers.depth, layers.camera) - truth, dim=-1)
    points = (error * weight).sum()
    color = ((layers.color - colors.permute(0, 1, 4, 2, 3)).abs().mean(dim=2) * weight).sum()
    scale = torch.tensor([1.0, 0.5, 1.0, 1.0, 1.0], device=camera.device)
    view = ((layers.camera - camera).abs() * scale).mean()
    spread = layers.log_error.clamp(-6, 1)
    doubt = ((error.detach() * torch.exp(-spread) + spread) * weight).sum()
    loss = depth + points + _COLOR_WEIGHT * color + _CAMERA_WEIGHT * view + _ERROR_WEIGHT * doubt
    tilt = (layers.camera[:, 4] - camera[:, 4]).abs().mean()
    parts = {
        "loss": loss,
        "depth": depth,
        "points": points,
        "color": color,
        "view": view,
        "tilt": tilt,
        "doubt": doubt,
    }
    return loss, {name: float(value.detach()) for name, value in parts.items()}
