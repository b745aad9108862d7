"""The page as a visitor handles it: pictures chosen, buttons pressed, the object looked at."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.web.pixels import Picture, read_picture

ROOT = Path(__file__).parents[2]
DUCK = ROOT / "examples/duck.png"


@dataclass(frozen=True, slots=True)
class Visitor:
    page: Page

    @property
    def upload(self) -> Locator:
        return self.page.locator("bozzetto-upload")

    @property
    def viewer(self) -> Locator:
        return self.page.locator("#viewer")

    @property
    def note(self) -> Locator:
        """What the viewer says of what it shows."""
        return self.viewer.locator(".note")

    @property
    def status(self) -> Locator:
        """Where the form says how the job goes."""
        return self.upload.locator(".status")

    @property
    def error(self) -> Locator:
        return self.upload.get_by_role("alert")

    @property
    def start(self) -> Locator:
        return self.upload.get_by_role("button", name="Reconstruct")

    @property
    def stop(self) -> Locator:
        return self.upload.get_by_role("button", name="Cancel")

    def tool(self, name: str) -> Locator:
        toolbar = self.viewer.get_by_role("toolbar", name="View")
        return toolbar.get_by_role("button", name=name, exact=True)

    def choose(self, file: Path | FilePayload = DUCK) -> None:
        self.upload.locator("input[type=file]").first.set_input_files(file)
        expect(self.start).to_be_enabled()

    def set(self, **fields: str | int) -> None:
        """Options by their names in the API; outputs by comma, in place of what is checked."""
        options = self.upload.locator("details.options")
        if options.get_attribute("open") is None:
            options.locator("summary").click()
        outputs = fields.pop("outputs", None)
        for name, value in fields.items():
            options.locator(f"input[name={name}]").fill(str(value))
        if outputs is not None:
            for box in options.get_by_role("checkbox").all():
                box.set_checked(box.get_attribute("value") in str(outputs).split(","))

    def submit(self, file: Path | FilePayload = DUCK, **fields: str | int) -> None:
        self.choose(file)
        if fields:
            self.set(**fields)
        self.start.click()

    def make(self, **fields: str | int) -> str:
        """From a picture to a mesh on the screen. Gives the job's id."""
        self.submit(DUCK, **fields)
        self.wait_object()
        return self.job_id()

    def wait_object(self) -> None:
        """A job has ended and what it made is shown."""
        expect(self.page.locator("#caption")).to_contain_text("faces")
        expect(self.note).to_contain_text("triangles")
        expect(self.viewer.locator(".busy")).to_be_hidden()

    def wait_example(self) -> None:
        expect(self.note).to_have_text("9,000 triangles")

    def job_id(self) -> str:
        expect(self.page).to_have_url(re.compile("#job="))
        found = re.search("job=([0-9a-f]{32})", self.page.url)
        assert found
        return found[1]

    def camera(self, viewer: str = "viewer") -> str:
        return str(self.page.locator(f"#{viewer}").evaluate("(viewer) => viewer.camera"))

    def picture(self) -> Picture:
        """What is on the stage above the toolbar, once it stands still."""
        canvas = self.viewer.locator("canvas")
        canvas.scroll_into_view_if_needed()
        box, tools = canvas.bounding_box(), self.viewer.get_by_role("toolbar").bounding_box()
        assert box is not None
        bottom = tools["y"] if tools else box["y"] + box["height"]
        top = box["y"] + 40  # below the note
        clip: Any = box | {"y": top, "height": bottom - top - 8}
        return read_picture(lambda: self.page.screenshot(clip=clip))
