import numpy as np
import pytest
import torch

from models.feedforward.draft import Layers
from tests.training.shapes import box, pack_mesh
from training.dataset import collate, make_sample
from training.losses import draft_loss, sheet_points, true_camera


@pytest.fixture(scope="module")
def batch():
    vertices, faces = box((1, 0.6, 0.8))
    rng = np.random.default_rng(0)
    return collate([make_sample(pack_mesh(vertices, faces), rng, 32, 16, 512) for _ in range(3)])


def true_layers(batch):
    """The layers that a perfect network would give."""
    truth = torch.stack([batch["front"], batch["back"]], dim=1)
    elevation = batch["camera"][:, 0].view(-1, 1, 1, 1)
    depth = truth[..., 1] * torch.sin(elevation) + truth[..., 2] * torch.cos(elevation)
    colors = torch.stack([batch["front_color"], batch["back_color"]], dim=1)
    return Layers(
        depth=depth,
        color=colors.float().div(255).permute(0, 1, 4, 2, 3),
        log_error=torch.full_like(depth, -6.0),
        camera=true_camera(batch["camera"]),
    )


def test_the_truth_has_no_loss(batch):
    _, parts = draft_loss(true_layers(batch), batch)
    for name in ("depth", "points", "color", "view", "tilt"):
        assert parts[name] == pytest.approx(0, abs=1e-5), name
    assert parts["chamfer"] < 0.15  # two samples of one surface, a few hundred points each


def test_a_depth_error_is_counted_once_in_depth_and_once_in_points(batch):
    layers = true_layers(batch)
    moved = Layers(layers.depth + 0.1, layers.color, layers.log_error, layers.camera)
    _, parts = draft_loss(moved, batch)
    assert parts["depth"] == pytest.approx(0.1, rel=1e-4)
    assert parts["points"] >= 0.1
    assert parts["color"] == pytest.approx(0, abs=1e-5)


def test_pixels_outside_the_object_do_not_count(batch):
    layers = true_layers(batch)
    outside = (~batch["mask"])[:, None].float()
    moved = Layers(layers.depth + 5 * outside, layers.color, layers.log_error, layers.camera)
    _, parts = draft_loss(moved, batch)
    assert parts["points"] == pytest.approx(0, abs=1e-5)


def test_the_error_estimate_does_not_steer_the_depth(batch):
    layers = true_layers(batch)
    depth = (layers.depth + 0.1).requires_grad_()
    grads = []
    for log_error in (-5.0, 0.5):
        doubt = torch.full_like(layers.depth, log_error)
        torch.manual_seed(0)  # the Chamfer distance draws its points
        loss, _ = draft_loss(Layers(depth, layers.color, doubt, layers.camera), batch)
        grads.append(torch.autograd.grad(loss, depth)[0])
    torch.testing.assert_close(grads[0], grads[1])


def test_points_of_the_sheet_lie_on_layers_and_walls(batch):
    truth = torch.stack([batch["front"], batch["back"]], dim=1)
    points = sheet_points(truth, batch["mask"])
    assert points.shape == (len(truth), 768, 3)
    low, high = (getattr(truth, name)(dim=(1, 2, 3)) for name in ("amin", "amax"))
    assert (points >= low[:, None] - 1e-6).all()
    assert (points <= high[:, None] + 1e-6).all()
