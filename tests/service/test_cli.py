"""The command line without a server: plans, files, messages and exit codes."""

import io
import json
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models import registry
from models.catalog import CATALOG, DEFAULT_MODEL
from models.errors import WeightsError
from service import cli
from service.generate import BadRequest, Options, plan
from tests.fakes_model import FINISH_SEED, NAN_SEED, FakeModel
from tests.models.pictures import compose

PICTURE = Path("a/mug.png")


def save(path: Path, rgba) -> Path:
    Image.fromarray(rgba).save(path)
    return path


@pytest.fixture
def disc(tmp_path) -> Path:
    return save(tmp_path / "disc.png", compose("disc", size=96).rgba)


@pytest.fixture
def blank(tmp_path) -> Path:
    return save(tmp_path / "blank.png", np.full((96, 96, 4), 255, np.uint8))


@pytest.fixture(autouse=True)
def scripted(monkeypatch):
    """`generate` with the scripted model instead of trained weights."""
    monkeypatch.setattr(registry, "load", lambda card, device: FakeModel(card))


def bozzetto(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


def test_help_loads_nothing_heavy():
    heavy = "{'torch', 'numpy', 'cv2', 'fastapi', 'redis', 'pydantic'}"
    code = (
        "import sys; from service.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        f"sys.exit(', '.join({heavy} & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
    for command in ("serve", "gateway", "worker", "generate", "models"):
        assert command in done.stdout


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        bozzetto("--version")
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("bozzetto ")


@pytest.mark.parametrize("arguments", [(), ("fly",), ("serve", "--port", "99999"), ("generate",)])
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        bozzetto(*arguments)
    assert end.value.code == 2
    assert "usage: bozzetto" in capsys.readouterr().err


def test_a_picture_is_its_own_preview(disc, tmp_path):
    (target,) = plan(Options((disc,), tmp_path / "x.png", preview=True))

    assert target.files == {"preview.png": tmp_path / "x.png"}


@pytest.mark.parametrize(
    ("out", "kind", "name"),
    [
        ("x.glb", None, "mesh.glb"),
        ("x.glb", "points", "points.glb"),
        ("x.ply", None, "points.ply"),
        ("x.PLY", "mesh", "mesh.ply"),
        ("x.obj", None, "mesh.obj"),
        ("x.stl", "mesh", "mesh.stl"),
        ("x.png", None, "preview.png"),
        ("x.gif", None, "turntable.gif"),
    ],
)
def test_the_name_chooses_the_format(disc, tmp_path, out, kind, name):
    (target,) = plan(Options((disc,), tmp_path / out, kind=kind))

    assert target.files == {name: tmp_path / out}


def test_a_folder_gets_a_glb_for_each_picture(disc, blank, tmp_path):
    targets = plan(Options((disc, blank), tmp_path / "new" / "folder", preview=True))

    folder = tmp_path / "new" / "folder"
    assert [target.files for target in targets] == [
        {"mesh.glb": folder / "disc.glb", "preview.png": folder / "disc.preview.png"},
        {"mesh.glb": folder / "blank.glb", "preview.png": folder / "blank.preview.png"},
    ]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (Options((PICTURE,), Path("x.glb")), "no such picture"),
        (Options((), Path("x.fbx")), r"must end in \.glb"),
        (Options((), Path("x.stl"), kind="points"), "holds no points"),
    ],
)
def test_plans_that_cannot_be(options, text, disc):
    images = options.images or (disc,)
    with pytest.raises(BadRequest, match=text):
        plan(replace(options, images=images))


def test_several_pictures_need_a_folder(disc, blank, tmp_path):
    with pytest.raises(BadRequest, match="need a folder"):
        plan(Options((disc, blank), tmp_path / "x.glb"))


def test_two_pictures_of_one_name(disc, tmp_path):
    (tmp_path / "sub").mkdir()
    other = save(tmp_path / "sub" / "disc.png", compose("disc", size=32).rgba)

    with pytest.raises(BadRequest, match="would both become"):
        plan(Options((disc, other), tmp_path / "out"))


def test_generate_writes_a_mesh_and_says_so(disc, tmp_path, capsys):
    out = tmp_path / "new" / "disc.glb"

    assert bozzetto("generate", disc, "-o", out, "--seed", 3, "--num-points", 600) == 0

    data = out.read_bytes()
    extras = json.loads(data[20 : 20 + struct.unpack_from("<I", data, 12)[0]])["asset"]["extras"]
    assert (extras["model"], extras["seed"]) == (DEFAULT_MODEL, 3)
    assert "job" not in extras
    said = capsys.readouterr()
    assert said.out.startswith(f"{out}: ")
    for word in ("vertices", "faces", "kB", " s, ", "seed 3"):
        assert word in said.out
    assert list(out.parent.iterdir()) == [out]


def test_generate_points_twice_the_same(disc, tmp_path, capsys):
    for name in ("a.ply", "b.ply"):
        assert bozzetto("generate", disc, "-o", tmp_path / name, "--seed", 5) == 0

    first, second = ((tmp_path / name).read_bytes() for name in ("a.ply", "b.ply"))
    assert first == second
    assert b"element vertex 4096\n" in first
    assert "4,096 points" in capsys.readouterr().out


def test_generate_goes_on_after_a_picture_that_fails(disc, blank, tmp_path, capsys):
    out = tmp_path / "out"

    assert bozzetto("generate", blank, disc, "-o", out, "--points") == 2

    assert [path.name for path in out.iterdir()] == ["disc.glb"]
    error = capsys.readouterr().err.splitlines()
    assert error[0] == f"bozzetto: {blank}: no object was found in the picture"
    assert error[1].strip().startswith("Hint: use a picture of one object")
    assert len(error) == 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--num-points", 5), "num_points: must be 256 to 16384, got 5"),
        (("--model", "draft", "--steps", 5), "steps: draft has no such parameter"),
        (("--model", "draft", "--sampler", "heun"), "sampler: draft has no such parameter"),
        (("--model", "draft", "--guidance-scale", 2), "guidance_scale: draft has no such"),
        (("--model", "draft", "--candidates", 2), "candidates: draft has no such parameter"),
        (("--model", "draft", "--label", 2), "label: draft has no such parameter"),
        (("--model", "draft", "--camera", "auto"), "camera: draft has no such parameter"),
        (("--model", "nope"), f"unknown model 'nope'; known: {', '.join(CATALOG)}"),
        (("--target-faces", 1), "target_faces: must be 100 to 200000"),
    ],
)
def test_generate_refuses_bad_parameters(disc, tmp_path, arguments, text, capsys):
    assert bozzetto("generate", disc, "-o", tmp_path / "x.glb", *arguments) == 2

    error = capsys.readouterr().err
    assert error.startswith("bozzetto: ")
    assert text in error
    assert not (tmp_path / "x.glb").exists()


