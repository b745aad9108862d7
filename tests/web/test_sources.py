"""All the ways in which a picture comes to the form."""

import base64
import io

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.polling import eventually
from tests.web.visitor import DUCK

# A file that comes by an event of the document, as a browser makes them for a drop or a paste.
SEND = """([kind, content]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], "duck.png", { type: "image/png" }));
  const made = { bubbles: true, cancelable: true, composed: true };
  document.body.dispatchEvent(
    kind === "drop"
      ? new DragEvent("drop", { ...made, dataTransfer: data })
      : new ClipboardEvent("paste", { ...made, clipboardData: data }),
  );
}"""

SIZE = "(upload) => createImageBitmap(upload.picture).then(({ width, height }) => [width, height])"


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_dropped_or_pasted_anywhere(visit, kind):
    visitor = visit()
    expect(visitor.start).to_be_visible()
    visitor.page.evaluate(SEND, [kind, base64.b64encode(DUCK.read_bytes()).decode()])

    expect(visitor.start).to_be_enabled()
    expect(visitor.upload.get_by_role("img", name="Chosen picture: duck.png")).to_be_visible()


def test_an_example_is_chosen(visit):
    visitor = visit()
    visitor.upload.get_by_role("button", name="Example: taxi").click()

    expect(visitor.start).to_be_enabled()
    expect(visitor.upload.get_by_role("img", name="Chosen picture: taxi")).to_be_visible()


def test_an_example_that_comes_too_late(visit):
    visitor = visit()
    held = []
    visitor.choose()
    visitor.page.route("**/taxi.webp", lambda route: held.append(route))
    visitor.upload.get_by_role("button", name="Example: taxi").click()
    eventually(lambda: visitor.page.wait_for_timeout(50) or held)
    visitor.choose()
    held[0].continue_()
    visitor.page.wait_for_timeout(500)
    expect(visitor.upload.get_by_role("img", name="Chosen picture: duck.png")).to_be_visible()


def test_the_camera_goes_off_with_the_form(visit):
    visitor = visit(
        permissions=["camera"],
        init_script="const real = navigator.mediaDevices.getUserMedia;"
        "navigator.mediaDevices.getUserMedia = async function (...wishes) {"
        "  return (window.stream = await real.apply(this, wishes));"
        "};",
    )
    visitor.upload.get_by_role("button", name="Take a picture with the camera").click()
    expect(visitor.upload.get_by_role("dialog", name="Camera")).to_be_visible()
    visitor.upload.evaluate("(upload) => upload.remove()")
    visitor.page.wait_for_function("() => !window.stream.active")


def test_taken_with_the_camera(visit):
    visitor = visit(permissions=["camera"])
    visitor.upload.get_by_role("button", name="Take a picture with the camera").click()
    dialog = visitor.upload.get_by_role("dialog", name="Camera")
    dialog.get_by_role("button", name="Take picture").click()

    expect(dialog).to_be_hidden()
    expect(visitor.start).to_be_enabled()


def test_large_pictures_are_made_smaller_before_they_are_sent(visit):
    file = io.BytesIO()
    Image.new("RGB", (3000, 1500), "teal").save(file, "PNG")
    visitor = visit()
    visitor.choose({"name": "large.png", "mimeType": "image/png", "buffer": file.getvalue()})

    assert visitor.upload.evaluate(SIZE) == [1536, 768]
