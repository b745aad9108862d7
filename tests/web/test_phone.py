"""On a phone: fingers, a narrow screen, and the object in sight when it forms."""

from typing import Any

import pytest
from playwright.sync_api import CDPSession, expect

from tests.e2e.worker_entry import LATER_SEED

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}

LOOKS = """(field) => {
  const { height, borderRadius, backgroundColor } = getComputedStyle(field);
  return [height, borderRadius, backgroundColor, field.offsetLeft];
}"""


def touch(session: CDPSession, kind: str, *points: tuple[float, float]) -> None:
    places = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
    session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})


def swipe(session: CDPSession, *ways: tuple[tuple[float, float], tuple[float, float]]) -> None:
    """One finger for each way, from its start to its end in eight moves."""
    touch(session, "touchStart", *(start for start, _ in ways))
    for step in range(1, 9):
        along = [
            (x + (to_x - x) * step / 8, y + (to_y - y) * step / 8) for (x, y), (to_x, to_y) in ways
        ]
        touch(session, "touchMove", *along)
    touch(session, "touchEnd")


def test_from_a_picture_to_a_turned_object(visit, house, keep):
    house.close_gate()
    visitor = visit(**PHONE)
    visitor.wait_example()
    visitor.choose()
    visitor.set(seed=LATER_SEED)
    visitor.start.tap()

    expect(visitor.note).to_have_text("Taking shape, step 1")
    expect(visitor.viewer).to_be_in_viewport(ratio=0.9)
    keep(visitor.page, "phone-running")
    house.open_gate()
    visitor.wait_object()
    keep(visitor.page, "phone-finished")

    picture = visitor.picture()
    box = visitor.viewer.locator("canvas").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    fingers = visitor.page.context.new_cdp_session(visitor.page)
    camera = visitor.camera()
    swipe(fingers, ((x - 60, y), (x + 60, y)))
    turned = visitor.picture()
    assert visitor.camera() != camera
    assert turned.changed(picture) > 0.02

    swipe(fingers, ((x, y - 30), (x, y - 100)), ((x, y + 30), (x, y + 100)))
    assert visitor.picture().share > 1.2 * turned.share


@pytest.mark.parametrize("width", [320, 390, 768])
def test_nothing_is_wider_than_the_screen(visit, width):
    visitor = visit(**PHONE | {"viewport": {"width": width, "height": 844}})
    visitor.wait_example()
    wide = "() => document.documentElement.scrollWidth"
    assert visitor.page.evaluate(wide) == width

    visitor.make(seed=3)
    assert visitor.page.evaluate(wide) == width
    tools = visitor.viewer.get_by_role("toolbar").bounding_box()
    assert tools is not None
    assert tools["x"] >= 0
    assert tools["x"] + tools["width"] <= width


def test_controls_are_large_enough_for_fingers(visit):
    visitor = visit(**PHONE)
    visitor.make(seed=3)
    small = [
        button.get_attribute("aria-label") or button.inner_text()
        for button in visitor.page.get_by_role("button").all()
        if button.is_visible() and _too_small(button.bounding_box())
    ]
    assert small == []


def test_a_camera_is_a_field_like_the_others(visit, keep):
    visitor = visit(**PHONE)
    visitor.upload.get_by_label("Model").select_option(label="PC² mini")
    visitor.set(camera='{"elevation": 20, "distance": 2.5}')

    camera, seed = (
        visitor.upload.locator(f"input[name={name}]").evaluate(LOOKS) for name in ("camera", "seed")
    )
    assert camera == seed
    expect(visitor.upload.get_by_text("Where the picture was taken from")).to_be_visible()
    keep(visitor.page, "phone-camera")


def _too_small(box: Any) -> bool:
    """WCAG 2.2, 2.5.8: at least 24 pixels."""
    return bool(box["width"] < 24 or box["height"] < 24)
