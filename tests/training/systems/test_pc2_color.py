"""The objective of PC^2's colour model."""

import torch

from models.feedforward.draft import DraftNet
from tests.training.systems.test_pc2 import batch, training  # noqa: F401
from training.systems.build import build_system
from training.systems.pc2 import Pc2Training
from training.systems.pc2_color import ColorObjective, ColorTraining


def colored(N: int = 64) -> dict[str, torch.Tensor]:
    """Each object of one colour, which the picture shows."""
    given = batch(N=N)
    colors = torch.tensor([[250, 10, 10], [10, 20, 240]], dtype=torch.uint8)
    given["picture"][..., :3] = colors[:, None, None]
    return given | {"colors": colors[:, None].expand(-1, N, -1)}


def objective(training: Pc2Training) -> ColorObjective:  # noqa: F811
    return ColorObjective(ColorTraining(n_points=64, encoder=training.encoder))


def test_it_learns_the_picture_s_colours(training):  # noqa: F811
    found = objective(training)
    optimizer = torch.optim.AdamW(found.net.parameters(), 3e-3)
    losses = []
    for _ in range(10):
        loss, _ = found.loss(colored())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    assert losses[0] < 1  # about grey: no colour is far outside of 0..1


def test_its_own_tensors_are_trained_and_no_other(training):  # noqa: F811
    found = objective(training)
    loss, parts = found.loss(colored())
    loss.backward()
    assert parts.keys() == {"loss", "mean_colour"}
    assert not [n for n, p in found.net.named_parameters() if p.grad is None]
    assert isinstance(found.encoder.net, DraftNet)
    assert not any(p.requires_grad for p in found.encoder.net.parameters())


def test_a_configuration_names_it(training):  # noqa: F811
    table = {"n_points": 64, "encoder": training.encoder}
    found = build_system("pc2-mini-color", {"color": table})
    assert isinstance(found, ColorObjective)
    assert found.n_points == 64
