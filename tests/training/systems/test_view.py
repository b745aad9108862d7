import pytest
import torch
from torch import Tensor

from models.diffusion.view_network import COLOR_SIGMA, VIEW_SIGMA
from models.encoders.own import IMAGE_SIZE
from tests.repository.files import ROOT
from training.systems.build import build_system
from training.systems.view import ViewObjective, ViewTraining
from training.train import load_table

PRESETS = ("gecco-mini", "colored-mini")


def objective(preset: str) -> ViewObjective:
    torch.manual_seed(0)
    file = ROOT / "models" / "weights" / "draft" / "weights.safetensors"
    return ViewObjective(preset, ViewTraining(n_points=64, draws=2, encoder=str(file)))


def batch(count: int = 3) -> dict[str, Tensor]:
    torch.manual_seed(1)
    picture = torch.randint(0, 256, (count, IMAGE_SIZE, IMAGE_SIZE, 4), dtype=torch.uint8)
    camera = torch.tensor([[0.4, 2.1, 0.0, 0.0, 0.24, 0.5]]).expand(count, 6)
    points = (torch.rand(count, 128, 3) - 0.5) * 0.6
    colors = torch.randint(0, 256, (count, 128, 3), dtype=torch.uint8)
    return {"picture": picture, "camera": camera, "points": points, "colors": colors}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_own_tensor_learns_and_the_encoder_does_not(preset):
    trained = objective(preset)
    loss, parts = trained.loss(batch())
    loss.backward()
    assert [name for name, p in trained.net.named_parameters() if p.grad is None] == []
    assert all(p.grad is None for p in trained.encoder.net.parameters())
    assert ("color" in parts) == (preset == "colored-mini")


@pytest.mark.parametrize("preset", PRESETS)
def test_an_untrained_network_loses_about_one(preset):
    """EDM's weight makes every noise level count the same."""
    data = batch(8)
    trained = objective(preset)
    spread = torch.tensor(VIEW_SIGMA)
    trained.net.spread[:3] = spread / spread.mean() * 0.36  # of the cube above, about
    parts = trained.loss(data)[1]
    assert parts["below_1"] == pytest.approx(1, abs=0.35)
    assert parts["loss"] == pytest.approx(1 + 0.5 * parts.get("color", 0), abs=0.35)


def test_clouds_of_one_picture_stay_together():
    trained = objective("colored-mini")
    data = batch()
    target = trained._targets(data)
    colors = (data["colors"].float() / 127.5 - 1) / COLOR_SIGMA
    assert target.shape == (6, 64, 6)
    torch.testing.assert_close(target[1, :, 3:], colors[0, 64:])
    torch.testing.assert_close(target[2, :, 3:], colors[1, :64])


@pytest.mark.parametrize("preset", PRESETS)
def test_the_configuration_builds(preset, monkeypatch):
    monkeypatch.chdir(ROOT)
    table = load_table(ROOT / "training" / "configs" / f"{preset}.toml")
    assert table.model == preset
    assert isinstance(build_system(preset, {}), ViewObjective)
