import pytest
import torch

from training.systems.build import build_system

POINTS = 64


def objective(**options):
    torch.manual_seed(0)
    table = {"draws": 2, "fewest": POINTS // 2, "n_points": POINTS, **options}
    return build_system("dit3d-mini", {"dit3d": table})


def batch():
    generator = torch.Generator().manual_seed(1)
    return {
        "picture": torch.randint(256, (2, 96, 96, 4), dtype=torch.uint8, generator=generator),
        "camera": torch.tensor([0.4, 2.0, 0.0, 0.0, 0.25, 0.6]).expand(2, -1),
        "points": 0.25 * torch.randn(2, POINTS, 3, generator=generator),
    }


def test_the_loss_of_a_fresh_network_is_that_of_a_normal_cloud():
    """It says v = 0, whose mean square is 1 for data of unit variance."""
    system = objective()
    losses = [system.loss(batch())[0].item() for _ in range(10)]
    assert sum(losses) / 10 == pytest.approx(1, abs=0.25)


def test_only_the_system_s_own_network_is_trained():
    system = objective()
    loss, parts = system.loss(batch())
    loss.backward()
    assert parts["loss"] == loss.item()
    assert parts["early"] + parts["late"] == pytest.approx(2 * parts["loss"], rel=1e-5)
    final = system.net.denoiser.final_layer.linear.weight.grad
    assert float(final.abs().max()) > 0
    assert all(p.grad is None for p in system.encoder.net.parameters())


def test_it_learns_where_the_object_is():
    """A small ball away from the middle, at the same place in all pictures."""
    system = objective(drop=0.0)
    given = batch()
    given["points"] = 0.1 * given["points"] + torch.tensor([0.3, -0.2, 0.1])
    optimizer = torch.optim.Adam(system.net.parameters(), 2e-3)
    found = []
    for _ in range(16):
        loss, _ = system.loss(given)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    assert sum(found[-4:]) < 0.8 * sum(found[:4])


def test_what_is_dropped_does_not_depend_on_the_picture():
    losses = []
    for picture in (0, 255):
        system = objective(drop=1.0)
        with torch.no_grad():
            system.net.denoiser.final_layer.linear.weight.normal_()
        given = batch() | {"picture": torch.full((2, 96, 96, 4), picture, dtype=torch.uint8)}
        torch.manual_seed(2)
        losses.append(system.loss(given)[0].item())
    assert losses[0] == losses[1]


def test_an_unknown_setting_is_refused():
    with pytest.raises(TypeError, match="points"):
        objective(points=3)
