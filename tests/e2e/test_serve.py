"""`bozzetto serve` as a user runs it: one command, a real queue server, a real worker process."""

import hashlib
import json
import signal
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.e2e.processes import Program, program, wait_until
from tests.e2e.worker_entry import GATE_SEED
from tests.fakes_model import ENDLESS_SEED

pytestmark = pytest.mark.redis

SERVE = ("-m", "tests.e2e.serve_entry", "--port", "0")


def url_of(service: Program) -> str:
    return service.wait_line("bozzetto is ready on ").split()[-1]


def kinds(service: Program) -> list[str]:
    """What runs below it."""
    names = []
    for child in service.descendants():
        line = " ".join(child.cmdline())
        names.append("worker" if "worker_entry" in line else "server")
    return sorted(names)


class House:
    def __init__(self, service: Program, gate: Path) -> None:
        self.service = service
        self.url = url_of(service)
        self.curl = service.wait_line("curl")
        self.gate = gate
        self.http = httpx.Client(base_url=self.url, timeout=60)

    def submit(self, picture: bytes, **fields) -> httpx.Response:
        wait = fields.pop("wait", 60)
        headers = {"Prefer": f"wait={wait}"} if wait else {}
        files = {"image": ("picture.png", picture, "image/png")}
        return self.http.post("/reconstruct", files=files, data=fields, headers=headers)

    def job(self, job_id):
        return self.http.get(f"/jobs/{job_id}").json()


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    gate = folder / "gate"
    gate.mkdir()
    data = str(folder / "data")
    with program(*SERVE, "--data-dir", data, GATE_DIR=str(gate), GATE_STEPS="3") as service:
        house = House(service, gate)
        with house.http:
            yield house


def test_it_says_where_it_is_and_what_to_paste(house):
    assert house.curl.strip().startswith("curl ")
    assert f"{house.url}/reconstruct" in house.curl
    assert house.http.get("/readyz").status_code == 200
    assert kinds(house.service) == ["server", "worker"]


def test_the_gateways_process_has_no_torch(house):
    if not sys.platform.startswith("linux"):
        pytest.skip("reads /proc")

    def mapped(pid: int) -> str:
        return Path(f"/proc/{pid}/maps").read_text()

    worker = next(c for c in house.service.descendants() if "worker_entry" in str(c.cmdline()))
    assert "libtorch" in mapped(worker.pid)
    assert "libtorch" not in mapped(house.service.pid)


def test_a_picture_becomes_files(house, disc):
    answer = house.submit(disc, outputs="points.ply,mesh.glb", num_points="1000", seed="7")

    job = answer.json()
    assert (answer.status_code, job["status"]) == (200, "succeeded")
    assert (job["params"]["seed"], job["progress"]["percent"]) == (7, 100)
    files = {item["name"]: item for item in job["artifacts"]}
    assert set(files) == {"points.ply", "mesh.glb", "mask.png"}
    content = {name: house.http.get(item["url"]).content for name, item in files.items()}
    for name, item in files.items():
        assert hashlib.sha256(content[name]).hexdigest() == item["sha256"]
    assert content["points.ply"].startswith(b"ply\nformat binary_little_endian 1.0\n")
    assert b"element vertex 1000\n" in content["points.ply"]
    assert content["mask.png"].startswith(b"\x89PNG")
    magic, version, length = struct.unpack_from("<4sII", content["mesh.glb"])
    assert (magic, version, length) == (b"glTF", 2, len(content["mesh.glb"]))


def test_the_same_seed_gives_the_same_bytes(house, disc):
    jobs = [house.submit(disc, outputs="points.ply", seed=seed).json() for seed in ("5", "5", "6")]

    sums = [job["artifacts"][0]["sha256"] for job in jobs]
    assert sums[0] == sums[1] != sums[2]


def test_a_blank_picture_fails_with_a_hint(house, blank):
    job = house.submit(blank).json()

    assert job["status"] == "failed"
    assert (job["error"]["code"], job["error"]["retryable"]) == ("no_foreground", False)
    assert "plain background" in job["error"]["hint"]


