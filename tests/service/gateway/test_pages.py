import re

import pytest

from models.images import inspect
from service.gateway.routes.pages import STATIC

# No addresses that are fetched: names of XML languages, and the app that a link opens on Android.
KNOWN = (r"www\.w3\.org/(?:2000/svg|1999/xhtml)", r"arvr\.google\.com/scene-viewer/")
OTHER_HOST = re.compile(rf"(?:\w+:)?//(?!{'|'.join(KNOWN)})[a-z0-9][^\s\"'`]*")
COMMENT = re.compile(r"/\*.*?\*/|^\s*//.*?$", re.DOTALL | re.MULTILINE)
TEXTS = sorted(
    path for path in STATIC.rglob("*") if path.suffix in {".html", ".css", ".js", ".json"}
)


def policy(text: str) -> dict[str, list[str]]:
    parts = (part.split() for part in text.split(";"))
    return {name: sources for name, *sources in parts}


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_pages_bring_all_they_need(client, path):
    response = await client.get(path)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    links = re.findall(r'(?:src|href)="(/static/[^"]+)"', response.text)
    assert len(links) >= 3
    for link in links:
        answer = await client.get(link)
        assert answer.status_code == 200
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", response.text)


@pytest.mark.parametrize("path", ["/", "/docs", "/static/index.html", "/static/docs.html"])
async def test_the_policy_of_pages(client, path):
    headers = (await client.get(path)).headers
    allowed = policy(headers["content-security-policy"])
    assert allowed["default-src"] == ["'none'"]
    assert allowed["script-src"] == ["'self'", "'wasm-unsafe-eval'"]
    assert allowed["style-src"] == ["'self'"]
    assert allowed["frame-ancestors"] == ["'self'"]
    unsafe = [source for sources in allowed.values() for source in sources if "unsafe" in source]
    assert unsafe == ["'wasm-unsafe-eval'"]
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("script", ["page.js", "bozzetto-viewer.js", "bozzetto-upload.js"])
async def test_scripts_find_each_other(client, script):
    """All that a module imports, now or later, and what that imports."""
    found, waiting = set(), [script]
    while waiting:
        name = waiting.pop()
        answer = await client.get(f"/static/{name}")
        assert answer.status_code == 200, name
        assert answer.headers["content-type"].startswith("text/javascript")
        assert answer.headers["access-control-allow-origin"] == "*"
        found.add(name)
        imported = re.findall(r'(?:from|import)\s*\(?\s*["\']\./([\w.-]+)["\']', answer.text)
        waiting += set(imported) - found - set(waiting)
    assert len(found) > 1


def test_scripts_hold_no_data_of_the_build():
    for path in STATIC.glob("*.js"):
        assert "sourceMappingURL" not in path.read_text("utf-8"), path.name


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_no_other_host_is_asked(path):
    assert OTHER_HOST.findall(COMMENT.sub("", path.read_text("utf-8"))) == []


async def test_every_example_is_there_and_is_a_picture(client):
    listed = (await client.get("/static/examples.json")).json()
    assert listed
    for example in listed:
        answer = await client.get(example["url"])
        inspect(answer.content, max_pixels=1_000_000)


async def test_only_static_files_are_served(client):
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/"):
        assert (await client.get(path)).status_code == 404
