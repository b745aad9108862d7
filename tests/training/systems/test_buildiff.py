from dataclasses import replace

import pytest
import torch

from models.diffusion.buildiff import NETWORKS
from models.diffusion.buildiff_encoder import AutoEncoderConfig
from tests.models.diffusion.test_buildiff import SMALL
from training.systems.build import build_system
from training.systems.buildiff import (
    FOOTPRINT_WEIGHT,
    AutoEncoderObjective,
    AutoEncoderTraining,
    BuildiffObjective,
    BuildiffTraining,
    footprint_distance,
    footprint_weight,
    noised,
    varied,
)

PICTURE = AutoEncoderConfig(32, 8, (8,) * 4, (1,) * 4, (1,), 4, (16, 8, 8, 8, 8), 16)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setitem(NETWORKS, "small", replace(SMALL, autoencoder=PICTURE))


def batch(count: int = 4):
    torch.manual_seed(1)
    return {
        "picture": torch.randint(0, 256, (count, 32, 32, 4), dtype=torch.uint8),
        "points": 0.2 * torch.randn(count, 256, 3),
    }


def test_the_footprint_does_not_count_height():
    """By hand: from above, (0, 0) and (3, 0) against (0, 0) and (3, 1): 1/2 each way."""
    guess = torch.tensor([[[0.0, 5.0, 0.0], [3.0, -7.0, 0.0]]])
    target = torch.tensor([[[0.0, 0.0, 0.0], [3.0, 0.0, 1.0]]])

    assert float(footprint_distance(guess, target)) == pytest.approx(1.0)
    higher = guess + torch.tensor([0.0, 100.0, 0.0])
    assert float(footprint_distance(higher, target)) == pytest.approx(1.0)


def test_the_footprint_s_gradient_is_level():
    guess = torch.randn(2, 20, 3, requires_grad=True)
    footprint_distance(guess, torch.randn(2, 20, 3)).sum().backward()

    assert guess.grad is not None
    assert float(guess.grad[..., 1].abs().max()) == 0
    assert float(guess.grad[..., [0, 2]].abs().max()) > 0


def test_the_footprint_counts_less_from_quarter_to_quarter_and_nothing_at_the_last_time():
    t = torch.tensor([0, 249, 250, 499, 500, 749, 750, 998, 999])

    found = footprint_weight(t, 1000).tolist()

    assert found == [1, 1, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25, 0]


def test_noised_clouds_are_of_the_stated_time():
    sigmas = torch.linspace(0.01, 50, 100, dtype=torch.float64)
    target = torch.randn(400, 30, 3)
    y, t, kept, noise = noised(target, sigmas)

    torch.testing.assert_close(y, kept.sqrt() * target + (1 - kept).sqrt() * noise)
    torch.testing.assert_close(((1 - kept) / kept).sqrt().view(-1), sigmas[t].float())
    assert int(t.min()) == 0
    assert int(t.max()) == 99
    assert (torch.bincount(t, minlength=100) >= 2).all()  # evenly spread
    assert float(y.var()) == pytest.approx(1, abs=0.05)


def test_views_are_turned_and_recoloured():
    rgba = torch.rand(6, 4, 16, 16)
    other = varied(rgba)

    assert other.shape == rgba.shape
    assert float(other.min()) >= 0
    assert float(other.max()) <= 1
    for before, after in zip(rgba[:, 3], other[:, 3], strict=True):
        assert not torch.equal(before, after)
        assert any(torch.equal(before.rot90(k), after) for k in (1, 2, 3))
    grey = rgba[:, :3].mean(dim=1, keepdim=True).expand(-1, 3, -1, -1) / 2
    still = varied(torch.cat([grey, rgba[:, 3:]], dim=1))[:, :3]
    torch.testing.assert_close(still[:, 0], still[:, 2], atol=1e-5, rtol=0)  # grey stays grey


def test_the_auto_encoder_learns_to_give_pictures_back():
    objective = AutoEncoderObjective(AutoEncoderTraining("small", consistency=0.01))
    optimizer = torch.optim.Adam(objective.net.parameters(), lr=3e-3)
    losses: list[float] = []
    parts: dict[str, float] = {}
    for _ in range(60):
        loss, parts = objective.loss(batch())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(parts["reconstruction"])

    assert losses[-1] < 0.8 * losses[0]
    assert parts["loss"] == pytest.approx(
        parts["reconstruction"] + 0.01 * parts["consistency"], rel=1e-3
    )


def test_the_diffusion_does_not_change_the_encoder():
    objective = BuildiffObjective(BuildiffTraining("small", draws=2, dense=0.5))
    before = {n: t.clone() for n, t in objective.net.autoencoder.state_dict().items()}
    trained = [p for p in objective.net.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(objective.net.parameters(), lr=1e-2)
    loss, parts = objective.loss(batch())
    loss.backward()
    optimizer.step()

    for name, tensor in objective.net.autoencoder.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)
    assert all(p.grad is not None for p in trained)
    whole = parts["base"] + FOOTPRINT_WEIGHT * parts["footprint"] + parts["upsampler"]
    assert parts["loss"] == pytest.approx(whole, rel=1e-5)


def test_only_new_points_count_in_the_upsampler(monkeypatch):
    """A network that is right about them alone has no loss."""
    objective = BuildiffObjective(BuildiffTraining("small"))
    truth = {}
    original = noised

    def watched(target, sigmas):
        truth["noise"] = original(target, sigmas)
        return truth["noise"]

    monkeypatch.setattr("training.systems.buildiff.noised", watched)

    def perfect(points, t, condition):
        eps = truth["noise"][3].clone()
        eps[:, :64] = 99.0
        return eps

    monkeypatch.setattr(objective.net, "dense_noise", perfect)
    loss = objective._upsampler_loss(torch.randn(2, 256, 3), torch.randn(2, 16))

    assert float(loss) == 0


def test_both_trainings_have_a_name():
    encoder = build_system("buildiff-mini-encoder", {"encoder": {"consistency": 0.5}})
    assert encoder.image_size == 96
    system = build_system("buildiff-mini", {"buildiff": {"draws": 1}})
    assert system.n_points == 4096
