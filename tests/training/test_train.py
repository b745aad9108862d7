import csv
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.diffusion.denoiser import DenoiserConfig
from models.diffusion.network import BozzettoConfig
from models.feedforward.draft import DraftConfig, DraftNet
from training.dataset import TrainingStream
from training.export import export, pin
from training.meshes import sample_weights, split
from training.objectives import DiffusionConfig, DiffusionObjective, DraftObjective
from training.train import TrainConfig, Trainer, body_source, load_config, start_from

CONFIGS = Path(__file__).parents[2] / "training" / "configs"
SMALL = DraftConfig(image_size=32, channels=(8, 16, 16), width=32, layers=1, heads=2)
SMALL_DENOISER = DenoiserConfig(width=32, features=16, latents=8, rounds=2, heads=2)


def draft() -> DraftObjective:
    torch.manual_seed(0)
    return DraftObjective(SMALL)


def diffusion() -> DiffusionObjective:
    torch.manual_seed(0)
    return DiffusionObjective(
        BozzettoConfig(SMALL, SMALL_DENOISER), DiffusionConfig(n_points=128, draws=2)
    )


@pytest.fixture
def config(tmp_path):
    return TrainConfig(
        model="draft", pack="", manifest="", run=str(tmp_path / "run"), batch_size=4, warmup=2,
        total_samples=24, loaders=0, threads=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def stream(pack):
    train = split(pack).train
    return TrainingStream(pack, train, sample_weights(pack, train), 0, 4, 32, 16, 256)


def test_a_run_goes_on_from_where_it_was_saved(config, stream):
    Trainer(replace(config, total_samples=12), draft()).fit(stream, minutes=1)
    resumed = Trainer(config, draft())
    assert (resumed.samples, resumed.step) == (12, 3)
    before = {name: t.clone() for name, t in resumed.net.state_dict().items()}
    resumed.fit(stream, minutes=1)
    assert resumed.samples == 24
    changed = [name for name, t in resumed.net.state_dict().items() if not t.equal(before[name])]
    assert "head.weight" in changed


def test_the_time_budget_ends_a_run_that_is_saved(config, stream):
    Trainer(replace(config, total_samples=10**9), draft()).fit(stream, minutes=0)
    assert Trainer(config, draft()).samples == 4


def test_one_batch_can_be_learnt(config, stream):
    trainer = Trainer(replace(config, learning_rate=3e-3), draft())
    batch = next(iter(stream))
    losses = [trainer._update(batch)["loss"] for _ in range(80)]
    assert losses[-1] < 0.7 * losses[0]


def test_one_batch_can_be_denoised(config, stream):
    trainer = Trainer(replace(config, learning_rate=2e-3, ema=0.9), diffusion())
    batch = next(iter(stream))

    def denoise() -> float:
        torch.manual_seed(1)  # the same noise
        with torch.no_grad():
            return sum(trainer.objective.loss(batch)[1]["denoise"] for _ in range(20)) / 20

    before = denoise()
    trainer.config = replace(trainer.config, total_samples=10**9)
    for _ in range(200):
        trainer._update(batch)
    # Noise along the surface can never be told from the surface: two thirds of it stay.
    assert denoise() < 0.93 * before


def test_a_run_starts_from_exported_weights(config, stream, tmp_path):
    first = Trainer(replace(config, total_samples=8), draft())
    first.fit(stream, minutes=1)
    weights = tmp_path / "draft.safetensors"
    export(first.folder / "checkpoint.pt", weights)
    second = replace(config, run=str(tmp_path / "second"), start=(("encoder.", str(weights)),))
    trainer = Trainer(second, diffusion())
    assert trainer.net.state_dict()["encoder.head.bias"].equal(
        load_file(weights)["head.bias"].float()
    )
    with pytest.raises(ValueError, match="does not fit the network: blocks"):
        Trainer(replace(second, start=(("", str(weights)),)), diffusion())


def test_losses_are_written_as_csv(config, stream):
    trainer = Trainer(config, draft())
    trainer._log({"loss": 1.0}, rate=10.0)
    trainer._log({"loss": 0.5}, rate=10.0)
    rows = list(csv.DictReader((trainer.folder / "losses.csv").read_text().splitlines()))
    assert [row["loss"] for row in rows] == ["1", "0.5"]


def test_the_average_is_exported_in_half_precision(config, stream, tmp_path):
    trainer = Trainer(replace(config, total_samples=8), draft())
    trainer.fit(stream, minutes=1)
    out = tmp_path / "draft.safetensors"
    assert export(trainer.folder / "checkpoint.pt", out) == [out]
    assert hashlib.sha256(out.read_bytes()).hexdigest() in pin(out)
    tensors = load_file(out)
    assert {t.dtype for t in tensors.values()} == {torch.float16}
    expected = trainer.average.state_dict()
    torch.testing.assert_close(
        tensors["head.bias"].float(), expected["head.bias"], atol=1e-3, rtol=1e-3
    )
    DraftNet(SMALL).load_state_dict(tensors)


def test_large_weights_are_exported_in_pieces(config, stream, tmp_path):
    trainer = Trainer(config, draft())
    trainer.save()
    checkpoint, out = trainer.folder / "checkpoint.pt", tmp_path / "weights.safetensors"
    pieces = export(checkpoint, out, max_bytes=60_000)
    assert [path.name for path in pieces[:2]] == ["weights-1.safetensors", "weights-2.safetensors"]
    assert all(path.stat().st_size <= 60_000 for path in pieces)
    joined = {name: t for path in pieces for name, t in load_file(path).items()}
    assert joined.keys() == trainer.net.state_dict().keys()


def test_an_unknown_setting_is_refused(tmp_path):
    path = tmp_path / "config.toml"
    table = '[train]\nmodel = "draft"\npack = "p"\nmanifest = "m"\nrun = "r"\n'
    path.write_text(
        '[train]\nmodel = "draft"\npack = "p"\nmanifest = "m"\nrun = "r"\nlerning_rate = 1\n'
    )
    with pytest.raises(TypeError, match="lerning_rate"):
        load_config(path)
    path.write_text(
        '[train]\nmodel = "draft"\npack = "p"\nmanifest = "m"\nrun = "r"\n[network]\nwdth = 1\n'
    )
    with pytest.raises(TypeError, match="wdth"):
        load_config(path)
    path.write_text(table.replace("draft", "drft"))
    with pytest.raises(ValueError, match="drft"):
        load_config(path)


def test_bodies_are_generated_where_an_archive_lies_beside_the_pack(
    config, archive, tmp_path, capsys
):
    bare = replace(config, pack=str(tmp_path / "pack.npz"))
    assert body_source(bare) is None
    assert "only the pack's" in capsys.readouterr().out
    beside = replace(config, pack=str(archive.with_name("pack.npz")))
    assert body_source(beside) is not None
    with pytest.raises(FileNotFoundError):
        body_source(replace(config, bodies=str(tmp_path / "none.tar.xz")))


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_the_configurations_of_the_repository_can_be_built(path, tmp_path):
    config, objective = load_config(path)
    assert config.run == f"runs/{path.stem}"
    assert sum(p.numel() for p in objective.net.parameters()) < 25_000_000
    for prefix, file in config.start:
        start_from(objective.net, prefix, shipped_or_of_a_run(Path(file), tmp_path))


def shipped_or_of_a_run(file: Path, folder: Path) -> Path:
    """Weights of the repository; of an earlier run, which a clone lacks, its network untrained."""
    if file.parts[0] != "runs":
        return CONFIGS.parents[1] / file
    _, run, name = file.parts
    path = folder / name
    save_file(load_config(CONFIGS / f"{run}.toml")[1].net.state_dict(), path)
    return path
