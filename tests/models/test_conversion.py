"""From an author's file to a card in the catalogue, with a stub in place of a system's network."""

import errno
import json
import os
import resource
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from models import conversion, local_catalog, published, registry
from models.card import PARAMETERS, ModelCard, WeightFile
from models.catalog import CATALOG, DRAFT
from models.checkpoints import load_tensors, why_unready
from models.conversion import Contents, candidates, convert
from models.errors import CardError, CheckpointError, LicenceError, ParameterError, WeightsError
from models.local_catalog import add_local, read_card
from models.published import PUBLISHED, SYSTEMS


def stub(*names: str, network="published"):
    """A system whose networks are known by the names of their tensors."""

    def identify(tensors, notes):
        if tensors.keys() != set(names):
            raise WeightsError(f"has no {names[0]}")
        return notes.get("network", network), dict(tensors)

    return SimpleNamespace(identify=identify)


STUBS = {
    "pc2": stub("net.a"),
    "dit3d": stub("w", "b"),
    "pointe": stub("base"),
    "gecco": stub("g"),
    "dpm": stub("model.x", "model.y"),
}


def catalog_here() -> dict[str, ModelCard]:
    """The catalogue of these tests."""
    catalog: dict[str, ModelCard] = vars(local_catalog)["CATALOG"]
    return catalog


@pytest.fixture(autouse=True)
def system(monkeypatch):
    """The catalogue as it is without conversions, and networks that take any tensors."""
    monkeypatch.setattr(local_catalog, "CATALOG", dict(CATALOG))
    for name in SYSTEMS:
        mini = replace(CATALOG.get(f"{name}-mini", DRAFT), id=f"{name}-mini")
        monkeypatch.setitem(catalog_here(), mini.id, mini)
    monkeypatch.setattr(conversion, "_module", lambda name: STUBS[name])
    monkeypatch.setattr(registry, "build", lambda card, tensors, device: None)


W, B = torch.arange(6.0).reshape(2, 3), torch.ones(2)


def save(path, whole):
    torch.save(whole, path)
    return path


@pytest.mark.parametrize(
    "whole",
    [
        {"w": W, "b": B},
        {"model_state": {"module.w": W, "module.b": B}, "epoch": 3},
        {"state_dict": {"_orig_mod.w": W, "b": B}},
        {"ema": {"w": W, "b": B}, "model_state": {"w": 0 * W, "b": 0 * B}},
        {"ema_state_dict": {"w": W, "b": B}, "state_dict": {"w": 0 * W, "b": 0 * B}},
        {"model": {"w": 0 * W, "b": 0 * B}, "model_ema": {"shadow_params": [W, B]}},
        {"model": {"w": 0 * W, "b": 0 * B}, "model_ema": [W, B]},
        {"model": {"w": W, "b": 0 * B}, "ema": {"collected_params": [], "shadow_params": [B]}},
        # Averages of another network are of no use; the network itself is.
        {"model": {"w": W, "b": B}, "ema": {"shadow_params": [W]}},
        {"model": {"w": W, "b": B}, "optimizer": {"state": {0: {"exp_avg": W}}}},
    ],
)
def test_layouts(tmp_path, whole):
    card = convert("dit3d", [save(tmp_path / "x.pth", whole)], tmp_path, accepted=["CC-BY-NC-4.0"])
    tensors = load_tensors(card)
    assert tensors.keys() == {"w", "b"}
    assert torch.equal(tensors["w"], W)
    assert torch.equal(tensors["b"], B)


def test_safetensors_are_read_too(tmp_path):
    save_file({"g": W.half()}, tmp_path / "x.safetensors")
    card = convert("gecco", [tmp_path / "x.safetensors"], tmp_path)
    assert load_file(f"{card.folder}/weights.safetensors")["g"].dtype == torch.float32


def test_a_data_directory_by_a_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "x.pt", {"g": W})
    card = convert("gecco", [Path("x.pt")], Path("data"))
    assert card.folder == str(tmp_path / "data" / "models" / card.id)
    assert torch.equal(load_tensors(card)["g"], W)


