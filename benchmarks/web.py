"""The page and the viewer in headless Chromium, whose WebGL runs on the processor here."""

import base64
import gzip
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from geometry.ply import write_points
from geometry.point_cloud import PointCloud
from models.catalog import DRAFT

_ROOT = Path(__file__).parents[1]
_STATIC = _ROOT / "service/gateway/static"
_PICTURE = _ROOT / "examples/duck.png"
_PROFILES, _OBJECTS, _FRAMES, _POINTS = 7, 5, 60, 100_000
_SIZE = {"width": 1280, "height": 720}
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
_PATIENCE_S = 120.0

_PAINTED = """() => new Promise((resolve) => {
  new PerformanceObserver((list) => {
    const paint = list.getEntries().find(({ name }) => name === "first-contentful-paint");
    if (paint) resolve(paint.startTime / 1000);
  }).observe({ type: "paint", buffered: true });
})"""
# One viewer over the whole window, on a page that may load the script.
_ALONE = """async ([script, points]) => {
  await import(script);
  const viewer = document.createElement("bozzetto-viewer");
  const bytes = Uint8Array.from(atob(points), (letter) => letter.charCodeAt(0));
  Object.assign(viewer.style, { position: "fixed", inset: "0", width: "auto", height: "auto" });
  viewer.setAttribute("points", URL.createObjectURL(new Blob([bytes])));
  const shown = new Promise((resolve) => viewer.addEventListener("bozzetto-load", resolve));
  document.body.replaceChildren(viewer);
  await shown;
  const { width, height } = viewer.shadowRoot.querySelector("canvas");
  return [width, height];
}"""
_FRAME_RATE = """async ([count, adaptive]) => {
  const viewer = document.querySelector("bozzetto-viewer");
  return count / (await viewer.renderFrames(count, adaptive));
}"""
_SHOWN = """() => new Promise((resolve) => {
  const viewer = document.querySelector("#viewer");
  viewer.addEventListener("bozzetto-load", () => requestAnimationFrame(resolve), { once: true });
})"""


def measure() -> dict[str, float]:
    """Medians over fresh profiles in seconds, bytes as sent, frames per second."""
    program = shutil.which("chromium")
    if program is None:
        sys.exit("chromium is not installed")
    figures = {"viewer with three.js, gzip, bytes": float(_viewer_bytes())}
    with _served() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        figures["chromium, major version"] = float(browser.version.partition(".")[0])
        figures |= _first_load(browser, url) | _frame_rates(browser, url) | _objects(browser, url)
        browser.close()
    return figures


@contextmanager
def _served() -> Iterator[str]:
    """The service as a user starts it."""
    with tempfile.TemporaryDirectory() as folder:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "service.cli", "serve", "--port", str(port)]
        server = subprocess.Popen(
            [*command, "--data-dir", folder],
            cwd=_ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _until_ready(f"{url}/readyz")
            yield url
        finally:
            server.terminate()
            server.wait(60)


def _until_ready(url: str) -> None:
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own address
                return
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def _viewer_bytes() -> int:
    """Of the element's script and all that it imports at once, each compressed by itself."""
    found, waiting = dict[str, int](), ["bozzetto-viewer.js"]
    while waiting:
        name = waiting.pop()
        text = (_STATIC / name).read_text("utf-8")
        found[name] = len(gzip.compress(text.encode()))
        imported = re.findall(r'(?:from|import)\s*["\']\./([\w.-]+)["\']', text)
        waiting += [other for other in imported if other not in found]
    return sum(found.values())


@contextmanager
def _page(browser: Browser, url: str) -> Iterator[tuple[Page, dict[str, int]]]:
    """The page in a fresh profile, and the bytes of each answer by its path."""
    context = browser.new_context(viewport=_SIZE)  # type: ignore[arg-type]
    context.set_default_timeout(1000 * _PATIENCE_S)
    page = context.new_page()
    session = context.new_cdp_session(page)
    paths, sizes = dict[str, str](), dict[str, int]()

    def asked(event: dict[str, Any]) -> None:
        paths[event["requestId"]] = event["request"]["url"].removeprefix(url)

    def came(event: dict[str, Any]) -> None:
        sizes[paths[event["requestId"]]] = event["encodedDataLength"]

    session.on("Network.requestWillBeSent", asked)
    session.on("Network.loadingFinished", came)
    session.send("Network.enable")
    page.goto(url)
    yield page, sizes
    context.close()


def _first_load(browser: Browser, url: str) -> dict[str, float]:
    paints, shown, loads = [], [], []
    for _ in range(_PROFILES):
        with _page(browser, url) as (page, sizes):
            paints.append(float(page.evaluate(_PAINTED)))
            page.locator("#viewer .note", has_text="triangles").wait_for()
            shown.append(float(page.evaluate("() => performance.now() / 1000")))
            page.wait_for_load_state("networkidle")
            loads.append(sizes)
    load = loads[-1]
    pictures = sum(size for path, size in load.items() if path.startswith("/static/examples/"))
    return {
        "first paint, s": statistics.median(paints),
        "example object shown, s": statistics.median(shown),
        "first load with the example object, bytes": sum(load.values()),
        "of these the example object and pictures, bytes": pictures,
    }


def _frame_rates(browser: Browser, url: str) -> dict[str, float]:
    rng = np.random.default_rng(1)
    normals = rng.normal(size=(_POINTS, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    cloud = PointCloud(
        (0.4 * normals).astype(np.float32),
        rng.integers(0, 255, (_POINTS, 3), dtype=np.uint8),
        normals.astype(np.float32),
    )
    file = base64.b64encode(write_points(cloud)).decode()
    with _page(browser, url) as (page, _):
        size = page.evaluate(_ALONE, ["/static/bozzetto-viewer.js", file])
        if size != list(_SIZE.values()):
            raise RuntimeError(f"the picture is {size}, not {_SIZE}")

        def rate(adaptive: bool) -> float:
            rates = (page.evaluate(_FRAME_RATE, [_FRAMES, adaptive]) for _ in range(5))
            return statistics.median(map(float, rates))

        # In this order: the viewer draws less after it has seen how slow all of it is.
        return {
            f"{_POINTS:,} points at 720p, as in motion, frames/s": rate(True),
            f"{_POINTS:,} points at 720p, all drawn, frames/s": rate(False),
        }


def _objects(browser: Browser, url: str) -> dict[str, float]:
    """From the press of the button to the mesh on the screen, as a visitor waits for it."""
    seconds = []
    with _page(browser, url) as (page, _):
        upload = page.locator("bozzetto-upload")
        page.locator("#viewer .note", has_text="triangles").wait_for()
        upload.get_by_label("Model").select_option(DRAFT.id)
        upload.locator("input[type=file]").first.set_input_files(_PICTURE)
        for _ in range(1 + _OBJECTS):  # the first one warms the worker
            page.evaluate(f"() => {{ window.shown = ({_SHOWN})(); }}")
            button = upload.get_by_role("button", name="Reconstruct")
            button.wait_for()
            started = time.perf_counter()
            button.click()
            page.evaluate("() => window.shown")
            seconds.append(time.perf_counter() - started)
    return {"upload to object with draft, s": statistics.median(seconds[1:])}
