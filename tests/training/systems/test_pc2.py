"""The objectives of PC^2 and CCD-3DR: they can be learnt, and start where they say."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from models.diffusion import pc2
from models.diffusion.ccd3dr import Ccd3drNet
from models.diffusion.pvcnn2 import Pvcnn2Config
from models.encoders.own import OWN_PREFIX
from models.feedforward.draft import DraftConfig, DraftNet
from training.systems.build import build_system
from training.systems.pc2 import Pc2Objective, Pc2Training

TINY = replace(
    pc2.MINI,
    network=Pvcnn2Config(
        extra_feature_channels=47,
        width_multiplier=0.25,
        voxel_resolution_multiplier=0.25,
        centers=(16, 16, 16, 16),
        dropout=0.0,
    ),
)


@pytest.fixture
def training(monkeypatch, tmp_path) -> Pc2Training:
    monkeypatch.setitem(pc2.NETWORKS, "mini", TINY)
    torch.manual_seed(0)
    encoder = tmp_path / "encoder.safetensors"
    save_file(DraftNet(DraftConfig(image_size=96)).state_dict(), encoder)
    return Pc2Training(n_points=64, draws=2, encoder=str(encoder))


def batch(B: int = 2, N: int = 128) -> dict[str, torch.Tensor]:
    """Flat discs that face the camera."""
    generator = torch.Generator().manual_seed(1)
    picture = torch.randint(0, 255, (B, 96, 96, 4), generator=generator, dtype=torch.uint8)
    picture[..., 3] = 0
    picture[:, 24:72, 24:72, 3] = 255
    points = torch.rand(B, N, 3, generator=generator) * torch.tensor([0.5, 0.5, 0.05]) - 0.25
    camera = torch.tensor([0.3, 2.0, 0.0, 0.0, 0.3, 0.6]).expand(B, 6)
    return {"picture": picture, "points": points, "camera": camera}


@pytest.mark.parametrize("centred", [False, True])
def test_the_loss_falls(training, centred):
    objective = Pc2Objective(training, is_centred=centred)
    optimizer = torch.optim.AdamW(objective.net.parameters(), 5e-3)
    losses = []
    for _ in range(12):
        loss, _ = objective.loss(batch())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-3:]) < 0.85 * sum(losses[:3])


def test_every_own_tensor_is_trained_and_no_other(training):
    objective = Pc2Objective(training, is_centred=True)
    loss, parts = objective.loss(batch())
    loss.backward()
    assert parts.keys() == {"loss", "below_500", "centre"}
    lacking = [n for n, p in objective.net.named_parameters() if p.grad is None]
    assert not lacking
    assert not any(p.requires_grad for p in objective.encoder.net.parameters())


def test_an_empty_mask_trains_on(training):
    given = batch()
    given["picture"][0, ..., 3] = 0
    loss, _ = Pc2Objective(training, is_centred=True).loss(given)
    assert loss.isfinite()


def test_ccd3dr_may_begin_with_pc2(training, tmp_path):
    torch.manual_seed(5)
    trained = pc2.Pc2Net(TINY).state_dict()
    file = tmp_path / "pc2.safetensors"
    save_file({OWN_PREFIX + n: t for n, t in trained.items()}, file)
    net = Pc2Objective(replace(training, start=str(file)), is_centred=True).net
    assert isinstance(net, Ccd3drNet)
    for name, value in trained.items():
        assert torch.equal(net.state_dict()[name], value)
    save_file({OWN_PREFIX + "other": torch.zeros(1)}, file)
    with pytest.raises(ValueError, match="no weights of pc2-mini"):
        Pc2Objective(replace(training, start=str(file)), is_centred=True)


@pytest.mark.parametrize("name", ["pc2-mini", "ccd3dr-mini"])
def test_a_configuration_names_it(training, name):
    objective = build_system(name, {"pc2": {"n_points": 64, "encoder": training.encoder}})
    assert isinstance(objective, Pc2Objective)
    assert objective.n_points == 128
    assert isinstance(objective.net, Ccd3drNet) == (name == "ccd3dr-mini")
