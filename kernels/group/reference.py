import torch
from torch import Tensor


def group(features: Tensor, index: Tensor) -> Tensor:
    cloud = torch.arange(len(features), device=features.device)[:, None, None]
    return features[cloud, index]  # [B, M, U, C]


def group_relative(
    points: Tensor, centers: Tensor, features: Tensor | None, index: Tensor
) -> Tensor:
    near = group(points, index) - centers[:, :, None]
    return near if features is None else torch.cat([near, group(features, index)], dim=3)
