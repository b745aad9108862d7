import pytest
import torch
from safetensors.torch import save_file

from models.encoders.own import IMAGE_SIZE
from models.feedforward.draft import DraftConfig, DraftNet
from training.systems.build import build_system
from training.systems.pointe import PointEObjective


@pytest.fixture
def objective(tmp_path) -> PointEObjective:
    torch.manual_seed(0)
    file = tmp_path / "encoder.safetensors"
    save_file(DraftNet(DraftConfig(image_size=IMAGE_SIZE)).state_dict(), file)
    sizes = {"points": 16, "draws": 2, "known": 12, "added": 20}
    built = build_system("pointe-mini", {"pointe": {**sizes, "encoder": str(file)}})
    assert isinstance(built, PointEObjective)
    return built


def batch(objective: PointEObjective) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    N, S = objective.n_points, objective.image_size
    camera = torch.tensor([0.3, 2.5, 0.0, 0.0, 0.22, 0.5]).expand(3, 6)
    return {
        "picture": torch.randint(0, 256, (3, S, S, 4), generator=generator, dtype=torch.uint8),
        "points": 0.02 * torch.randn(3, N, 3, generator=generator) + 0.2,
        "colors": torch.full((3, N, 3), 255, dtype=torch.uint8),
        "camera": camera,
    }


def test_both_networks_learn(objective):
    """All points are in one place, which is soon known."""
    assert objective.n_points == 32
    optimizer = torch.optim.Adam(objective.net.parameters(), lr=3e-3)
    first: dict[str, float] = {}
    last: dict[str, float] = {}
    for _ in range(15):
        loss, last = objective.loss(batch(objective))
        first = first or last
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    assert last["loss"] == pytest.approx(last["base"] + last["upsampler"], abs=1e-3)
    for part in ("base", "upsampler"):
        assert last[part] < 0.75 * first[part]


def test_the_encoder_is_frozen_and_not_exported(objective):
    loss, _ = objective.loss(batch(objective))
    torch.autograd.backward(loss)
    assert all(p.grad is None for p in objective.encoder.net.parameters())
    assert {name.split(".")[0] for name in objective.net.state_dict()} == {"base", "upsample"}


def test_an_unknown_name_in_its_table_is_refused():
    with pytest.raises(TypeError, match="pictures"):
        build_system("pointe-mini", {"pointe": {"pictures": 3}})
