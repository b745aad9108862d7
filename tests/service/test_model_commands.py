"""`bozzetto models` and what is served of restricted and converted models."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from models import conversion, local_catalog, registry
from models.catalog import CATALOG, DRAFT
from models.errors import WeightsError
from models.published import PUBLISHED, SYSTEMS, Published, RemoteFile
from service import cli, model_commands
from service.settings import get_settings
from tests.fakes_model import FakeModel
from tests.models.pictures import compose


def bozzetto(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    """A data directory of its own, and a catalogue that is put back afterwards."""
    before = dict(CATALOG)
    for system in SYSTEMS:
        mini = replace(CATALOG.get(f"{system}-mini", DRAFT), id=f"{system}-mini")
        monkeypatch.setitem(CATALOG, mini.id, mini)
    monkeypatch.setenv("BOZZETTO_DATA_DIR", str(tmp_path / "data"))
    get_settings.cache_clear()
    yield tmp_path / "data"
    get_settings.cache_clear()
    for name in CATALOG.keys() - before.keys():
        del CATALOG[name]


@pytest.fixture
def networks(monkeypatch):
    """Systems whose checkpoints hold one tensor with the system's name."""

    def module(name):
        def identify(tensors, notes):
            if tensors.keys() != {name}:
                raise WeightsError(f"no {name} in it")
            return "published", dict(tensors)

        return SimpleNamespace(identify=identify)

    monkeypatch.setattr(conversion, "_module", module)
    monkeypatch.setattr(registry, "build", lambda card, tensors, device: None)


@pytest.fixture
def checkpoint(tmp_path):
    def make(name):
        path = tmp_path / f"{name}.pt"
        torch.save({"model": {f"module.{name}": torch.ones(3)}}, path)
        return path

    return make


def test_list_names_every_model(capsys):
    assert bozzetto("models", "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(CATALOG)


def test_a_reader_that_has_gone_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "service.cli", "models", "list"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_verify_agrees_with_the_card(capsys):
    assert bozzetto("models", "verify", "draft") == 0
    said = capsys.readouterr().out
    assert all(file.sha256 in said for file in DRAFT.weights)


def test_verify_of_a_model_without_weights(monkeypatch, capsys):
    monkeypatch.setitem(CATALOG, "empty", replace(DRAFT, id="empty", weights=()))
    assert bozzetto("models", "verify", "empty") == 3
    assert "no weights" in capsys.readouterr().err
    assert bozzetto("models", "verify") == 0
    assert "empty: no weights" in capsys.readouterr().out


@pytest.mark.parametrize("action", ["verify", "pull"])
def test_an_unknown_model(action, capsys):
    assert bozzetto("models", action, "nope") == 2
    assert "unknown model" in capsys.readouterr().err


def test_pull_lists_what_there_is(capsys):
    assert bozzetto("models", "pull") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(PUBLISHED)


def test_own_weights_ship_with_the_package(capsys):
    assert bozzetto("models", "pull", "draft") == 0
    assert "ship with the package" in capsys.readouterr().out


def test_a_restricted_pull_shows_the_licence_and_fetches_nothing(data, capsys):
    assert bozzetto("models", "pull", "pc2-co3d") == 2
    said = capsys.readouterr()
    assert "all rights reserved" in said.out
    assert "--accept-licence PC2-no-licence" in said.err
    assert not data.exists()


def test_a_pull_without_an_address(capsys):
    assert bozzetto("models", "pull", "gecco-published") == 2
    assert PUBLISHED["gecco-published"].page in capsys.readouterr().err


def test_a_pull_of_a_server_that_is_not_there(monkeypatch, capsys):
    item = Published("there", "gecco", "x", "page", (RemoteFile("http://127.0.0.1:9/x.pt"),))
    monkeypatch.setitem(PUBLISHED, "there", item)
    assert bozzetto("models", "pull", "there") == 1
    assert "no connection" in capsys.readouterr().err


def test_a_converted_model_is_listed_verified_and_run(
    networks, checkpoint, data, tmp_path, monkeypatch, capsys
):
    assert bozzetto("models", "convert", "gecco", checkpoint("gecco"), "--id", "mine") == 0
    said = capsys.readouterr().out
    record = json.loads((data / "models" / "mine" / "card.json").read_text())
    assert record["weights"][0]["sha256"] in said

    assert bozzetto("models", "list") == 0
    assert "\nmine " in capsys.readouterr().out
    assert bozzetto("models", "verify", "mine") == 0
    assert bozzetto("models", "pull", "mine") == 0
    assert "converted here" in capsys.readouterr().out

    monkeypatch.setattr(registry, "load", lambda card, device: FakeModel(card))
    Image.fromarray(compose("disc", size=96).rgba).save(tmp_path / "disc.png")
    out = tmp_path / "disc.ply"
    assert bozzetto("generate", tmp_path / "disc.png", "-o", out, "--model", "mine") == 0
    assert out.exists()

    (data / "models" / "mine" / "weights.safetensors").write_bytes(b"x")
    assert bozzetto("models", "verify", "mine") == 3
    assert "Convert it again" in capsys.readouterr().err


def test_restricted_weights_run_once_accepted(networks, checkpoint, tmp_path, monkeypatch, capsys):
    path = checkpoint("pc2")
    assert bozzetto("models", "convert", "pc2", path) == 2
    accept = ["--accept-licence", "PC2-no-licence"]
    assert accept[1] in capsys.readouterr().err
    assert bozzetto("models", "convert", "pc2", path, "--id", "mine", *accept) == 0
    said = capsys.readouterr().out
    assert "name PC2-no-licence in BOZZETTO_MODELS__ACCEPTED_LICENCES" in said
    assert "Once you have read" not in said
    bozzetto("models", "list")
    assert "not ready: its licence, PC2-no-licence" in capsys.readouterr().out

    monkeypatch.setattr(registry, "load", lambda card, device: FakeModel(card))
    Image.fromarray(compose("disc", size=96).rgba).save(tmp_path / "disc.png")
    run = ("generate", tmp_path / "disc.png", "-o", tmp_path / "x.ply", "--model", "mine")
    assert bozzetto(*run) == 3
    assert "BOZZETTO_MODELS__ACCEPTED_LICENCES" in capsys.readouterr().err
    monkeypatch.setenv("BOZZETTO_MODELS__ACCEPTED_LICENCES", json.dumps([accept[1]]))
    get_settings.cache_clear()
    assert bozzetto(*run) == 0


@pytest.mark.parametrize(
    ("network", "shown"),
    [
        ("S/4", "network S/4, in"),
        (
            json.dumps({"layers": 2, "heads": 4, "width": 64, "classes": 1, "ratio": 4.0}),
            'network {"layers": 2, "heads": 4, "width": 64, "classes": 1, ..., in',
        ),
    ],
)
def test_a_network_is_not_cut_within_a_word(
    network, shown, networks, checkpoint, monkeypatch, capsys
):
    found = SimpleNamespace(identify=lambda tensors, notes: (network, dict(tensors)))
    monkeypatch.setattr(conversion, "_module", lambda name: found)
    assert bozzetto("models", "convert", "gecco", checkpoint("gecco"), "--id", "mine") == 0
    assert shown in capsys.readouterr().out


def test_an_auto_encoder_is_kept_but_takes_no_jobs(networks, checkpoint, monkeypatch, capsys):
    found = SimpleNamespace(identify=lambda tensors, notes: ("autoencoder", dict(tensors)))
    monkeypatch.setattr(conversion, "_module", lambda name: found)
    assert bozzetto("models", "convert", "dpm", checkpoint("dpm"), "--id", "mine") == 0
    assert "takes no jobs: an auto-encoder" in capsys.readouterr().out
    assert bozzetto("models", "list") == 0
    assert "not ready: an auto-encoder takes a cloud" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("buildiff", "x.pt"), "no layout"),
        (("nope", "x.pt"), "no system 'nope'"),
        (("gecco", "x.pt"), "No such file"),
        (("gecco", "x.pt", "--member", "y.pt"), "No such file"),
        (("gecco", "x.pt", "--id", "draft"), "ships with the package"),
    ],
)
def test_convert_says_what_is_wrong(arguments, text, capsys):
    assert bozzetto("models", "convert", *arguments) in (1, 2)
    error = capsys.readouterr().err
    assert error.startswith("bozzetto: ")
    assert text in error
    assert "Traceback" not in error


