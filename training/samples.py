"""Rendered samples kept on disk: `python -m training.samples CONFIG.toml --count 8000 --out DIR`.

Small networks train faster than pictures can be rendered. Several of them can go through one set,
which is also the fairest way to compare them.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from training.dataset import TrainingStream
from training.meshes import MeshPack, sample_weights, split

FIELDS = ("picture", "camera", "points", "normals", "colors")
_BATCH = 16


def write_samples(
    stream: IterableDataset[dict[str, Tensor]], folder: Path, count: int, workers: int = 1
) -> None:
    """Draw `count` samples of `stream` and write each of FIELDS as FIELD.npy, [count, ...].

    A set under way stands in `folder` as FIELD.npy.partial, so that half a set is never read.

    Raises ValueError where the stream ends too early.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, np.memmap] = {}
    done = 0
    for batch in DataLoader(stream, batch_size=None, num_workers=workers):
        room = min(len(batch["picture"]), count - done)
        for name in FIELDS:
            values = batch[name].numpy()
            values = values.astype(np.float16) if name == "normals" else values
            if name not in arrays:
                partial = folder / f"{name}.npy.partial"
                shape = (count, *values.shape[1:])
                arrays[name] = open_memmap(partial, "w+", values.dtype, shape)
            arrays[name][done : done + room] = values[:room]
        done += room
        print(f"{done} of {count}", flush=True)
        if done == count:
            break
    else:
        raise ValueError(f"{folder}: the stream ended after {done} of {count} samples")
    for name, array in arrays.items():
        array.flush()
        (folder / f"{name}.npy.partial").replace(folder / f"{name}.npy")


class SampleStream(IterableDataset[dict[str, Tensor]]):
    """An endless stream of batches from a set that `write_samples` wrote.

    Of the points of a sample, `n_points` are drawn anew each time.

    Raises FileNotFoundError where `folder` holds no complete set, ValueError where its samples have
    fewer points, where it has fewer samples than a batch, or where its files are not of one set.
    """

    def __init__(self, folder: Path, batch_size: int, n_points: int, seed: int) -> None:
        self.folder = folder
        self.batch_size = batch_size
        self.n_points = n_points
        self.seed = seed
        self.arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in FIELDS}
        count, held = self.arrays["points"].shape[:2]
        if any(len(array) != count for array in self.arrays.values()):
            raise ValueError(f"{folder}: its files hold different numbers of samples")
        if count < batch_size:
            raise ValueError(f"{folder}: {count} samples, batches of {batch_size} are wanted")
        if n_points > held:
            raise ValueError(f"{folder}: samples of {held} points, {n_points} are wanted")

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        info = get_worker_info()
        rng = np.random.default_rng([self.seed, 0 if info is None else info.id])
        held = self.arrays["points"].shape[1]
        while True:
            order = rng.permutation(len(self.arrays["points"]))
            for begin in range(0, len(order) - self.batch_size + 1, self.batch_size):
                rows = np.sort(order[begin : begin + self.batch_size])
                taken = rng.permutation(held)[: self.n_points]
                batch = {}
                for name, array in self.arrays.items():
                    values = np.asarray(array[rows])
                    if name in ("points", "normals", "colors"):
                        values = values[:, taken]
                    batch[name] = torch.from_numpy(np.ascontiguousarray(values))
                yield batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="whose pack and picture size are used")
    parser.add_argument("--count", type=int, default=8000)
    parser.add_argument("--points", type=int, default=2048)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    # Only now: the trainer reads such sets.
    from training.train import body_source, load_table

    config = load_table(args.config)
    pack = MeshPack.load(Path(config.pack), Path(config.manifest), Path(config.run).parent)
    train = split(pack).train
    stream = TrainingStream(
        pack,
        train,
        sample_weights(pack, train),
        seed=config.seed,
        batch_size=_BATCH,
        size=args.size,
        target_size=args.size // 2,
        n_points=args.points,
        anatomy=body_source(config),
    )
    write_samples(stream, args.out, args.count, args.workers)


if __name__ == "__main__":
    main()
