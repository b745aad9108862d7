"""The Blender example: its HTTP against a real service, its placing against a stand-in for `bpy`.

Blender is too large to install for a test. The stand-in reads the imported file with trimesh and
turns it upright as Blender's importer does.
"""

import functools
import importlib.util
import io
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import trimesh

from bozzetto_client import Bozzetto
from tests.clients.python.scripted import Reply, ScriptedServer, answer, problem
from tests.fakes_model import ENDLESS_SEED
from tests.repository.files import ROOT

UPRIGHT = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # glTF's axes to Blender's
MODULE = ROOT / "examples/blender/import_bozzetto.py"


@pytest.fixture
def snippet() -> ModuleType:
    spec = importlib.util.spec_from_file_location("import_bozzetto", MODULE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def picture(tmp_path: Path, disc: bytes) -> str:
    path = tmp_path / "a disc.png"
    path.write_bytes(disc)
    return str(path)


class Matrix:
    """`matrix_world` of an object without rotation."""

    def __init__(self, item: SimpleNamespace) -> None:
        self._item = item

    def __matmul__(self, corner: np.ndarray) -> np.ndarray:
        moved: np.ndarray = np.asarray(self._item.scale) * corner + np.asarray(self._item.location)
        return moved


class Blender:
    """What the example uses of `bpy`."""

    def __init__(self) -> None:
        self.imported: list[Path] = []
        self.ops = SimpleNamespace(import_scene=SimpleNamespace(gltf=self._import))
        self.context = SimpleNamespace(
            selected_objects=[],
            view_layer=SimpleNamespace(update=lambda: None),
            scene=SimpleNamespace(cursor=SimpleNamespace(location=(1.0, 2.0, 3.0))),
        )

    def _import(self, filepath: str) -> None:
        self.imported.append(Path(filepath))
        mesh = trimesh.load_mesh(io.BytesIO(Path(filepath).read_bytes()), file_type="glb")
        vertices = mesh.vertices @ UPRIGHT.T
        box = trimesh.bounds.corners([vertices.min(0), vertices.max(0)])
        item = SimpleNamespace(
            type="MESH", name="mesh", scale=(1.0,) * 3, location=(0.0,) * 3, bound_box=box
        )
        item.matrix_world = Matrix(item)
        self.context.selected_objects = [SimpleNamespace(type="EMPTY"), item]


@pytest.fixture
def blender(monkeypatch: pytest.MonkeyPatch) -> Blender:
    stand_in = Blender()
    monkeypatch.setitem(sys.modules, "bpy", stand_in)
    monkeypatch.setitem(sys.modules, "mathutils", SimpleNamespace(Vector=np.asarray))
    return stand_in


@pytest.mark.redis
def test_a_picture_becomes_a_mesh(snippet: Any, house: Any, picture: str) -> None:
    fields = {"outputs": "points.ply,mesh.glb", "seed": "3"}
    data = snippet.reconstruct(picture, house.url, fields=fields)
    mesh = trimesh.load_mesh(io.BytesIO(data), file_type="glb")
    assert len(mesh.faces) > 100


@pytest.mark.redis
def test_what_goes_wrong_is_said(
    snippet: Any, house: Any, picture: str, blank: bytes, tmp_path: Path
) -> None:
    with pytest.raises(snippet.BozzettoError, match="256 to 16384"):
        snippet.reconstruct(picture, house.url, fields={"num_points": "1"})
    (tmp_path / "blank.png").write_bytes(blank)
    with pytest.raises(snippet.BozzettoError, match="plain background"):
        snippet.reconstruct(str(tmp_path / "blank.png"), house.url)
    with pytest.raises(TimeoutError):
        snippet.reconstruct(picture, house.url, fields={"seed": str(ENDLESS_SEED)}, patience_s=0)
    with Bozzetto(house.url) as client:
        client.cancel(client.jobs(limit=1).jobs[0])


def test_it_waits_as_long_as_it_is_asked(
    snippet: Any, scripted: ScriptedServer, picture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    clock = SimpleNamespace(sleep=slept.append, monotonic=lambda: 0.0)
    monkeypatch.setattr(snippet, "time", clock)
    links = {"self": "/jobs/a1"}
    mesh = {"name": "mesh.glb", "url": "/jobs/a1/artifacts/mesh.glb"}
    scripted.script(
        problem(503, "queue_full", retryable=True, Retry_After="7"),
        Reply(hang_up=True),
        answer({"id": "a1", "status": "queued", "links": links}, 202),
        answer({"id": "a1", "status": "succeeded", "links": links, "artifacts": [mesh]}),
        Reply(200, b"glTF"),
    )
    assert snippet.reconstruct(picture, scripted.url, "secret") == b"glTF"
    assert slept == [7.0, 1.0, 0.5]
    keys = {request.headers.get("idempotency-key") for request in scripted.requests[:3]}
    assert (len(keys), None in keys) == (1, False)
    assert {request.headers["authorization"] for request in scripted.requests} == {"Bearer secret"}


def test_a_refusal_for_good_is_not_sent_again(
    snippet: Any, scripted: ScriptedServer, picture: str
) -> None:
    scripted.script(Reply(404, b"<html>nothing here</html>"))
    with pytest.raises(snippet.BozzettoError, match="404"):
        snippet.reconstruct(picture, scripted.url)
    assert len(scripted.requests) == 1


def test_without_blender_a_failure_leaves_the_earlier_file(
    snippet: Any, scripted: ScriptedServer, picture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(picture).parent)
    Path("a disc.glb").write_bytes(b"glTF of before")
    monkeypatch.setattr(snippet, "PICTURE", "//a disc.png")
    # The defaults of a function are bound when it is made.
    refused = functools.partial(snippet.reconstruct, server=scripted.url)
    monkeypatch.setattr(snippet, "reconstruct", refused)
    scripted.script(Reply(404, b""))
    with pytest.raises(snippet.BozzettoError):
        snippet.main()
    assert Path("a disc.glb").read_bytes() == b"glTF of before"


def test_the_object_stands_upright_at_the_cursor(snippet: Any, blender: Blender) -> None:
    tall = trimesh.creation.box(extents=(0.2, 0.6, 0.4))
    tall.apply_translation((0.05, 0.1, 0.0))
    (item,) = snippet.place(tall.export(file_type="glb"), "tall", 1.5)

    corners = np.array([item.matrix_world @ corner for corner in item.bound_box])
    assert np.ptp(corners, axis=0) == pytest.approx([0.5, 1.0, 1.5])
    assert corners[:, 2].min() == pytest.approx(3.0)
    assert item.name == "tall"
    assert not blender.imported[0].exists(), "the file was for the importer only"