def test_the_card(tmp_path):
    path = save(tmp_path / "GEN_Chair.pt", {"state_dict": {"model.x": W, "model.y": B}, "args": {}})
    card = convert("dpm", [path], tmp_path, origin="https://example.org/GEN_Chair.pt")

    assert card.id == "dpm-gen-chair"
    assert card.licence.weights == "MIT"
    assert {item.name for item in card.parameters} <= {item.name for item in PARAMETERS}
    record = json.loads((tmp_path / "models" / card.id / "card.json").read_text())
    assert record["id"] == card.id
    assert record["converted_from"][0]["file"] == "GEN_Chair.pt"
    assert record["converted_from"][0]["sha256"] == conversion.sha256_of(path)
    assert record["origin"] == "https://example.org/GEN_Chair.pt"
    assert record["weights"][0]["sha256"] == card.weights[0].sha256
    # A server may run as another user.
    assert (Path(card.folder) / "weights.safetensors").stat().st_mode & 0o777 == 0o644

    assert add_local(tmp_path) == []
    assert catalog_here()[card.id] == card
    assert why_unready(card, ()) is None
    assert [path.name for path in (tmp_path / "models").iterdir()] == [card.id]


def test_a_second_conversion_takes_the_place_of_the_first(tmp_path):
    for value in (1.0, 2.0):
        path = save(tmp_path / "x.pt", {"g": torch.tensor([value])})
        card = convert("gecco", [path], tmp_path)
        add_local(tmp_path)
        assert load_tensors(card)["g"].tolist() == [value]
        assert [path.name for path in (tmp_path / "models").iterdir()] == [card.id]


def test_restricted_weights_must_be_accepted(tmp_path):
    path = save(tmp_path / "x.pt", {"model": {"net.a": W}})
    with pytest.raises(LicenceError, match="no licence") as error:
        convert("pc2", [path], tmp_path)
    assert not (tmp_path / "models").exists()

    card = convert("pc2", [path], tmp_path, accepted=[error.value.name])
    assert "accepted" in (why_unready(card, ()) or "")
    assert why_unready(card, [error.value.name]) is None
    assert read_card(tmp_path / "models" / card.id / "card.json").accept == error.value.name


def test_networks_in_files_of_their_own(tmp_path, monkeypatch):
    base = save(tmp_path / "base.pt", {"network": "base40M", "base": W})
    part = save(tmp_path / "up.pt", {"network": "upsample", "up": B})

    def identify(tensors, notes):
        return str(notes["network"]), dict(tensors)

    monkeypatch.setitem(STUBS, "pointe", SimpleNamespace(identify=identify))
    card = convert("pointe", [part, base], tmp_path, model_id="both")
    assert card.network == "base40M"
    assert load_tensors(card).keys() == {"base", "up"}
    with pytest.raises(CheckpointError, match="base is needed"):
        convert("pointe", [part], tmp_path)
    with pytest.raises(CheckpointError, match="earlier file"):
        convert("pointe", [base, base], tmp_path)


@pytest.mark.parametrize(
    ("system_name", "whole", "message"),
    [
        ("buildiff", {}, "no layout"),
        ("ccd3dr", {}, "never released"),
        ("nope", {}, "no system 'nope'; known: pc2"),
        ("gecco", {"model": {"base": W}}, "a checkpoint of Point-E, not of GECCO"),
        ("gecco", {"model": {"q": W}, "x": {"y": B}}, r"found model, x \(2 tensors\), expected a"),
        ("gecco", {}, "found nothing"),
        ("gecco", {"g": torch.tensor([float("nan")])}, "not finite"),
        ("gecco", {"g": torch.tensor([1e300], dtype=torch.float64)}, "not finite"),
    ],
)
def test_what_cannot_be_converted(tmp_path, system_name, whole, message):
    path = save(tmp_path / "x.pt", whole)
    with pytest.raises(CheckpointError, match=message):
        convert(system_name, [path], tmp_path)
    assert list((tmp_path / "models").glob("*")) == []


