from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from training.samples import FIELDS, SampleStream, write_samples

COUNT, POINTS = 10, 30


class Numbered(IterableDataset[dict[str, Tensor]]):
    """Sample k is full of k; point j of it has j on top. Batches of `size`, then `Stop`."""

    def __init__(self, size: int = 4, batches: int = 100) -> None:
        self.size = size
        self.batches = batches

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for batch in range(self.batches):
            number = torch.arange(batch * self.size, (batch + 1) * self.size)
            own = number.view(-1, 1, 1) * 100 + torch.arange(POINTS).view(1, -1, 1)
            own = own.expand(-1, POINTS, 3)
            yield {
                "picture": number.view(-1, 1, 1, 1).expand(-1, 2, 2, 4).to(torch.uint8),
                "camera": number.view(-1, 1).expand(-1, 6).float(),
                "points": own.float(),
                "normals": own.float() / 2048,
                "colors": (own % 100).to(torch.uint8),
                "mask": torch.ones(self.size, 2, 2),  # of no use here
            }


@pytest.fixture
def folder(tmp_path):
    write_samples(Numbered(), tmp_path / "set", COUNT, workers=0)
    return tmp_path / "set"


def batches(folder: Path, count: int, size: int = 4, n_points: int = 8, seed: int = 0):
    return list(islice(SampleStream(folder, size, n_points, seed), count))


def test_a_set_holds_as_many_as_were_asked_for(folder):
    arrays = {name: np.load(folder / f"{name}.npy") for name in FIELDS}
    assert {len(array) for array in arrays.values()} == {COUNT}
    assert arrays["camera"][:, 0].tolist() == list(range(COUNT))
    assert arrays["normals"].dtype == np.float16
    assert arrays["points"].dtype == np.float32
    assert arrays["picture"].dtype == np.uint8
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{n}.npy" for n in FIELDS)


def test_batches_hold_whole_samples_and_the_same_points_of_each_field(folder):
    for batch in batches(folder, 5):
        number = batch["camera"][:, 0]
        assert len(number.unique()) == 4
        points = batch["points"][..., 0] - 100 * number[:, None]
        assert points.shape == (4, 8)
        assert all(len(row.unique()) == 8 for row in points)
        assert batch["colors"][..., 0].equal(points.to(torch.uint8))
        assert batch["picture"][:, 0, 0, 0].equal(number.to(torch.uint8))
        expected = (100 * number[:, None] + points) / 2048
        torch.testing.assert_close(batch["normals"][..., 0].float(), expected, rtol=1e-3, atol=0)


def test_each_round_sees_every_sample_once_and_other_points(folder):
    seen = batches(folder, 4, size=5)
    for first in (0, 2):
        numbers = torch.cat([batch["camera"][:, 0] for batch in seen[first : first + 2]])
        assert sorted(numbers.tolist()) == list(range(COUNT))
    taken = {tuple((batch["points"][0, :, 0] % 100).tolist()) for batch in seen}
    assert len(taken) == 4


def test_a_seed_decides(folder):
    first, same, other = (batches(folder, 2, seed=seed)[0]["points"] for seed in (1, 1, 2))
    assert first.equal(same)
    assert not first.equal(other)


def test_workers_do_not_repeat_each_other(folder):
    loader = DataLoader(SampleStream(folder, 4, 8, 0), batch_size=None, num_workers=2)
    first, second = islice(iter(loader), 2)
    assert not first["points"].equal(second["points"])


def test_a_set_under_way_is_not_read(tmp_path):
    class Stopped(Numbered):
        def __iter__(self) -> Iterator[dict[str, Tensor]]:
            yield from islice(super().__iter__(), 1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_samples(Stopped(), tmp_path, COUNT, workers=0)
    assert {path.suffix for path in tmp_path.iterdir()} == {".partial"}
    with pytest.raises(FileNotFoundError):
        SampleStream(tmp_path, 4, 8, 0)


def test_a_stopped_rewrite_leaves_the_old_set(folder):
    class Stopped(Numbered):
        def __iter__(self) -> Iterator[dict[str, Tensor]]:
            yield from islice(super().__iter__(), 1)
            raise KeyboardInterrupt

    before = batches(folder, 1)[0]
    with pytest.raises(KeyboardInterrupt):
        write_samples(Stopped(), folder, 2 * COUNT, workers=0)
    assert batches(folder, 1)[0]["points"].equal(before["points"])


def test_a_stream_that_ends_early_leaves_no_set(tmp_path):
    with pytest.raises(ValueError, match="8 of 10"):
        write_samples(Numbered(batches=2), tmp_path, COUNT, workers=0)
    with pytest.raises(FileNotFoundError):
        SampleStream(tmp_path, 4, 8, 0)


def test_sets_that_do_not_suffice_are_refused(folder):
    with pytest.raises(ValueError, match="samples of 30 points, 31 are wanted"):
        SampleStream(folder, 4, POINTS + 1, 0)
    with pytest.raises(ValueError, match="10 samples, batches of 11"):
        SampleStream(folder, COUNT + 1, 8, 0)
    np.save(folder / "camera.npy", np.zeros((3, 6), np.float32))
    with pytest.raises(ValueError, match="different numbers"):
        SampleStream(folder, 2, 8, 0)
