import torch
from torch import Tensor
from torch.nn import functional as F

from models.feedforward.draft import Layers, lift

_DEPTH_WEIGHT = 0.1
_POINTS_WEIGHT = 0.1
_CHAMFER_WEIGHT = 3.0
_COLOR_WEIGHT = 0.25
_CAMERA_WEIGHT = 1.0
_ERROR_WEIGHT = 0.05
_LAYER_POINTS, _WALL_POINTS = 640, 128  # predicted points in the Chamfer distance


def true_camera(camera: Tensor) -> Tensor:
    """The dataset's (elevation, distance, cx, cy, h, fov) [B, 6] as `Layers.camera` [B, 5]."""
    elevation, distance, cx, cy, h = camera[:, :5].unbind(dim=1)
    return torch.stack([h * distance, 1 / distance, cx * distance, cy * distance, elevation], dim=1)


def draft_loss(layers: Layers, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """Loss of a batch of the dataset, and its parts for the log.

    Positions count three times: as depth along the true camera's axis, which trains the per-pixel
    maps alone; as points of the upright frame, which trains maps and camera together; and as a
    cloud against `points` by Chamfer distance. The first two say early which pixel is which; left
    alone they flatten what is uncertain to its median, which the third does not forgive.
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
    lifted = lift(layers.depth, layers.camera)  # [B, 2, T, T, 3]
    error = torch.linalg.vector_norm(lifted - truth, dim=-1)
    points = (error * weight).sum()
    cloud = sheet_points(lifted, batch["mask"])
    distance = chamfer(cloud, batch["points"])
    color = ((layers.color - colors.permute(0, 1, 4, 2, 3)).abs().mean(dim=2) * weight).sum()
    scale = torch.tensor([1.0, 0.5, 1.0, 1.0, 1.0], device=camera.device)
    view = ((layers.camera - camera).abs() * scale).mean()
    spread = layers.log_error.clamp(-6, 1)
    doubt = ((error.detach() * torch.exp(-spread) + spread) * weight).sum()
    loss = (
        _DEPTH_WEIGHT * depth
        + _POINTS_WEIGHT * points
        + _CHAMFER_WEIGHT * distance
        + _COLOR_WEIGHT * color
        + _CAMERA_WEIGHT * view
        + _ERROR_WEIGHT * doubt
    )
    tilt = (layers.camera[:, 4] - camera[:, 4]).abs().mean()
    parts = {
        "loss": loss,
        "depth": depth,
        "points": points,
        "chamfer": distance,
        "color": color,
        "view": view,
        "tilt": tilt,
        "doubt": doubt,
    }
    return loss, {name: float(value.detach()) for name, value in parts.items()}


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


def chamfer(a: Tensor, b: Tensor) -> Tensor:
    """Mean distance of [B, N, 3] and [B, M, 3] to each other's nearest points, both directions
    summed. The pairs are found without a gradient, which only they need."""
    with torch.no_grad():
        distance = torch.cdist(a, b)
        of_a, of_b = distance.argmin(dim=2), distance.argmin(dim=1)
    rows = torch.arange(len(a), device=a.device)[:, None]
    there: Tensor = torch.linalg.vector_norm(a - b[rows, of_a] + 1e-9, dim=-1).mean()
    back: Tensor = torch.linalg.vector_norm(b - a[rows, of_b] + 1e-9, dim=-1).mean()
    return there + back
