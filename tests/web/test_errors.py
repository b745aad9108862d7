"""What cannot work is said in words, where the visitor looks."""

import io
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.fakes_model import CRASH_SEED
from tests.polling import eventually
from tests.web.conftest import House, OpenPage, ready, serving
from tests.web.visitor import DUCK, Visitor

NO_WEBGL = """
const real = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
  return kind.startsWith("webgl") ? null : real.call(this, kind, ...rest);
};
"""
KEY = "the-operators-key"


def noise(side: int) -> bytes:
    """A PNG file that cannot be compressed: about 4 bytes a pixel."""
    pixels = np.random.default_rng(1).integers(0, 255, (side, side, 4), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def strict_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """It wants a key, takes small files, serves one model and soon forgets."""
    folder = tmp_path_factory.mktemp("strict")
    settings = {
        "GATEWAY__API_KEYS": f'["{KEY}"]',
        "UPLOADS__MAX_BYTES": "200000",
        "WORKER__MODELS": '["draft"]',
        "QUEUE__RETENTION_S": "4",
    }
    environment = {f"BOZZETTO_{name}": value for name, value in settings.items()}
    with serving(folder, 0, **environment) as service:
        house = House(ready(service), folder / "gate", service, KEY)
        house.open_gate()
        yield house


@pytest.fixture
def visit_strict(open_page: OpenPage, strict_house: House) -> Callable[..., Visitor]:
    def at(path: str = "/", key: str | None = KEY) -> Visitor:
        script = f'sessionStorage.setItem("bozzetto-key ", "{key}")' if key else None
        origin = strict_house.url
        return Visitor(open_page(origin + path, (origin,), init_script=script))

    return at


def test_files_that_are_no_pictures_are_refused_in_the_page(visit):
    visitor = visit()
    file = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"a duck, yellow"}
    visitor.upload.locator("input[type=file]").first.set_input_files(file)

    expect(visitor.error).to_contain_text("This kind of file is not taken")
    expect(visitor.error).to_contain_text("notes.txt")
    expect(visitor.start).to_be_disabled()


def test_a_damaged_picture(visit):
    visitor = visit()
    file = {"name": "duck.png", "mimeType": "image/png", "buffer": DUCK.read_bytes()[:200]}
    visitor.upload.locator("input[type=file]").first.set_input_files(file)

    expect(visitor.error).to_contain_text("The picture cannot be read")
    expect(visitor.start).to_be_disabled()


def test_a_picture_without_an_object(visit):
    blank = io.BytesIO()
    Image.new("RGB", (96, 96), "white").save(blank, "PNG")
    visitor = visit()
    visitor.submit({"name": "blank.png", "mimeType": "image/png", "buffer": blank.getvalue()})

    expect(visitor.error).to_contain_text("No object was found in the picture")
    expect(visitor.error).to_contain_text("plain background")
    expect(visitor.start).to_be_enabled()


def test_a_camera_that_is_none(visit):
    visitor = visit()
    visitor.choose()
    visitor.upload.get_by_label("Model").select_option(label="PC² mini")
    visitor.set(camera="30")
    visitor.start.click()

    expect(visitor.error).to_contain_text("An option does not fit")
    expect(visitor.error).to_contain_text('Camera: must be "auto" or a JSON object.')
    expect(visitor.error).not_to_contain_text("GET /models")


def test_a_job_that_fails(visit, house):
    visitor = visit()
    visitor.submit(seed=CRASH_SEED)

    expect(visitor.error).to_be_visible()
    job = house.job(visitor.job_id())
    assert job["status"] == "failed"
    assert job["error"]["detail"].casefold() in visitor.error.inner_text().casefold()
    expect(visitor.page.locator("#history li")).to_contain_text("failed")

    visitor.page.reload()
    expect(visitor.page.locator("#notice")).to_be_visible()


def test_without_webgl_the_picture_of_the_object_is_shown(visit, house):
    visitor = visit(init_script=NO_WEBGL)
    message = visitor.viewer.get_by_role("alert")
    expect(message).to_contain_text("3D is not available here")

    visitor.submit()
    poster = visitor.viewer.locator("img.poster")
    expect(poster).to_be_visible()
    names = {item["name"] for item in house.job(visitor.job_id())["artifacts"]}
    assert "preview.png" in names
    assert poster.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 100
    visitor.tool("Download").click()
    expect(visitor.viewer.get_by_role("button", name="mesh.glb")).to_be_visible()


def test_without_webgl_a_job_that_fails_has_no_picture(visit):
    visitor = visit(init_script=NO_WEBGL)
    poster = visitor.viewer.locator("img.poster")
    visitor.submit()
    expect(poster).to_be_visible()

    visitor.submit(seed=CRASH_SEED)
    expect(visitor.error).to_be_visible()
    expect(poster).to_be_hidden()


@pytest.mark.parametrize("deleted", [True, False], ids=["deleted", "unknown"])
def test_a_link_to_a_job_that_is_not_there(visit, house, deleted):
    job_id = "0" * 32
    if deleted:
        files = {"image": ("duck.png", DUCK.read_bytes(), "image/png")}
        job = house.api("POST", "/reconstruct?outputs=points.ply", files=files)
        job_id = job.json()["id"]
        eventually(lambda: house.api("DELETE", f"/jobs/{job_id}").status_code == 204, 45)
    visitor = visit(f"/#job={job_id}")

    expect(visitor.page.locator("#notice")).to_contain_text("There is no such job")
    expect(visitor.note).to_be_hidden()


def test_a_key_is_asked_for_once(visit_strict):
    visitor = visit_strict(key=None)
    visitor.submit(outputs="points.ply")
    expect(visitor.error).to_contain_text("An API key is needed")
    field = visitor.upload.get_by_label("API key")
    expect(field).to_be_focused()

    field.fill("wrong")
    field.press("Enter")
    expect(visitor.status).to_be_hidden()
    expect(visitor.error).to_contain_text("An API key is needed")
    field.fill(KEY)
    field.press("Enter")
    expect(visitor.status).to_contain_text("Done in")

    visitor.page.goto(visitor.page.url.partition("#")[0])
    visitor.submit(outputs="points.ply")
    expect(visitor.status).to_contain_text("Done in")
    expect(field).to_be_hidden()


def test_a_file_that_is_too_large_for_the_server(visit_strict):
    visitor = visit_strict()
    expect(visitor.upload.get_by_label("Model")).to_have_value("draft")
    visitor.submit({"name": "noise.png", "mimeType": "image/png", "buffer": noise(300)})

    expect(visitor.error).to_contain_text("The file is too large")
    expect(visitor.start).to_be_enabled()


def test_a_model_that_no_worker_serves(visit_strict):
    visitor = visit_strict()
    model = visitor.upload.get_by_label("Model")
    expect(model).to_have_value("draft")

    model.select_option("bozzetto-xs")
    expect(visitor.upload.locator("#about")).to_contain_text("No worker serves it now")
    expect(model.locator("option:checked")).to_have_text("Bozzetto XS (no worker)")


def test_a_job_that_has_expired(visit_strict, strict_house):
    files = {"image": ("duck.png", DUCK.read_bytes(), "image/png")}
    job = strict_house.api("POST", "/reconstruct?outputs=points.ply&model=draft", files=files)
    path = f"/jobs/{job.json()['id']}"
    eventually(lambda: strict_house.api("GET", path).status_code == 410, 45)
    visitor = visit_strict(f"/#job={job.json()['id']}")

    expect(visitor.page.locator("#notice")).to_contain_text("This object is no longer kept")