def test_a_network_that_refuses_its_tensors_leaves_nothing(tmp_path, monkeypatch):
    def refuse(card, tensors, device):
        raise WeightsError("does not fit")

    monkeypatch.setattr(registry, "build", refuse)
    with pytest.raises(WeightsError):
        convert("gecco", [save(tmp_path / "x.pt", {"g": W})], tmp_path)
    assert list((tmp_path / "models").glob("*")) == []


@pytest.mark.parametrize("model_id", ["draft", "Big", "a/b", "..", "", "a" * 80, "-a"])
def test_ids_that_are_none(tmp_path, model_id):
    path = save(tmp_path / "x.pt", {"g": W})
    if model_id:
        with pytest.raises(CheckpointError, match="id"):
            convert("gecco", [path], tmp_path, model_id=model_id)


def test_an_id_that_is_made_of_a_long_name(tmp_path):
    path = save(tmp_path / f"{'a' * 39}-b.pt", {"g": W})
    assert convert("gecco", [path], tmp_path).id == f"gecco-{'a' * 39}"


@pytest.mark.parametrize("error", [IndexError, KeyError, RuntimeError, TypeError, ValueError])
def test_shapes_that_a_system_does_not_foresee(tmp_path, monkeypatch, error):
    def identify(tensors, notes):
        raise error("tuple index out of range")

    monkeypatch.setitem(STUBS, "pc2", SimpleNamespace(identify=identify))
    path = save(tmp_path / "x.pt", {"model": {"net.a": torch.tensor(1.0)}})
    with pytest.raises(CheckpointError, match=r"cannot have: .*index out of range"):
        convert("pc2", [path], tmp_path, accepted=[SYSTEMS["pc2"].accept])
    with pytest.raises(CheckpointError, match="no layout of GECCO"):
        convert("gecco", [path], tmp_path)


def test_names_in_a_file_do_not_reach_the_terminal_as_they_are(tmp_path):
    path = save(tmp_path / "x.pt", {"\x1b[31m\ud800" + "a" * 100_000: W})
    with pytest.raises(CheckpointError, match=r"found ..31m.a") as error:
        convert("gecco", [path], tmp_path)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 2_000


@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.bfloat16, torch.float64, torch.int64])
def test_types_of_numbers(tmp_path, kind):
    save_file({"g": W.to(kind)}, tmp_path / "x.safetensors")
    tensor = load_tensors(convert("gecco", [tmp_path / "x.safetensors"], tmp_path))["g"]
    assert torch.equal(tensor.float(), W)


def test_more_tensors_than_any_network_has(tmp_path, monkeypatch):
    monkeypatch.setattr(conversion, "MAX_TENSORS", 1)
    save_file({"g": W, "h": B}, tmp_path / "x.safetensors")
    for path in (save(tmp_path / "x.pt", {"g": W, "h": B}), tmp_path / "x.safetensors"):
        with pytest.raises(CheckpointError, match=f"{path}: has 2 tensors"):
            convert("gecco", [path], tmp_path)


def test_no_room_for_what_is_read_is_not_the_files_fault(tmp_path):
    path = save(tmp_path / "x.pt", {"g": W})
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (scratch / "tensors.safetensors").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as error:
        conversion.read(path, scratch)
    assert error.value.filename == str(scratch)


