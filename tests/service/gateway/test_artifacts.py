import pytest

from service.gateway.routes import artifacts
from service.jobs import JobError
from tests.service.gateway.kit import problem

DATA = bytes(range(100))


async def finished(gateway, data=DATA):
    job = await gateway.submit()
    digest = gateway.finish(gateway.claim(), data)
    return f"/jobs/{job['id']}/artifacts/mesh.glb", f'"{digest}"'


async def test_whole_file(gateway):
    url, etag = await finished(gateway)
    response = await gateway.http.get(url)
    assert response.status_code == 200
    assert response.content == DATA
    assert response.headers["content-type"] == "model/gltf-binary"
    assert response.headers["content-length"] == "100"
    assert response.headers["etag"] == etag
    assert response.headers["accept-ranges"] == "bytes"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-disposition"] == 'attachment; filename="mesh.glb"'
    head = await gateway.http.head(url)
    assert head.status_code == 200
    assert head.headers["etag"] == etag
    assert head.headers["content-length"] == "100"


async def test_large_files_come_in_pieces(gateway, monkeypatch):
    monkeypatch.setattr(artifacts, "PIECE_BYTES", 7)
    url, _ = await finished(gateway)
    assert (await gateway.http.get(url)).content == DATA
    ranged = await gateway.http.get(url, headers={"Range": "bytes=3-50"})
    assert ranged.content == DATA[3:51]


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=90-", 90, 99),
        ("bytes=95-1000", 95, 99),
        ("bytes=-5", 95, 99),
        ("bytes=-1000", 0, 99),
    ],
)
async def test_range(gateway, asked, first, last):
    url, etag = await finished(gateway)
    for extra in ({}, {"If-Range": etag}):
        response = await gateway.http.get(url, headers={"Range": asked, **extra})
        assert response.status_code == 206
        assert response.content == DATA[first : last + 1]
        assert response.headers["content-range"] == f"bytes {first}-{last}/100"
        assert response.headers["content-length"] == str(last + 1 - first)
        assert response.headers["etag"] == etag


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=200-300", "bytes=-0"])
async def test_range_past_the_end(gateway, asked):
    url, _ = await finished(gateway)
    response = await gateway.http.get(url, headers={"Range": asked})
    problem(response, 416, "range_not_satisfiable")
    assert response.headers["content-range"] == "bytes */100"


@pytest.mark.parametrize("asked", ["bytes=5-4", "bytes=-", "bytes=1-2,4-5", "lines=1-2", "x"])
async def test_ranges_of_other_forms_are_ignored(gateway, asked):
    url, _ = await finished(gateway)
    response = await gateway.http.get(url, headers={"Range": asked})
    assert response.status_code == 200
    assert response.content == DATA


async def test_if_range_of_another_file_gives_the_whole(gateway):
    url, _ = await finished(gateway)
    response = await gateway.http.get(url, headers={"Range": "bytes=1-2", "If-Range": '"other"'})
    assert response.status_code == 200
    assert response.content == DATA


async def test_if_none_match(gateway):
    url, etag = await finished(gateway)
    for given in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        response = await gateway.http.get(url, headers={"If-None-Match": given})
        assert response.status_code == 304
        assert response.content == b""
        assert response.headers["etag"] == etag
    assert (await gateway.http.get(url, headers={"If-None-Match": '"other"'})).status_code == 200


async def test_empty_file(gateway):
    url, _ = await finished(gateway, b"")
    response = await gateway.http.get(url)
    assert response.status_code == 200
    assert response.content == b""
    problem(
        await gateway.http.get(url, headers={"Range": "bytes=0-"}), 416, "range_not_satisfiable"
    )


@pytest.mark.parametrize("name", ["mesh.glb", "points.ply", "mask.png"])
async def test_artifact_of_an_unfinished_job(gateway, name):
    job = await gateway.submit()
    url = f"{job['links']['self']}/artifacts/{name}"
    body = problem(await gateway.http.get(url), 409, "not_ready")
    assert body["retryable"] is True
    gateway.claim()
    response = await gateway.http.get(url)
    assert "running" in problem(response, 409, "not_ready")["detail"]
    assert response.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    "name", ["mesh.stl", "nothing", "..%2finput%2f0", "input%2f0", "mesh.glb%00"]
)
async def test_unknown_name(gateway, name):
    job = await gateway.submit()
    url = f"{job['links']['self']}/artifacts/{name}"
    problem(await gateway.http.get(url), 404, "not_found")
    gateway.finish(gateway.claim())
    problem(await gateway.http.get(url), 404, "not_found")


async def test_artifact_of_a_failed_job(gateway):
    job = await gateway.submit()
    gateway.worker.fail(gateway.claim(), JobError("internal", "x", retryable=False))
    url = f"{job['links']['self']}/artifacts/mesh.glb"
    problem(await gateway.http.get(url), 404, "not_found")


async def test_a_file_that_was_lost(gateway):
    url, _ = await finished(gateway)
    gateway.store.delete_prefix(url.split("/")[2])
    problem(await gateway.http.get(url), 410, "expired")
