"""Everything without a mouse; and what has the focus can be seen to have it."""

from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, expect

# What has the focus, inside whichever shadow root, and whether anything about it shows that. The
# ring of an input that is not drawn itself is around what stands for it, next to it.
FOCUS = """
() => {
  let element = document.activeElement;
  while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
  if (!element || element === document.body) return null;
  const ringed = [element, element.nextElementSibling].some((one) => {
    if (!one) return false;
    const style = getComputedStyle(one);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  });
  const box = element.getBoundingClientRect();
  const inside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  const labels = [...(element.labels ?? [])].map((label) => label.textContent.trim());
  return {
    name: element.ariaLabel ?? labels[0] ?? element.innerText?.trim().split("\\n")[0] ?? "",
    role: element.getAttribute("role") ?? element.localName,
    visible: ringed && inside && element.matches(":focus-visible"),
  };
}
"""
SETTLING_MS, PAUSE_MS = 5_000, 50
LONGEST_WAY = 60  # presses of the tab key around the whole page


@dataclass(frozen=True, slots=True)
class Focus:
    name: str
    role: str
    visible: bool


class Keyboard:
    def __init__(self, page: Page) -> None:
        self.page = page

    def focus(self) -> Focus | None:
        """What has the focus, once it can be seen: a page that still loads may move it away."""
        waited_ms = 0
        while found := self.page.evaluate(FOCUS):
            if found["visible"] or waited_ms >= SETTLING_MS:
                return Focus(**found)
            self.page.wait_for_timeout(PAUSE_MS)
            waited_ms += PAUSE_MS
        return None

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def tab_to(self, name: str, key: str = "Tab") -> None:
        """Onwards to a named control; every stop on the way has to show that it is one."""
        for _ in range(LONGEST_WAY):
            self.press(key)
            stop = self.focus()
            if stop is None:
                continue  # the browser's own controls come between the last and the first
            assert stop.visible, stop
            if stop.name.startswith(name):
                return
        raise AssertionError(f"{name!r} is not reached with {key}")


def test_from_a_picture_to_a_turned_object(visit):
    visitor = visit()
    visitor.wait_example()
    keys = Keyboard(visitor.page)

    keys.tab_to("Skip to the form")
    keys.press("Enter")
    keys.tab_to("Example: duck")
    keys.press("Enter")
    expect(visitor.start).to_be_enabled()
    keys.tab_to("Reconstruct")
    keys.press("Enter")
    visitor.wait_object()
    expect(visitor.status).to_contain_text("Done in")
    assert keys.focus() == Focus("Reconstruct", "button", visible=True)

    keys.tab_to("Bozzetto XS", key="Shift+Tab")  # the canvas, labelled by what it shows
    stop = keys.focus()
    assert stop is not None
    assert stop.role == "application"
    camera, picture = visitor.camera(), visitor.picture()
    keys.press(*["ArrowLeft"] * 4)
    assert visitor.picture().changed(picture) > 0.02
    assert visitor.camera() != camera
    keys.press("p")
    expect(visitor.note).to_have_text("4,096 points")
    keys.press("0")
    keys.press("p")
    expect(visitor.note).to_contain_text("triangles")
    assert visitor.picture().changed(picture) < 0.01
    assert keys.focus() == stop


KINDS = ["Points", "Mesh"]
TOOLS = ["Look", "Turntable", "First view", "Save a picture", "Download", "Full screen", "Help"]


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_the_toolbar_is_one_stop_with_arrows(visit, motion):
    visitor = visit(reduced_motion=motion)
    visitor.make()
    keys = Keyboard(visitor.page)
    visitor.viewer.locator("canvas").focus()
    expected = [*KINDS, *TOOLS]
    if motion == "reduce":
        expected.remove("Turntable")

    keys.press("Tab", "Home", "Space")
    expect(visitor.note).to_have_text("4,096 points")
    seen = []
    for _ in expected:
        stop = keys.focus()
        assert stop is not None
        assert stop.visible, stop
        seen.append(stop.name)
        keys.press("ArrowRight")
    assert seen == expected
    keys.press("ArrowRight", "Enter")  # it is a ring
    expect(visitor.note).to_contain_text("triangles")
    keys.press("Tab")
    stop = keys.focus()
    assert stop is not None
    assert stop.name not in expected


@pytest.mark.parametrize(
    ("button", "panel"), [("Look", "Look"), ("Download", "Download"), ("Help", "Keys and gestures")]
)
def test_menus_open_with_enter_and_close_with_escape(visit, button, panel):
    visitor = visit()
    visitor.wait_example()
    keys = Keyboard(visitor.page)
    visitor.tool(button).focus()

    keys.press("Enter")
    opened = visitor.viewer.get_by_role("region", name=panel, exact=True)
    expect(opened).to_be_visible()
    keys.press("Escape")
    expect(opened).to_be_hidden()
    assert keys.focus() == Focus(button, "button", visible=True)


def test_the_way_to_the_form_leaves_the_object(visit):
    visitor = visit()
    job_id = visitor.make(seed=3)
    visitor.page.get_by_role("link", name="Skip to the form").focus()
    visitor.page.keyboard.press("Enter")

    expect(visitor.page.locator("#make")).to_be_focused()
    visitor.wait_object()
    assert visitor.job_id() == job_id


def test_looks_are_changed_by_keys(visit):
    visitor = visit()
    visitor.wait_example()
    keys = Keyboard(visitor.page)
    before = visitor.picture()

    visitor.tool("Look").focus()
    keys.press("Enter", "ArrowRight", "ArrowRight", "ArrowRight")
    stop = keys.focus()
    assert stop is not None
    assert (stop.name, stop.visible) == ("Normals", True)
    keys.tab_to("Wireframe")
    keys.press("Space", "Escape")
    expect(visitor.viewer).to_have_attribute("lighting", "normals")
    expect(visitor.viewer).to_have_attribute("wireframe", "")
    assert visitor.picture().changed(before) > 0.1


def test_the_question_before_deleting_keeps_the_focus(visit):
    visitor = visit()
    visitor.make(outputs="points.ply,mesh.glb")
    keys = Keyboard(visitor.page)

    visitor.page.get_by_role("button", name="Delete Bozzetto XS").focus()
    keys.press("Enter")
    dialog = visitor.page.get_by_role("dialog", name="Delete this object?")
    expect(dialog.get_by_role("button", name="Keep")).to_be_focused()
    for _ in range(6):  # round and round within the dialog, or to the browser's own controls
        keys.press("Tab")
        stop = keys.focus()
        assert stop is None or stop.name.startswith(("Keep", "Delete here", "Only take")), stop
    keys.press("Escape")
    expect(dialog).to_be_hidden()
    focus = keys.focus()
    assert focus is not None
    assert focus.name.startswith("Delete Bozzetto XS")


def test_languages_of_the_snippets_are_tabs(visit):
    visitor = visit()
    visitor.wait_example()
    keys = Keyboard(visitor.page)
    visitor.page.get_by_role("tab", name="curl").focus()

    for name in ("Python", "JavaScript", "HTML", "curl"):
        keys.press("ArrowRight")
        assert keys.focus() == Focus(name, "tab", visible=True)
        expect(visitor.page.get_by_role("tabpanel", name=name)).to_be_visible()
    keys.tab_to("Program")
    keys.tab_to("Copy")
