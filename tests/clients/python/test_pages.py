"""The client's page, the notebook, and what a notebook shows."""

import base64
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bozzetto_client import Bozzetto
from bozzetto_client.notebook import View, show
from geometry import glb, ply
from geometry.mesh import Mesh
from tests.clients.python.cells import notebook_cells, python_blocks, run
from tests.fakes_model import ellipsoid
from tests.repository.files import ROOT

PAGE = ROOT / "clients/python/README.md"
NOTEBOOK = ROOT / "examples/notebook/reconstruct.ipynb"
CLOUD = ellipsoid(300, np.array([1.0, 2.0, 1.0]))
TRIANGLE = Mesh(CLOUD.positions[:3], np.array([[0, 1, 2]], np.int32))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a clone, as far as the pages use it."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def names() -> Iterator[dict[str, Any]]:
    """What a page has defined; its client is closed at the end."""
    names: dict[str, Any] = {}
    yield names
    if "client" in names:
        names["client"].close()


class Elements(HTMLParser):
    """Attributes of each element, by its name."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, dict[str, str | None]] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found[tag] = dict(attrs)


def content(url: str | None) -> bytes:
    kind, _, text = (url or "").partition(";base64,")
    assert kind.startswith("data:")
    return base64.b64decode(text, validate=True)


@pytest.mark.redis
def test_the_page_does_what_it_says(
    house: Any, folder: Path, names: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    views = []
    for code in python_blocks(PAGE):
        views.append(run(code, names, house.url))
        names["client"].close()
    assert (folder / "chair.glb").read_bytes().startswith(b"glTF")
    assert (folder / "duck" / "points.ply").read_bytes().startswith(b"ply")
    assert len(list(folder.glob("*.glb"))) == 3
    assert "num_points num_points" in capsys.readouterr().out
    assert isinstance(views[-1], View)


@pytest.mark.redis
def test_the_notebook_runs_from_top_to_bottom(
    house: Any, tmp_path: Path, names: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notebook").mkdir()
    (tmp_path / "chair.jpg").symlink_to(ROOT / "examples/chair.jpg")
    monkeypatch.chdir(tmp_path / "notebook")
    values = [run(code, names, house.url) for code in notebook_cells(NOTEBOOK)]

    view = next(value for value in values if isinstance(value, View))
    bundle = view._repr_mimebundle_(include=None, exclude=None)
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    found = Elements(bundle["text/html"]).found
    assert found["script"] == {
        "type": "module",
        "src": f"{house.url}/static/bozzetto-viewer.js",
    }
    viewer = found["bozzetto-viewer"]
    assert content(viewer["mesh"]).startswith(b"glTF")
    assert content(viewer["points"]).startswith(b"ply")
    assert content(found["img"]["src"]) == view.png
    assert values[-1]["points.ply"] == Path("chair/points.ply")


def test_the_notebook_is_kept_without_outputs() -> None:
    text = NOTEBOOK.read_text()
    assert set(re.findall(r'"execution_count": (\w+)', text)) == {"null"}
    assert set(re.findall(r'"outputs": (.+)', text)) == {"[],"}


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (ply.write_points(CLOUD), "points"),
        (glb.write_points(CLOUD), "points"),
        (glb.write_mesh(TRIANGLE), "mesh"),
    ],
    ids=["ply", "points.glb", "mesh.glb"],
)
def test_bytes_are_shown_as_what_they_are(data: bytes, kind: str) -> None:
    viewer = Elements(show(data, label='a "duck" & <more>').html).found["bozzetto-viewer"]
    assert content(viewer[kind]) == data
    assert set(viewer) == {kind, "label", "style"}
    assert viewer["label"] == 'a "duck" & <more>'


@pytest.mark.parametrize("data", [b"", b"glTF", b"solid stl", glb.write_mesh(TRIANGLE)[:60]])
def test_bytes_that_cannot_be_shown(data: bytes) -> None:
    with pytest.raises(ValueError, match="neither a PLY nor a GLB"):
        show(data)


@pytest.mark.redis
def test_a_job_needs_its_client_and_something_to_show(house: Any, disc: bytes) -> None:
    with Bozzetto(house.url) as client:
        job = client.reconstruct(disc, outputs="preview.png", progress=False)
        with pytest.raises(ValueError, match="client"):
            show(job)
        with pytest.raises(ValueError, match="nothing that can be shown"):
            show(job, client)