def test_cancel_while_it_runs(house, disc):
    job_id = house.submit(disc, seed=str(ENDLESS_SEED), wait=None).json()["id"]
    wait_until(lambda: house.job(job_id)["progress"]["step"] > 0, "the job runs")

    assert house.http.post(f"/jobs/{job_id}/cancel").status_code == 202
    wait_until(lambda: house.job(job_id)["status"] == "canceled", "the job is canceled")

    assert house.http.post(f"/jobs/{job_id}/cancel").status_code == 409
    assert house.submit(disc, seed="8").json()["status"] == "succeeded"


def test_a_worker_that_is_killed_is_replaced(house, disc):
    worker = next(c for c in house.service.descendants() if "worker_entry" in str(c.cmdline()))
    worker.kill()
    wait_until(lambda: not worker.is_running(), "the worker is gone")

    assert house.submit(disc, seed="9").json()["status"] == "succeeded"


def test_the_queue_server_is_started_again(house, disc):
    server = next(c for c in house.service.descendants() if "worker_entry" not in str(c.cmdline()))
    before = house.submit(disc, seed="10").json()["id"]
    server.kill()
    house.service.wait_line("started again")
    wait_until(lambda: house.http.get("/readyz").status_code == 200, "it is ready again")

    assert house.job(before)["status"] == "succeeded"
    assert house.submit(disc, seed="11").json()["status"] == "succeeded"


def test_sigterm_ends_everything_in_order(tmp_path, disc):
    """What runs is finished, what waits is kept for the next start."""
    gate = tmp_path / "gate"
    gate.mkdir()
    options = (*SERVE, "--data-dir", str(tmp_path / "data"))
    environment = {"GATE_DIR": str(gate), "BOZZETTO_WORKER__MAX_BATCH": "1"}
    with program(*options, **environment) as service:
        house = House(service, gate)
        with house.http:
            running = house.submit(disc, seed=str(GATE_SEED), wait=None).json()["id"]
            wait_until((gate / "waiting").exists, "the job runs")
            waiting = house.submit(disc, seed="2", wait=None).json()["id"]
        children = service.descendants()
        service.send(signal.SIGTERM)
        service.wait_line("draining")
        (gate / "open").touch()
        assert service.wait() == 0
        wait_until(lambda: not any(map(alive, children)), "the children are gone")

    with program(*options, **environment) as service:
        house = House(service, gate)
        with house.http:
            assert house.job(running)["status"] == "succeeded"
            wait_until(lambda: house.job(waiting)["status"] == "succeeded", "the rest is done")
            assert house.job(waiting)["attempt"] == 1
        # A killed parent takes its children along.
        children = service.descendants()
        assert len(children) == 2
        service.send(signal.SIGKILL)
        wait_until(lambda: not any(map(alive, children)), "the children are gone")


def alive(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_taken_port_is_said_in_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = ("-m", "service.cli", "serve", "--port", port, "--data-dir", str(tmp_path))
        with program(*command) as service:
            code = service.wait()

    assert code == 3
    lines = service.output.splitlines()
    assert lines[0].startswith(f"bozzetto: cannot listen on 127.0.0.1:{port}: ")
    assert "--port" in lines[1]
    assert len(lines) == 2


def test_a_misspelt_setting_is_said_in_one_line(tmp_path):
    with program("-m", "service.cli", "serve", BOZZETTO_DATADIR=str(tmp_path)) as service:
        code = service.wait()

    assert code == 3
    assert service.output.startswith("bozzetto: BOZZETTO_DATADIR names no setting; known: ")


def test_the_gateway_alone_needs_a_queue():
    with program("-m", "service.cli", "gateway") as service:
        assert service.wait() == 3
    assert "BOZZETTO_REDIS__URL" in service.output


def test_the_gateway_alone(redis_url, tmp_path):
    command = ("-m", "service.cli", "gateway", "--port", "0", "--data-dir", str(tmp_path))
    with program(*command, BOZZETTO_REDIS__URL=redis_url) as service:
        url = service.wait_line("bozzetto gateway on ").split()[-1]
        assert httpx.get(f"{url}/livez").status_code == 200
        reasons = json.dumps(httpx.get(f"{url}/readyz").json())
        assert "no_worker" in reasons
        service.send(signal.SIGINT)
        assert service.wait() == 0
