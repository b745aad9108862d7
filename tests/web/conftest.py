"""A real browser at a real service with the scripted model."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.e2e.processes import Program, program
from tests.web.origins import Site, site
from tests.web.visitor import Visitor

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# Without a sandbox because CI is root; the rest keeps the browser from talking to its makers.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
STEPS = 6
PATIENCE_MS = 45_000  # software rendering on a busy machine


def missing(what: str) -> NoReturn:
    """In CI an absent tool is a failure; elsewhere its tests are skipped and say why."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


# Ends with this folder's tests: Playwright's event loop is in the way of asyncio tests.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        missing(f"no browser is installed: {', '.join(PROGRAMS)}")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield running
        running.close()


@dataclass(slots=True)
class House:
    """`bozzetto serve` with the scripted model; jobs with a gate's seed wait until it is opened."""

    url: str
    gate: Path
    service: Program
    key: str | None = None

    def open_gate(self) -> None:
        (self.gate / "open").touch()

    def close_gate(self) -> None:
        (self.gate / "open").unlink(missing_ok=True)

    def api(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        return httpx.request(method, self.url + path, headers=headers, timeout=60, **options)

    def job(self, job_id: str) -> dict[str, Any]:
        return dict(self.api("GET", f"/jobs/{job_id}").json())


def serving(folder: Path, port: int = 0, **environment: str) -> AbstractContextManager[Program]:
    """The service on data in `folder`."""
    command = ("-m", "tests.e2e.serve_entry", "--port", str(port), "--data-dir")
    (folder / "gate").mkdir(parents=True, exist_ok=True)
    given = {"GATE_DIR": str(folder / "gate"), "GATE_STEPS": str(STEPS)}
    return program(*command, str(folder / "data"), **(given | environment))


def ready(service: Program) -> str:
    """Its address, once it takes jobs."""
    return service.wait_line("bozzetto is ready on ").split()[-1]


@pytest.fixture(scope="session")
def friend() -> Iterator[Site]:
    """A site whose pages may call the house."""
    with site() as served:
        yield served


@pytest.fixture(scope="session")
def stranger() -> Iterator[Site]:
    """A site whose pages may not."""
    with site() as served:
        yield served


@pytest.fixture(scope="session")
def shared_house(tmp_path_factory: pytest.TempPathFactory, friend: Site) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("web")
    allowed = json.dumps([friend.origin])
    with serving(folder, BOZZETTO_GATEWAY__CORS_ORIGINS=allowed) as service:
        yield House(ready(service), folder / "gate", service)


@pytest.fixture
def house(shared_house: House) -> Iterator[House]:
    """With its gate open before the test and after it."""
    shared_house.open_gate()
    yield shared_house
    shared_house.open_gate()


@dataclass  # without slots: Playwright leaves marks on whose methods it calls
class Window:
    """A page and all that went wrong in it."""

    page: Page
    origins: tuple[str, ...]
    quiet: bool
    errors: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._console)
        self.page.on("request", self._request)

    def _console(self, message: Any) -> None:
        # An answer with an error status is logged by the browser itself; tests look at the page.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.errors.append(message.text)

    def _request(self, request: Any) -> None:
        if not request.url.startswith((*self.origins, "blob:", "data:")):
            self.strangers.append(request.url)


OpenPage = Callable[..., Page]
Visit = Callable[..., Visitor]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens an address in a fresh profile; keywords are the context's, and `init_script`.

    At the end no page may have logged an error, broken its policy, or asked a host that is not
    in `origins`. `quiet=False`: the browser itself logs errors, and is right to.
    """
    windows: list[Window] = []

    def open_at(address: str, origins: tuple[str, ...], **context: Any) -> Page:
        scripts, quiet = context.pop("init_script", None), context.pop("quiet", True)
        fresh = browser.new_context(**{"viewport": {"width": 1280, "height": 800}} | context)
        fresh.set_default_timeout(PATIENCE_MS)
        if scripts:
            fresh.add_init_script(scripts)
        page = fresh.new_page()
        windows.append(Window(page, origins, quiet))
        windows[-1].watch()
        page.goto(address)
        return page

    yield open_at
    for window in windows:
        window.page.context.close()
    assert [window.errors for window in windows if window.quiet and window.errors] == []
    assert [window.strangers for window in windows if window.strangers] == []


@pytest.fixture
def visit(open_page: OpenPage, house: House) -> Visit:
    """A visitor of the house's page, in a fresh profile."""

    def at(path: str = "/", **context: Any) -> Visitor:
        return Visitor(open_page(house.url + path, (house.url,), **context))

    return at


@pytest.fixture
def keep() -> Callable[[Page, str], None]:
    """Saves a screenshot to be looked at, where WEB_SCREENSHOTS names a folder."""
    folder = os.environ.get("WEB_SCREENSHOTS")

    def save(page: Page, name: str) -> None:
        if folder:
            page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)

    return save
