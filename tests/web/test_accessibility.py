"""axe finds nothing in any state of the page, light or dark, on a desk or a phone."""

from collections.abc import Callable
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.e2e.worker_entry import LATER_SEED
from tests.fakes_model import CRASH_SEED
from tests.web.conftest import missing
from tests.web.visitor import ROOT, Visitor

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
DESK: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}
LOOKS = [
    (f"{scheme}-{device}", scheme, size)
    for device, size in (("desk", DESK), ("phone", PHONE))
    for scheme in SCHEMES
]
# Only what the rules are sure of; what they cannot decide is looked at in screenshots.
RUN = "() => axe.run({resultTypes: ['violations']}).then(({violations}) => violations)"


@pytest.fixture(scope="module")
def axe() -> str:
    path = ROOT / "web/node_modules/axe-core/axe.min.js"
    if not path.is_file():
        missing("axe-core is not installed: run make web")
    return path.read_text("utf-8")


@pytest.fixture
def check(axe: str, keep: Callable[[Page, str], None]) -> Callable[[Visitor, str], None]:
    """The state that a visitor's page is in, in all looks."""

    def look(visitor: Visitor, state: str) -> None:
        page = visitor.page
        page.evaluate(axe)
        found: dict[str, Any] = {}
        for name, scheme, size in LOOKS:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.set_viewport_size(size)
            keep(page, f"{state}-{name}")
            for violation in page.evaluate(RUN):
                nodes = [node["html"] for node in violation["nodes"]]
                found[f"{name}: {violation['help']}"] = nodes
        assert found == {}, state

    return look


def test_from_the_empty_page_to_an_object(visit, house, check):
    house.close_gate()
    visitor = visit()
    visitor.wait_example()
    check(visitor, "empty")

    visitor.submit(seed=LATER_SEED)
    expect(visitor.note).to_have_text("Taking shape, step 1")
    check(visitor, "running")

    house.open_gate()
    visitor.wait_object()
    check(visitor, "finished")
    for panel in ("Look", "Download", "Help"):
        visitor.page.set_viewport_size(DESK)
        visitor.tool(panel).click()
        check(visitor, f"panel-{panel.lower()}")
        visitor.page.set_viewport_size(DESK)
        visitor.tool(panel).click()

    visitor.page.get_by_role("button", name="Delete Bozzetto XS").click()
    check(visitor, "question")


def test_two_models_beside_each_other(visit, check):
    visitor = visit()
    visitor.make(seed=3)
    visitor.page.get_by_label("Model to compare with").select_option(label="Draft")
    visitor.page.get_by_role("button", name="Compare", exact=True).click()
    expect(visitor.page.get_by_role("table")).to_be_visible()
    check(visitor, "compare")


def test_errors(visit, check):
    visitor = visit()
    visitor.submit(seed=CRASH_SEED)
    expect(visitor.error).to_be_visible()
    check(visitor, "failed")

    visitor.page.goto(f"{visitor.page.url.partition('#')[0]}#job={'0' * 32}")
    expect(visitor.page.locator("#notice")).to_be_visible()
    check(visitor, "unknown")


def test_the_reference(visit, check):
    visitor = visit("/docs")
    expect(visitor.page.get_by_role("heading", name="POST /reconstruct")).to_be_visible()
    check(visitor, "docs")