@pytest.mark.parametrize(
    ("kind", "size", "message"), [("C64", 64, "complex"), ("F4", 4, "cannot be read here")]
)
def test_types_of_numbers_that_no_network_has(tmp_path, kind, size, message):
    entry = {"dtype": kind, "shape": [8], "data_offsets": [0, size]}
    header = json.dumps({"g": entry}).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(size))
    with pytest.raises(CheckpointError, match=message):
        convert("gecco", [path], tmp_path)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_disk_that_fills_up_leaves_nothing(tmp_path):
    path = save(tmp_path / "x.pt", {"g": torch.ones(100_000)})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    contents = conversion.read(path, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion, "read", lambda *_: contents)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        try:
            with pytest.raises(OSError, match="not written"):
                convert("gecco", [path], tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((tmp_path / "models").iterdir()) == []


def test_two_conversions_to_one_id(tmp_path):
    paths = [save(tmp_path / f"{n}.pt", {"g": torch.full((9,), float(n))}) for n in range(4)]

    def one(path):
        return convert("gecco", [path], tmp_path, model_id="same")

    with ThreadPoolExecutor(4) as pool:
        assert {card.id for card in pool.map(one, paths)} == {"same"}
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["same"]
    assert load_tensors(read_card(tmp_path / "models" / "same" / "card.json"))["g"].shape == (9,)


HANGS = """
import sys
from pathlib import Path
from types import SimpleNamespace
from models import conversion

def identify(tensors, notes):
    print("reading", flush=True)
    sys.stdin.read()

conversion._module = lambda name: SimpleNamespace(identify=identify)
conversion.convert("gecco", [Path(sys.argv[1])], Path(sys.argv[2]))
"""


def test_what_a_killed_conversion_leaves_is_cleared_by_the_next(tmp_path):
    path = save(tmp_path / "x.pt", {"g": W})
    models = tmp_path / "models"
    with subprocess.Popen(
        [sys.executable, "-c", HANGS, str(path), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(conversion.__file__).parents[1],
    ) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"reading\n"
            (left,) = models.iterdir()
            convert("gecco", [path], tmp_path, model_id="mine")
            assert sorted(models.iterdir()) == [left, models / "mine"]
            assert list(left.glob("*/tensors.safetensors"))
        finally:
            child.kill()
    convert("gecco", [path], tmp_path, model_id="mine")
    assert [item.name for item in models.iterdir()] == ["mine"]


def test_a_model_whose_replacement_was_killed_comes_back(tmp_path):
    path = save(tmp_path / "x.pt", {"g": W})
    convert("gecco", [path], tmp_path, model_id="mine")
    models = tmp_path / "models"
    (models / ".partial-x" / "before").mkdir(parents=True)
    (models / "mine").rename(models / ".partial-x" / "before" / "mine")
    convert("gecco", [path], tmp_path, model_id="other")
    assert sorted(item.name for item in models.iterdir()) == ["mine", "other"]
    assert read_card(models / "mine" / "card.json").id == "mine"


def test_a_model_that_cannot_be_replaced_stays(tmp_path, monkeypatch):
    path = save(tmp_path / "x.pt", {"g": W})
    convert("gecco", [path], tmp_path, model_id="mine")
    rename = Path.rename

    def refuse(self, target):
        if self.name == "new":
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        with pytest.raises(OSError, match="Input/output"):
            convert("gecco", [path], tmp_path, model_id="mine")
    assert [item.name for item in (tmp_path / "models").iterdir()] == ["mine"]


def test_other_hidden_things_among_the_models_stay(tmp_path):
    (tmp_path / "models" / ".git").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "models" / ".partial-link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "models" / ".partial-file").touch()
    convert("gecco", [save(tmp_path / "x.pt", {"g": W})], tmp_path, model_id="mine")
    found = sorted(item.name for item in (tmp_path / "models").iterdir())
    assert found == [".git", ".partial-file", ".partial-link", "mine"]
    assert (tmp_path / "elsewhere").exists()


def test_no_such_file(tmp_path):
    with pytest.raises(CheckpointError, match="No such file"):
        convert("gecco", [tmp_path / "none.pt"], tmp_path)


def test_averages_are_tried_before_the_last_weights():
    tensors = {("state_dict", "w"): W, ("ema_state_dict", "w"): B, ("epoch",): W}
    names = [name for name, _ in candidates(Contents(tensors, {}))]
    assert names == ["ema_state_dict", "state_dict", "the file"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "other"}, "folder"),
        ({"system": "nope"}, "no system"),
        ({"system": None}, "system is no text"),
        ({"weights": []}, "no weights"),
        ({"weights": [{"name": "../x", "sha256": "0" * 64, "bytes": 1}]}, "proper name"),
        ({"weights": [{"name": "x"}]}, "missing"),
        ({"weights": 3}, "not iterable"),
    ],
)
def test_a_bad_card_is_left_out_by_name(tmp_path, change, message):
    card = convert("gecco", [save(tmp_path / "x.pt", {"g": W})], tmp_path, model_id="mine")
    path = tmp_path / "models" / card.id / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))

    (problem,) = add_local(tmp_path)

    assert isinstance(problem, CardError)
    assert str(path) in str(problem)
    assert message in str(problem)
    assert "mine" not in catalog_here()


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 10_000, "\xff", "3"])
def test_a_card_that_is_no_json(tmp_path, text):
    path = tmp_path / "models" / "mine" / "card.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(text.encode("latin-1"))
    (problem,) = add_local(tmp_path)
    assert str(path) in str(problem)


