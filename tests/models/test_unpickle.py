"""Checkpoints are read, whatever class they name; hostile ones run nothing, and say so."""

import argparse
import io
import os
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from models.conversion import Contents, read
from models.errors import CheckpointError

PROOF = "bozzetto-was-here"


def load(path: Path) -> Contents:
    scratch = path.with_name(path.name + ".scratch")
    scratch.mkdir()
    return read(path, scratch)


class Settings:
    """Stands for a settings object of an author's library."""

    scale_factor: float
    parent: "Settings"


class Stateless:
    """Is pickled as a class alone: neither its `__init__` nor a state is asked for."""


class Attack:
    """Asks whoever reads it for a call."""

    def __init__(self, call, *arguments) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


class Built:
    """Asks for an object whose state is set by a method."""

    def __reduce__(self):
        return Settings, (), {"state": torch.ones(2)}, iter([1, 2]), iter([("a", 1)])


def as_zip(path: Path, data: bytes, *, compression=zipfile.ZIP_STORED, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", data)
        for name, content in members.items():
            archive.writestr(f"archive/{name.replace('__', '/')}", content)
    return path


def pickled(
    storage_values: int, shape: tuple[int, ...], stride: tuple[int, ...], offset=0
) -> bytes:
    """{"w": tensor}, written by hand: opcodes of protocol 2."""

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    def number(value: int) -> bytes:
        return b"\x8a\x08" + struct.pack("<q", value)

    def several(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(number, values)) + b"t"

    persistent = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu")
    persistent += number(storage_values) + b"tQ"
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n(" + persistent + number(offset)
    rebuild += several(shape) + several(stride) + b"\x89" + b"N" + b"tR"
    return b"\x80\x02}" + text("w") + rebuild + b"s."


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_everything_that_checkpoints_hold(tmp_path, legacy):
    settings = Settings()
    settings.scale_factor, settings.parent = 7.0, settings
    layer = torch.nn.Linear(3, 4)
    turned = torch.arange(6.0).reshape(2, 3).t()
    whole: dict[str, Any] = {
        "args": argparse.Namespace(model="flow", latent_dim=256, broken=float("nan")),
        "state_dict": layer.state_dict(),
        "parameter": layer.weight,
        "turned": turned,
        "part": torch.arange(10)[2:8:2],
        "expanded": torch.ones(1).expand(3),
        "bf16": torch.ones(2, dtype=torch.bfloat16),
        "flags": torch.tensor([True, False]),
        "nothing": torch.zeros(0, 3),
        "one": torch.tensor(5, dtype=torch.int16),
        "ema": {"decay": 0.9, "shadow_params": [torch.ones(2), torch.zeros(3)]},
        "optimizer": {"state": torch.zeros(1000)},
        "cfg": settings,
        "callback": Stateless(),
        "epoch": 12,
    }
    path = tmp_path / "a.pt"
    torch.save(whole, path, _use_new_zipfile_serialization=not legacy)

    contents = load(path)

    expected: dict[tuple[str, ...], torch.Tensor] = {
        ("state_dict", "weight"): layer.weight.detach(),
        ("state_dict", "bias"): layer.bias.detach(),
        ("parameter",): layer.weight.detach(),
        ("ema", "shadow_params", "0"): torch.ones(2),
        ("ema", "shadow_params", "1"): torch.zeros(3),
        **{
            (name,): whole[name]
            for name in ("turned", "part", "expanded", "bf16", "flags", "nothing", "one")
        },
    }
    assert contents.tensors.keys() == expected.keys()
    for keys, tensor in expected.items():
        found = contents.tensors[keys]
        assert found.dtype == tensor.dtype, keys
        assert torch.equal(found, tensor), keys
    notes = contents.notes
    assert (notes["model"], notes["latent_dim"], notes["epoch"]) == ("flow", 256, 12)
    assert notes["cfg.scale_factor"] == notes["scale_factor"] == 7.0
    assert "broken" not in notes


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    "call",
    [
        (os.system, f"touch {PROOF}"),
        (eval, f"open('{PROOF}', 'w')"),
        (exec, f"open('{PROOF}', 'w')"),
        (open, PROOF, "w"),
        (getattr, Settings, "__init__"),
        (torch.load, PROOF),
        (__import__, PROOF),
        (os.mkdir, PROOF),
    ],
    ids=lambda call: call[0].__name__,
)
def test_what_a_pickle_calls_is_not_called(tmp_path, monkeypatch, call, legacy):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.pt"
    state = {"w": torch.ones(2), "evil": Attack(*call), "built": Built()}
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)

    contents = load(path)

    assert torch.equal(contents.tensors["w",], torch.ones(2))
    assert not list(tmp_path.rglob(PROOF))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cannot be read"),
        (b"hello", "cannot be read"),
        # Sets attributes of a name that this reader has made itself, or of a real class.
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x01\x00\x00\x00aK\x01sb.", "cannot"),
        (b"\x80\x02ccollections\nOrderedDict\nN}X\x05\x00\x00\x00itemsK\x01s\x86b.", "cannot"),
        (b"\x80\x02X\x01\x00\x00\x00aQ.", "cannot be read"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"a.", "cannot be read"),
        (b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"a.", "cannot be read"),
        (b"\x80\x02Nr" + struct.pack("<I", 2**32 - 1) + b".", "cannot be read"),
        (b"\x80\x02\x82\x01.", "cannot be read"),
    ],
)
def test_broken_pickles(tmp_path, data, message):
    path = tmp_path / "a.pt"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=message):
        load(path)
    with pytest.raises(CheckpointError, match=r"cannot be read|storage"):
        load(as_zip(tmp_path / "b.pt", data or b"."))


