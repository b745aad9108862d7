"""Train a network: `python -m training.train CONFIG.toml --minutes 25 --export OUT.safetensors`.

Resumes from the newest checkpoint of the run's folder, saves at the end, on SIGTERM and every few
minutes, and writes a CSV of losses. The exponential moving average of the weights is what is
exported. A finished cosine is extended by a larger `total_samples`.
"""

import argparse
import copy
import csv
import math
import signal
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from models.diffusion.network import CONFIGS
from training import objectives
from training.bodies.anatomy import BODY_ARCHIVE, Anatomy
from training.dataset import TrainingStream
from training.export import export, pin
from training.meshes import MeshPack, sample_weights, split
from training.objectives import Objective
from training.samples import SampleStream
from training.systems.build import build_system

Stream = IterableDataset[dict[str, Tensor]]


@dataclass(frozen=True, slots=True)
class TrainConfig:
    model: str  # what `training.objectives.build` knows
    pack: str
    manifest: str
    run: str
    bodies: str = ""  # MakeHuman's archive, if it does not lie beside the pack
    samples: str = ""  # folder of `training.samples` to train from, instead of rendering
    start: tuple[tuple[str, str], ...] = ()  # (prefix of names, exported weights), for a new run
    batch_size: int = 32
    learning_rate: float = 6e-4
    weight_decay: float = 0.05
    warmup: int = 500  # steps
    total_samples: int = 150_000  # where the cosine ends
    ema: float = 0.999
    loaders: int = 1
    threads: int = 2  # one, where other programs want the cores: two then run slower
    seed: int = 0
    device: str = "cpu"
    save_minutes: float = 5.0


class Trainer:
    """Raises ValueError where the weights to start from do not fit the network."""

    def __init__(self, config: TrainConfig, objective: Objective) -> None:
        torch.set_num_threads(config.threads)
        self.config = config
        self.device = torch.device(config.device)
        self.folder = Path(config.run)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.objective = objective
        self.net = objective.net.to(self.device)
        for prefix, file in config.start:
            start_from(self.net, prefix, Path(file))
        for parameter in self.net.parameters():
            if parameter.ndim == 4:  # convolutions are faster channels-last on CPU and GPU
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.net).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            parameter_groups(self.net, config.weight_decay),
            lr=config.learning_rate,
            betas=(0.9, 0.98),
        )
        self.samples = 0
        self.step = 0
        self.stopping = False
        signal.signal(signal.SIGTERM, self._stop)
        self._resume()

    def _stop(self, *_: object) -> None:
        """After the step under way the run is saved and left."""
        self.stopping = True

    def fit(self, stream: Stream, minutes: float) -> None:
        loader = DataLoader(
            stream,
            batch_size=None,
            num_workers=self.config.loaders,
            prefetch_factor=6 if self.config.loaders else None,
        )
        started = saved = logged = time.monotonic()
        totals: dict[str, float] = {}
        count = 0
        for batch in loader:
            for name, value in self._update(batch).items():
                totals[name] = totals.get(name, 0.0) + value
            count += 1
            now = time.monotonic()
            if now - logged > 30:
                rate = count * self.config.batch_size / (now - logged)
                self._log({name: value / count for name, value in totals.items()}, rate)
                totals, count, logged = {}, 0, now
            if now - saved > self.config.save_minutes * 60:
                self.save()
                saved = now
            spent = now - started > minutes * 60 or self.samples >= self.config.total_samples
            if spent or self.stopping:
                break
        self.save()

    def _update(self, batch: dict[str, Tensor]) -> dict[str, float]:
        batch = {name: value.to(self.device) for name, value in batch.items()}
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate()
        loss, parts = self.objective.loss(batch)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        self.samples += len(batch["picture"])
        keep = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            averaged: list[Tensor] = list(self.average.parameters())
            current: list[Tensor] = list(self.net.parameters())
            torch._foreach_lerp_(averaged, current, 1 - keep)
            # Running statistics of batch norms are averages already.
            for kept, buffer in zip(self.average.buffers(), self.net.buffers(), strict=True):
                kept.copy_(buffer)
        return parts

    def _learning_rate(self) -> float:
        warm = min(1.0, (self.step + 1) / self.config.warmup)
        done = min(1.0, self.samples / self.config.total_samples)
        return self.config.learning_rate * warm * (0.02 + 0.98 * (1 + math.cos(math.pi * done)) / 2)

    def _log(self, parts: dict[str, float], rate: float) -> None:
        row = {"samples": self.samples, "rate": rate, "lr": self._learning_rate(), **parts}
        path = self.folder / "losses.csv"
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            if fresh:
                writer.writeheader()
            writer.writerow({name: f"{value:.6g}" for name, value in row.items()})
        print(" ".join(f"{name} {value:.4g}" for name, value in row.items()), flush=True)

    def save(self) -> None:
        """Write the checkpoint beside the old one, then replace it: a killed run loses nothing."""
        state = {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "samples": self.samples,
            "step": self.step,
        }
        partial = self.folder / "checkpoint.partial"
        torch.save(state, partial)
        partial.replace(self.folder / "checkpoint.pt")

    def _resume(self) -> None:
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.samples, self.step = state["samples"], state["step"]


