import re
import shutil
import subprocess

import numpy as np
import pytest

from geometry.ply import write_points
from geometry.point_cloud import PointCloud
from models.catalog import PARAMETERS, SAMPLERS
from models.images import inspect
from service.gateway.routes.pages import STATIC

OTHER_HOST = re.compile(r"(?:https?:)?//(?!www\.w3\.org/2000/svg)[a-z0-9]")


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_pages_bring_all_they_need(client, path):
    response = await client.get(path)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    links = re.findall(r'(?:src|href)="(/static/[^"]+)"', response.text)
    assert len(links) >= 3
    for link in links:
        answer = await client.get(link)
        assert answer.status_code == 200
        assert answer.headers["x-content-type-options"] == "nosniff"
        for module in re.findall(r'from "([^"]+)"', answer.text):
            assert (await client.get(module)).status_code == 200
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", response.text)


PAGES = sorted(path for path in STATIC.iterdir() if path.is_file())


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_other_host_is_asked(path):
    text = "\n".join(
        line for line in path.read_text("utf-8").splitlines() if not line.strip().startswith("//")
    )
    assert not OTHER_HOST.search(text)


async def test_every_example_is_there_and_is_a_picture(client):
    listed = (await client.get("/static/examples.json")).json()
    assert listed
    for example in listed:
        answer = await client.get(example["url"])
        inspect(answer.content, max_pixels=1_000_000)


def test_every_parameter_and_sampler_has_a_name_on_the_page():
    text = (STATIC / "options.js").read_text("utf-8")
    for name in (*(item.name for item in PARAMETERS), *SAMPLERS):
        assert re.search(rf"\b{name}: \"", text), name


async def test_only_static_files_are_served(client):
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/"):
        assert (await client.get(path)).status_code == 404


@pytest.mark.skipif(shutil.which("node") is None, reason="node reads the page's own code")
def test_the_page_reads_our_point_files(tmp_path):
    rng = np.random.default_rng(4)
    cloud = PointCloud(
        rng.normal(size=(5, 3)).astype(np.float32) * 0.1,
        colors=rng.integers(0, 255, (5, 3), dtype=np.uint8),
        normals=np.tile(np.array([0, 0.6, 0.8], np.float32), (5, 1)),
    )
    (tmp_path / "points.ply").write_bytes(write_points(cloud))
    (tmp_path / "ply.mjs").write_bytes((STATIC / "ply.js").read_bytes())
    code = """
    import { readFileSync } from "node:fs";
    import { parsePly } from "./ply.mjs";
    const bytes = readFileSync("points.ply");
    const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
    const cloud = parsePly(buffer);
    for (const bad of [new ArrayBuffer(9), buffer.slice(0, -1)]) {
      try { parsePly(bad); console.log("accepted"); } catch { /* as it should be */ }
    }
    console.log([cloud.count, ...cloud.positions, ...cloud.normals, ...cloud.colors].join(" "));
    """
    (tmp_path / "read.mjs").write_text(code)
    done = subprocess.run(
        ["node", "read.mjs"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    values = np.array([float(word) for word in done.stdout.split()], np.float32)
    assert values[0] == 5
    np.testing.assert_array_equal(values[1:16].reshape(5, 3), cloud.positions)
    np.testing.assert_array_equal(values[16:31].reshape(5, 3), cloud.normals)
    np.testing.assert_array_equal(values[31:].reshape(5, 3), cloud.colors)
