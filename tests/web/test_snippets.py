"""The programs that the page gives do what is on the screen."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.web.conftest import missing
from tests.web.visitor import DUCK, ROOT, Visitor

CLIPBOARD = {"permissions": ["clipboard-read", "clipboard-write"]}


def copied(visitor: Visitor, language: str) -> str:
    """What the button gives for the object on the screen."""
    page = visitor.page
    page.get_by_role("tab", name=language).click()
    page.locator("#code").get_by_role("button", name="Copy").click()
    expect(page.locator("#code").get_by_role("status")).to_have_text("Copied")
    return str(page.evaluate("() => navigator.clipboard.readText()"))


def runner(language: str, program: str, folder: Path) -> list[str]:
    """The command for the program."""
    if language == "curl":
        return ["sh", "-e", "-c", program]
    if language == "Python":
        return [sys.executable, "-c", program]
    node, builder = shutil.which("node"), ROOT / "web/node_modules/.bin/esbuild"
    if node is None or not builder.exists():
        missing("node or web/node_modules is not installed: run make web")
    (folder / "program.mjs").write_text(program, "utf-8")
    client = ROOT / "clients/javascript/src/index.ts"
    options = ["--bundle", "--platform=node", "--format=esm", f"--alias:bozzetto-client={client}"]
    bundle = [str(builder), "program.mjs", *options, "--outfile=bundle.mjs", "--log-level=error"]
    subprocess.run(bundle, cwd=folder, check=True)
    return [node, "bundle.mjs"]


@pytest.mark.parametrize("language", ["curl", "Python", "JavaScript"])
def test_the_program_makes_the_same_object(visit, house, tmp_path, language):
    visitor = visit(**CLIPBOARD)
    visitor.make(seed=3, outputs="points.ply,mesh.glb", num_points=1000)
    program = copied(visitor, language)

    shutil.copy(DUCK, tmp_path)
    done = subprocess.run(
        runner(language, program, tmp_path),
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "clients/python/src")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, program + done.stderr
    shown = house.api("GET", f"/jobs/{visitor.job_id()}/artifacts/points.ply").content
    assert (tmp_path / "points.ply").read_bytes() == shown
    assert (tmp_path / "mesh.glb").read_bytes().startswith(b"glTF")


@pytest.fixture
def html(visit) -> str:
    visitor = visit(**CLIPBOARD)
    visitor.make(seed=3)
    return copied(visitor, "HTML")


def test_the_markup_shows_the_object_on_another_site(html, house, friend, open_page):
    friend.body = html
    page = open_page(friend.origin, (friend.origin, house.url))

    viewer = page.locator("bozzetto-viewer")
    expect(viewer.locator(".note")).to_contain_text("triangles")
    viewer.get_by_role("button", name="Points", exact=True).click()
    expect(viewer.locator(".note")).to_have_text("4,096 points")


def test_the_markup_says_where_the_site_is_not_allowed(html, house, stranger, open_page):
    stranger.body = html
    page = open_page(stranger.origin, (stranger.origin, house.url), quiet=False)

    message = page.locator("bozzetto-viewer").get_by_role("alert")
    expect(message).to_contain_text("No connection")


def test_the_form_on_another_site(visit, house, friend, open_page):
    visitor = visit(**CLIPBOARD)
    visitor.wait_example()
    friend.body = copied(visitor, "HTML")
    page = open_page(friend.origin, (friend.origin, house.url))

    upload = page.locator("bozzetto-upload")
    upload.locator("input[type=file]").first.set_input_files(DUCK)
    upload.get_by_role("button", name="Reconstruct").click()
    expect(upload.locator(".status")).to_contain_text("Done in")
    expect(page.locator("bozzetto-viewer .note")).to_contain_text("triangles")