def test_generate_from_bytes_that_are_no_picture(tmp_path, capsys):
    path = tmp_path / "x.png"
    path.write_bytes(b"hello")

    assert bozzetto("generate", path, "-o", tmp_path / "x.glb") == 2
    assert capsys.readouterr().err.startswith(f"bozzetto: {path}: ")


def test_generate_where_nothing_can_be_written(disc, tmp_path, capsys):
    (tmp_path / "file").write_text("")

    assert bozzetto("generate", disc, "-o", tmp_path / "file" / "x.ply") == 2
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_generate_without_weights_cannot_start(disc, tmp_path, monkeypatch, capsys):
    def refuse(card, device):
        raise WeightsError("draft.safetensors: expected 10 bytes, got none")

    monkeypatch.setattr(registry, "load", refuse)

    assert bozzetto("generate", disc, "-o", tmp_path / "x.glb") == 3
    error = capsys.readouterr().err.splitlines()
    assert error == [
        "bozzetto: draft.safetensors: expected 10 bytes, got none",
        "  See `bozzetto models verify`.",
    ]


def test_generate_with_a_model_that_takes_no_pictures(disc, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(CATALOG, "mine", replace(CATALOG["draft"], id="mine", unfit="takes clouds"))

    assert bozzetto("generate", disc, "-o", tmp_path / "x.glb", "--model", "mine") == 2
    assert capsys.readouterr().err == "bozzetto: mine: takes clouds\n"


def test_generate_says_when_the_model_gives_nothing(disc, tmp_path, capsys):
    assert bozzetto("generate", disc, "-o", tmp_path / "x.ply", "--seed", NAN_SEED) == 2
    assert "NaN" in capsys.readouterr().err


def test_a_bug_is_not_hidden(disc, tmp_path):
    with pytest.raises(RuntimeError, match="scripted"):
        bozzetto("generate", disc, "-o", tmp_path / "x.ply", "--seed", FINISH_SEED)


def test_a_worker_alone_needs_a_queue(capfd):
    done = subprocess.run(
        [sys.executable, "-m", "service.cli", "worker"], capture_output=True, text=True
    )
    assert done.returncode == 3
    assert done.stderr.startswith("bozzetto: a worker alone needs a queue server\n")


def test_the_bar_is_only_for_people(disc, tmp_path, capsys):
    assert not isinstance(sys.stderr, io.TextIOWrapper) or not sys.stderr.isatty()
    bozzetto("generate", disc, "-o", tmp_path / "x.ply")
    assert capsys.readouterr().err == ""
