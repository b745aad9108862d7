import hashlib
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save

from models.catalog import CATALOG, DRAFT, WeightFile
from models.checkpoints import load_tensors, read_verified
from models.errors import WeightsError


def write(folder, name, tensors) -> WeightFile:
    data = save(tensors)
    (folder / name).write_bytes(data)
    return WeightFile(name, hashlib.sha256(data).hexdigest(), len(data))


@pytest.fixture
def piece(tmp_path) -> WeightFile:
    return write(tmp_path, "a.safetensors", {"w": torch.arange(6.0).view(2, 3).half()})


def test_half_on_disk_is_float_in_memory(tmp_path, piece):
    tensors = load_tensors(replace(DRAFT, weights=(piece,)), tmp_path)

    assert tensors["w"].dtype == torch.float32
    assert torch.equal(tensors["w"], torch.arange(6.0).view(2, 3))


def test_pieces_are_merged(tmp_path, piece):
    other = write(tmp_path, "b.safetensors", {"count": torch.tensor([3], dtype=torch.int64)})

    tensors = load_tensors(replace(DRAFT, weights=(piece, other)), tmp_path)

    assert {name: value.dtype for name, value in tensors.items()} == {
        "w": torch.float32,
        "count": torch.int64,
    }


def test_a_tensor_may_not_come_twice(tmp_path, piece):
    other = write(tmp_path, "b.safetensors", {"w": torch.zeros(1)})

    with pytest.raises(WeightsError, match=r"b\.safetensors.*'w'"):
        load_tensors(replace(DRAFT, weights=(piece, other)), tmp_path)


def test_a_missing_file_is_named(tmp_path, piece):
    (tmp_path / piece.name).unlink()

    with pytest.raises(WeightsError, match=rf"a\.safetensors: expected {piece.bytes} bytes.*none"):
        read_verified(piece, tmp_path)


def test_a_truncated_file_is_named_with_both_lengths(tmp_path, piece):
    path = tmp_path / piece.name
    path.write_bytes(path.read_bytes()[:-7])

    with pytest.raises(WeightsError, match=f"expected {piece.bytes} bytes, got {piece.bytes - 7}"):
        read_verified(piece, tmp_path)


def test_an_altered_file_is_named_with_both_sums(tmp_path, piece):
    path = tmp_path / piece.name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    got = hashlib.sha256(data).hexdigest()

    with pytest.raises(WeightsError, match=f"expected sha256 {piece.sha256}, got {got}"):
        load_tensors(replace(DRAFT, weights=(piece,)), tmp_path)


def test_other_formats_are_refused(tmp_path):
    data = b"PK\x03\x04 a pickle in a zip"
    (tmp_path / "c.pt").write_bytes(data)
    file = WeightFile("c.pt", hashlib.sha256(data).hexdigest(), len(data))

    with pytest.raises(WeightsError, match="no safetensors file"):
        load_tensors(replace(DRAFT, weights=(file,)), tmp_path)


def test_a_card_without_weights_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="no weights"):
        load_tensors(replace(DRAFT, weights=()), tmp_path)


@pytest.mark.parametrize("card", CATALOG.values(), ids=list(CATALOG))
def test_the_shipped_weights_are_the_pinned_ones(card):
    for file in card.weights:
        read_verified(file)