def test_a_damaged_download_is_not_kept_for_ever_unsaid(data, tmp_path, monkeypatch, capsys):
    path = data / "downloads" / "x.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PK\x03\x04")
    item = Published("there", "gecco", "x", "page", (RemoteFile("http://127.0.0.1:9/x.pt"),))
    monkeypatch.setitem(PUBLISHED, "there", item)
    assert bozzetto("models", "pull", "there") == 2
    error = capsys.readouterr().err
    assert "cut off" in error
    assert f"remove it from {path.parent}" in error


def test_what_a_file_says_is_one_line_on_the_terminal(networks, tmp_path, capsys):
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("\x1b[31m\nx.pt", b"")
    item = Published("all", "gecco", "x", "page", (RemoteFile("http://127.0.0.1:9/all.zip"),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PUBLISHED, "all", item)
        patch.setattr(model_commands, "fetch", lambda remote, folder, on_bytes: path)
        assert bozzetto("models", "pull", "all") == 2
    assert capsys.readouterr().err.endswith("--member: ?[31m?x.pt\n")


def test_a_checkpoint_of_another_system(networks, checkpoint, capsys):
    assert bozzetto("models", "convert", "gecco", checkpoint("dpm")) == 2
    assert "a checkpoint of Diffusion point cloud, not of GECCO" in capsys.readouterr().err


def test_a_pulled_archive_names_its_members(networks, checkpoint, tmp_path, monkeypatch, capsys):
    for name in ("gecco", "dpm"):
        checkpoint(name)
    folder = tmp_path / "data" / "downloads"
    folder.mkdir(parents=True)
    (tmp_path / "in").mkdir()
    for name in ("gecco.pt", "dpm.pt"):
        shutil.move(tmp_path / name, tmp_path / "in" / name)
    shutil.make_archive(str(folder / "all"), "zip", tmp_path / "in")
    item = Published("all", "gecco", "x", "page", (RemoteFile("http://127.0.0.1:9/all.zip"),))
    monkeypatch.setitem(PUBLISHED, "all", item)

    assert bozzetto("models", "pull", "all") == 2
    assert "gecco.pt" in capsys.readouterr().err
    assert bozzetto("models", "pull", "all", "--member", "gecco.pt") == 0
    assert CATALOG.keys() & {"all"} == set()  # until the next start
    assert local_catalog.add_local(tmp_path / "data") == []
    assert "all" in CATALOG


def test_a_bad_card_is_said_and_left_out(data, capsys):
    folder = data / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "card.json").write_text("{}")
    assert bozzetto("models", "list") == 0
    said = capsys.readouterr()
    assert str(folder / "card.json") in said.err
    assert "mine" not in said.out


def test_a_full_or_closed_folder(networks, tmp_path, data, capsys):
    data.write_text("a file")
    save_file({"gecco": torch.ones(1)}, tmp_path / "x.safetensors")
    assert bozzetto("models", "convert", "gecco", tmp_path / "x.safetensors") == 1
    assert str(data) in capsys.readouterr().err