def test_what_a_killed_conversion_leaves_is_no_model(tmp_path):
    card = convert("gecco", [save(tmp_path / "x.pt", {"g": W})], tmp_path, model_id="mine")
    (tmp_path / "models" / card.id).rename(tmp_path / "models" / ".mine-abcd")
    assert add_local(tmp_path) == []
    assert "mine" not in catalog_here()


def test_a_card_that_is_no_file(tmp_path):
    for name in ("pipe", "folder"):
        (tmp_path / "models" / name).mkdir(parents=True)
    os.mkfifo(tmp_path / "models" / "pipe" / "card.json")
    (tmp_path / "models" / "folder" / "card.json").mkdir()
    assert [str(problem)[-7:] for problem in add_local(tmp_path)] == ["no file"] * 2


def test_no_card_talks_a_restriction_away(tmp_path):
    path = save(tmp_path / "x.pt", {"model": {"net.a": W}})
    card = convert("pc2", [path], tmp_path, accepted=[SYSTEMS["pc2"].accept])
    record = tmp_path / "models" / card.id / "card.json"
    record.write_text(record.read_text().replace(card.accept, ""))
    assert read_card(record).accept == card.accept


def test_the_table_agrees_with_itself():
    assert {item.system for item in PUBLISHED.values()} <= SYSTEMS.keys()
    assert not PUBLISHED.keys() & CATALOG.keys()
    assert not SYSTEMS.keys() & published.UNPUBLISHED.keys()
    for system in SYSTEMS.values():
        assert bool(system.accept) == bool(system.why)
        resolved = replace(DRAFT, parameters=system.parameters).resolve({})
        assert {"num_points", "seed"} <= resolved.keys()
    for item in PUBLISHED.values():
        assert all(file.url.startswith("https://") for file in (*item.files,))
        assert item.page.startswith("https://")


@pytest.mark.parametrize(
    ("network", "most"), [("S/4", 0), ('{"classes": 55}', 54), ('{"hidden": 96}', 0), ("[1", 0)]
)
def test_labels_end_with_the_classes(network, most, tmp_path):
    weights = (WeightFile("weights.safetensors", "0" * 64, 1),)
    label = local_catalog.card_of("x", "dit3d", network, weights, tmp_path).parameter("label")
    assert label is not None
    assert label.maximum == most
    with pytest.raises(ParameterError, match="label"):
        label.check(most + 1)


@pytest.mark.parametrize("classes", ["0", "-1", "true", "1e9", "NaN", '"many"', "null", "9" * 30])
def test_classes_that_are_no_number(classes, tmp_path):
    weights = (WeightFile("weights.safetensors", "0" * 64, 1),)
    with pytest.raises(ValueError, match="classes must be"):
        local_catalog.card_of("x", "dit3d", f'{{"classes": {classes}}}', weights, tmp_path)