def parameter_groups(net: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Weight decay for matrices only: biases, norms and embeddings go without."""
    matrices = [p for name, p in net.named_parameters() if p.ndim > 1 and "position" not in name]
    held = {id(p) for p in matrices}
    rest = [p for p in net.parameters() if id(p) not in held]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0}]


@torch.no_grad()
def start_from(net: nn.Module, prefix: str, file: Path) -> None:
    """Give the tensors of `net` whose names start with `prefix` the values of exported weights.

    Raises:
        ValueError: the weights do not cover exactly these tensors, or a shape differs.
    """
    own = {name: t for name, t in net.state_dict().items() if name.startswith(prefix)}
    given = {prefix + name: tensor for name, tensor in load_file(file).items()}
    odd = sorted(own.keys() ^ given.keys())
    odd += sorted(n for n in own.keys() & given.keys() if own[n].shape != given[n].shape)
    if odd:
        raise ValueError(f"{file} does not fit the network: {', '.join(odd[:5])}")
    for name, tensor in own.items():
        tensor.copy_(given[name])


def load_config(path: Path) -> tuple[TrainConfig, Objective]:
    """Table `train` of a TOML file, and the objective that the others describe.

    Raises:
        TypeError: an unknown name.
        ValueError: an unknown model.
    """
    config = load_table(path)
    torch.manual_seed(config.seed)
    tables = tomllib.loads(path.read_text())
    if config.model == "draft" or config.model in CONFIGS:
        return config, objectives.build(config.model, tables)
    return config, build_system(config.model, tables)


def load_table(path: Path) -> TrainConfig:
    """Table `train` alone.

    Raises:
        TypeError: an unknown name.
    """
    train: dict[str, Any] = tomllib.loads(path.read_text())["train"]
    if "start" in train:
        train["start"] = tuple(train["start"].items())
    return TrainConfig(**train)


def rendered(config: TrainConfig, objective: Objective, seed: int) -> TrainingStream:
    """Samples of the pack's training objects, rendered as they are needed."""
    pack = MeshPack.load(Path(config.pack), Path(config.manifest), Path(config.run).parent)
    train = split(pack).train
    return TrainingStream(
        pack,
        train,
        sample_weights(pack, train),
        seed=seed,
        batch_size=config.batch_size,
        size=objective.image_size,
        target_size=objective.image_size // 2,
        n_points=objective.n_points,
        anatomy=body_source(config),
    )


def body_source(config: TrainConfig) -> Anatomy | None:
    """What bodies are generated from, None where no archive lies beside the pack.

    Raises FileNotFoundError for an archive that the configuration names, AnatomyError.
    """
    archive = Path(config.bodies) if config.bodies else Path(config.pack).with_name(BODY_ARCHIVE)
    if not config.bodies and not archive.is_file():
        print(f"no {archive}: no bodies are generated, only the pack's are drawn", flush=True)
        return None
    return Anatomy.load(archive, Path(config.run).parent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--export", type=Path, help="safetensors file to write at the end")
    parser.add_argument("--prefix", default="", help="of the exported tensors' names")
    args = parser.parse_args()
    config, objective = load_config(args.config)
    trainer = Trainer(config, objective)
    print(
        f"{sum(p.numel() for p in trainer.net.parameters()):,} parameters, "
        f"{trainer.samples} samples seen",
        flush=True,
    )
    seed = config.seed + trainer.step
    stream: Stream
    if config.samples:
        folder = Path(config.samples)
        stream = SampleStream(folder, config.batch_size, objective.n_points, seed)
    else:
        stream = rendered(config, objective, seed)
    trainer.fit(stream, args.minutes)
    if args.export:
        for path in export(trainer.folder / "checkpoint.pt", args.export, prefix=args.prefix):
            print(pin(path), flush=True)


if __name__ == "__main__":
    main()
