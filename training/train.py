"""Train `draft`: `python -m training.train CONFIG.toml --minutes 60`.

Resumes from the newest checkpoint of the run's folder, saves at the end and every few minutes,
and writes a CSV of losses. The exponential moving average of the weights is what is exported.
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

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from models.feedforward.draft import DraftConfig, DraftNet
from training.dataset import TrainingStream
from training.losses import draft_loss
from training.meshes import MeshPack, sample_weights, split


@dataclass(frozen=True, slots=True)
class TrainConfig:
    pack: str
    manifest: str
    run: str
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
    def __init__(self, config: TrainConfig, net_config: DraftConfig) -> None:
        torch.manual_seed(config.seed)
        torch.set_num_threads(config.threads)
        self.config = config
        self.device = torch.device(config.device)
        self.folder = Path(config.run)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.net = DraftNet(net_config).to(self.device)
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

    def fit(self, stream: TrainingStream, minutes: float) -> None:
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
        with torch.autocast(self.device.type, torch.bfloat16):
            layers = self.net(batch["picture"].float().div(255).permute(0, 3, 1, 2))
        loss, parts = draft_loss(layers, batch)
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


def load_config(path: Path) -> tuple[TrainConfig, DraftConfig]:
    """Tables `train` and `network` of a TOML file. Raises TypeError for an unknown name."""
    raw = tomllib.loads(path.read_text())
    return TrainConfig(**raw["train"]), DraftConfig(**raw.get("network", {}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--minutes", type=float, default=60.0)
    args = parser.parse_args()
    config, net_config = load_config(args.config)
    pack = MeshPack.load(Path(config.pack), Path(config.manifest), Path(config.run).parent)
    train = split(pack).train
    trainer = Trainer(config, net_config)
    print(
        f"{sum(p.numel() for p in trainer.net.parameters()):,} parameters, "
        f"{len(train)} objects, {trainer.samples} samples seen",
        flush=True,
    )
    stream = TrainingStream(
        pack,
        train,
        sample_weights(pack, train),
        seed=config.seed + trainer.step,
        batch_size=config.batch_size,
        size=net_config.image_size,
        target_size=net_config.image_size // 2,
        n_points=768,
    )
    trainer.fit(stream, args.minutes)


if __name__ == "__main__":
    main()
