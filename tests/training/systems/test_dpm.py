from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from models.diffusion.dpm import NETWORKS
from models.diffusion.dpm_network import DpmNet
from models.encoders.own import IMAGE_SIZE
from models.feedforward.draft import DraftConfig, DraftNet
from training.export import export
from training.systems.build import build_system
from training.systems.dpm import DpmObjective, DpmTraining
from training.train import TrainConfig, Trainer, load_table

CONFIG = Path(__file__).parents[3] / "training" / "configs" / "dpm-mini.toml"


@pytest.fixture(scope="module")
def encoder() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return DraftNet(DraftConfig(image_size=IMAGE_SIZE)).state_dict()


def objective(encoder: dict[str, Tensor], **options) -> DpmObjective:
    torch.manual_seed(0)
    return DpmObjective(DpmTraining(n_points=64, draws=4, seen=64, **options), encoder)


def batch(count: int = 4) -> dict[str, Tensor]:
    torch.manual_seed(1)
    picture = torch.randint(0, 256, (count, IMAGE_SIZE, IMAGE_SIZE, 4), dtype=torch.uint8)
    points = torch.rand(count, 256, 3) * torch.rand(count, 1, 3)
    return {"picture": picture, "points": points}


def test_every_own_tensor_learns_and_the_encoder_does_not(encoder):
    trained = objective(encoder)
    loss, parts = trained.loss(batch())
    loss.backward()
    still = [name for name, p in trained.net.named_parameters() if p.grad is None]
    # The auto-encoder's codes are means: their variance is not used.
    assert all("_v." in name for name in still)
    assert all(p.grad is None for p in trained.encoder.net.parameters())
    assert parts.keys() == {"loss", "cloud", "picture", "apart"}


def test_a_cloud_of_another_place_and_size_is_the_same(encoder):
    given = batch()
    moved = given | {"points": given["points"] * 2 + 1}
    losses = []
    for item in (given, moved):
        trained = objective(encoder)
        torch.manual_seed(2)
        losses.append(trained.loss(item)[1]["cloud"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)


def test_dropped_pictures_tell_nothing(encoder):
    trained = objective(encoder, drop=1.0, regression=0.0)
    trained.loss(batch())[0].backward()
    assert trained.net.unseen.grad is not None
    head = [p.grad for p in trained.net.head.parameters()]
    assert all(g is None or not g.any() for g in head)


def test_a_batch_can_be_learnt(encoder):
    trained, given = objective(encoder, drop=0.0), batch(2)
    optimizer = torch.optim.AdamW(trained.net.parameters(), lr=3e-3)

    def error() -> float:
        torch.manual_seed(3)  # the same noise
        with torch.no_grad():
            return sum(trained.loss(given)[1]["loss"] for _ in range(4))

    before = error()
    for _ in range(30):
        loss, _ = trained.loss(given)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert error() < 0.9 * before


def test_statistics_of_batch_norm_are_exported(encoder, tmp_path):
    """The average of the weights has those of the network that it is the average of."""
    config = TrainConfig(
        model="dpm-mini",
        pack="",
        manifest="",
        run=str(tmp_path),
        batch_size=2,
        loaders=0,
        threads=1,
    )
    trainer = Trainer(config, objective(encoder))
    trainer._update(batch(2))
    trainer.save()
    (path,) = export(tmp_path / "checkpoint.pt", tmp_path / "dpm.safetensors")
    exported, trained = load_file(path), trainer.net.state_dict()
    for name in ("encoder.bn1.running_mean", "encoder.fc_bn2_m.running_var"):
        torch.testing.assert_close(exported[name].float(), trained[name], rtol=1e-2, atol=1e-3)
    assert exported["encoder.bn1.num_batches_tracked"].item() == 1
    assert exported["encoder.bn1.num_batches_tracked"].dtype == torch.int64
    assert exported["encoder.bn1.running_mean"].any()


def test_the_configuration_names_what_there_is():
    table = load_table(CONFIG)
    assert table.model == "dpm-mini"
    assert table.threads == 1
    built = build_system("dpm-mini", {"dpm": {"n_points": 128, "draws": 2}})
    assert built.n_points == 512  # what the cloud encoder sees
    with pytest.raises(TypeError, match="widths"):
        build_system("dpm-mini", {"dpm": {"widths": 3}})


def test_half_precision_keeps_the_schedule():
    """Exported weights are of half precision, in which its tables would be spoilt."""
    with torch.device("meta"):
        net = DpmNet(NETWORKS["mini"])
    assert not [name for name in net.state_dict() if "var_sched" in name]