def test_a_pickle_that_torch_has_not_written(tmp_path):
    path = tmp_path / "a.pt"
    path.write_bytes(b"\x80\x02]q\x00." * 5)
    with pytest.raises(CheckpointError, match=r"no file of torch\.save"):
        load(path)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (pickled(2, (3,), (1,)), "beyond its storage"),
        (pickled(2, (1,), (1,), offset=2), "beyond its storage"),
        (pickled(2, (2,), (-1,)), "without a shape"),
        (pickled(2, (2, 2), (1,)), "impossible shape"),
        (pickled(2, (2**40,), (0,)), "not half of that"),
        (pickled(2**40, (2,), (1,)), "bytes of a storage"),
        (pickled(3, (2,), (1,)), "8 bytes of a storage of 12"),
    ],
)
def test_tensors_that_cannot_be(tmp_path, tensor, message):
    path = as_zip(tmp_path / "a.pt", tensor, data__0=struct.pack("<2f", 1, 2))
    with pytest.raises(CheckpointError, match=message):
        load(path)


def test_the_same_by_hand_is_read(tmp_path):
    path = as_zip(tmp_path / "a.pt", pickled(2, (2,), (1,)), data__0=struct.pack("<2f", 1, 2))
    assert load(path).tensors["w",].tolist() == [1, 2]


def test_a_missing_storage(tmp_path):
    with pytest.raises(CheckpointError, match="no data/0"):
        load(as_zip(tmp_path / "a.pt", pickled(2, (2,), (1,))))


def test_a_bomb_is_not_unpacked(tmp_path):
    path = as_zip(
        tmp_path / "a.pt",
        pickled(2**26, (2**26,), (1,)),
        compression=zipfile.ZIP_DEFLATED,
        data__0=bytes(2**28),
    )
    assert path.stat().st_size < 1_000_000
    with pytest.raises(CheckpointError, match="compressed"):
        load(path)


def test_a_truncated_file(tmp_path):
    buffer = io.BytesIO()
    torch.save({"w": torch.zeros(1000)}, buffer)
    path = tmp_path / "a.pt"
    for share in (0.1, 0.5, 0.99):
        path.write_bytes(buffer.getvalue()[: int(share * len(buffer.getvalue()))])
        with pytest.raises(CheckpointError, match="cut off"):
            read(path, tmp_path)


def test_many_references_to_one_list_are_looked_at_once(tmp_path):
    nested: list[object] = [1]
    for _ in range(60):
        nested = [nested, nested]
    path = tmp_path / "a.pt"
    torch.save({"w": torch.ones(1), "nested": nested}, path)
    assert load(path).tensors.keys() == {("w",)}


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.pt")
    for path in (tmp_path / "pipe.pt", Path(os.devnull), tmp_path):
        with pytest.raises(CheckpointError, match="no file"):
            read(path, tmp_path)


def test_a_big_endian_file(tmp_path):
    path = as_zip(tmp_path / "a.pt", pickled(1, (1,), (1,)), data__0=b"1234", byteorder=b"big")
    with pytest.raises(CheckpointError, match="big-endian"):
        load(path)
