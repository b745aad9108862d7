"""The object as it is guessed while its job runs: gateway, worker and queue server in one house."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from geometry.ply import read_points
from tests.e2e.processes import program, wait_until
from tests.e2e.worker_entry import LATER_SEED
from tests.fakes_model import ENDLESS_SEED

pytestmark = pytest.mark.redis


class Viewer:
    """A caller who watches jobs, and the gate that holds some after their first step."""

    def __init__(self, url: str, gate: Path, store: Path) -> None:
        self.http = httpx.Client(base_url=url, timeout=60)
        self.gate = gate
        self.store = store

    def submit(self, picture: bytes, seed: int) -> dict[str, Any]:
        """A job that has a preview."""
        job = self.http.post(
            "/reconstruct",
            files={"image": ("picture.png", picture, "image/png")},
            data={"model": "draft", "seed": str(seed), "outputs": "points.ply"},
        ).json()
        wait_until(lambda: self.look(job)["progress"]["preview"] is not None, "a preview")
        return self.look(job)

    def look(self, job) -> dict[str, Any]:
        seen: dict[str, Any] = self.http.get(job["links"]["self"]).json()
        return seen

    def let_go_on(self) -> None:
        (self.gate / "open").touch()

    def kept(self, job) -> list[str]:
        """Files of the job, without its picture."""
        paths = (self.store / job["id"]).rglob("*")
        return sorted(path.name for path in paths if path.is_file() and path.name != "0")


@pytest.fixture(scope="module")
def viewer(tmp_path_factory) -> Iterator[Viewer]:
    folder = tmp_path_factory.mktemp("previews")
    gate = folder / "gate"
    gate.mkdir()
    data = folder / "data"
    command = ("-m", "tests.e2e.serve_entry", "--port", "0", "--data-dir", str(data))
    with program(*command, GATE_DIR=str(gate), GATE_STEPS="3") as service:
        url = service.wait_line("bozzetto is ready on ").split()[-1]
        viewer = Viewer(url, gate, data / "store")
        with viewer.http:
            yield viewer


def test_a_preview_lives_as_long_as_its_job_runs(viewer, disc):
    job = viewer.submit(disc, LATER_SEED)
    preview = job["progress"]["preview"]
    assert (preview["step"], preview["points"], preview["format"]) == (1, 2048, "model/ply")
    assert job["progress"]["stage"] == "reconstruct"
    assert job["progress"]["percent"] == pytest.approx(15 + (70 - 15) / 3, abs=0.1)

    answer = viewer.http.get(preview["url"])
    assert (answer.status_code, len(answer.content)) == (200, preview["bytes"])
    cloud = read_points(answer.content)
    assert (len(cloud), cloud.colors is not None) == (2048, True)
    assert viewer.kept(job) == ["preview.ply"]

    with viewer.http.stream("GET", job["links"]["events"]) as events:
        shown = []
        for line in events.iter_lines():
            if '"percent"' in line:
                shown.append(json.loads(line.removeprefix("data: "))["preview"])
                if shown[-1] == preview:
                    viewer.let_go_on()
    assert preview in shown

    job = viewer.look(job)
    assert (job["status"], job["progress"]["preview"]) == ("succeeded", None)
    gone = viewer.http.get(preview["url"])
    assert (gone.status_code, gone.json()["code"]) == (410, "preview_gone")
    assert viewer.kept(job) == ["mask.png", "points.ply"]


def test_a_canceled_job_leaves_none(viewer, disc):
    job = viewer.submit(disc, ENDLESS_SEED)
    before = job["progress"]["preview"]["step"]
    wait_until(lambda: viewer.look(job)["progress"]["preview"]["step"] > before, "a newer one")
    assert viewer.http.post(job["links"]["cancel"]).status_code == 202
    wait_until(lambda: viewer.look(job)["status"] == "canceled", "the job is canceled")

    assert viewer.http.get(job["links"]["self"] + "/preview.ply").status_code == 410
    assert viewer.kept(job) == []
    assert viewer.http.delete(job["links"]["self"]).status_code == 204
    assert viewer.http.get(job["links"]["self"] + "/preview.ply").status_code == 404


def test_an_event_stream_brings_the_clouds_along(viewer, disc):
    job = viewer.submit(disc, ENDLESS_SEED)
    clouds, kind = [], ""
    url = job["links"]["events"] + "?clouds=true"
    with viewer.http.stream("GET", url) as events:
        for line in events.iter_lines():
            name, _, content = line.partition(": ")
            if name == "event":
                kind = content
            if name != "data" or kind != "cloud":
                continue
            assert len(line) < 30_000
            clouds.append(json.loads(content))
            if len(clouds) == 2:
                viewer.http.post(job["links"]["cancel"])
    assert kind == "done"
    assert [cloud["points"] for cloud in clouds[:2]] == [2048, 2048]
    assert clouds[0]["step"] < clouds[1]["step"]
