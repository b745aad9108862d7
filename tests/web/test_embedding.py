"""Each element alone, in a page that somebody else wrote."""

import pytest
from playwright.sync_api import expect

from tests.web.visitor import DUCK

VIEWER = '<script type="module" src="{url}/static/bozzetto-viewer.js"></script>'
UPLOAD = '<script type="module" src="{url}/static/bozzetto-upload.js"></script>'
CHAIR = "{url}/static/examples/chair.glb"


@pytest.fixture
def embed(friend, house, open_page):
    """A page on a site that may call the house; `{url}` stands for the house."""

    def at(body: str, *, quiet: bool = True):
        friend.body = body.replace("{url}", house.url)
        return open_page(friend.origin, (friend.origin, house.url), quiet=quiet)

    return at


def test_the_viewer_needs_one_script(embed):
    page = embed(f'{VIEWER}<bozzetto-viewer mesh="{CHAIR}" show="mesh"></bozzetto-viewer>')
    expect(page.locator("bozzetto-viewer .note")).to_have_text("9,000 triangles")


def test_a_script_may_come_twice(embed):
    page = embed(f'{VIEWER}{VIEWER}{UPLOAD}<bozzetto-viewer mesh="{CHAIR}"></bozzetto-viewer>')
    expect(page.locator("bozzetto-viewer .note")).to_have_text("9,000 triangles")


def test_a_file_that_is_no_object(embed):
    page = embed(f'{VIEWER}<bozzetto-viewer mesh="{{url}}/static/icon.svg"></bozzetto-viewer>')
    message = page.locator("bozzetto-viewer").get_by_role("alert")
    expect(message).to_contain_text("The file cannot be shown")


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("http://", "is no address"),
        ("/100%.glb", "cannot be shown"),
    ],
)
def test_an_address_that_is_none(embed, file, words):
    page = embed(f'{VIEWER}<bozzetto-viewer mesh="{file}"></bozzetto-viewer>')
    expect(page.locator("bozzetto-viewer").get_by_role("alert")).to_contain_text(words)


def test_what_was_set_before_the_script_came(embed):
    early = (
        "<bozzetto-viewer></bozzetto-viewer><bozzetto-upload></bozzetto-upload><script>"
        f"document.querySelector('bozzetto-viewer').mesh = '{CHAIR}';"
        "document.querySelector('bozzetto-upload').client = {models: async () => []};"
        "</script>"
    )
    page = embed(early + VIEWER + UPLOAD)
    expect(page.locator("bozzetto-viewer .note")).to_have_text("9,000 triangles")


def test_a_server_that_ends_in_a_slash(embed):
    page = embed(f'{UPLOAD}<bozzetto-upload server="{{url}}/"></bozzetto-upload>')
    upload = page.locator("bozzetto-upload")
    expect(upload.get_by_role("button", name="Example: duck")).to_be_visible()


@pytest.mark.parametrize("kind", ["points", "mesh"])
def test_a_job_that_is_not_there(embed, kind):
    file = f"{{url}}/jobs/{'0' * 32}/artifacts/file"
    page = embed(f'{VIEWER}<bozzetto-viewer {kind}="{file}"></bozzetto-viewer>')
    message = page.locator("bozzetto-viewer").get_by_role("alert")
    expect(message).to_contain_text("could not be loaded")


def test_the_form_alone_tells_of_its_job(embed):
    page = embed(f'{UPLOAD}<bozzetto-upload server="{{url}}" no-options></bozzetto-upload>')
    upload = page.locator("bozzetto-upload")
    expect(upload.get_by_role("button", name="Example: duck")).to_be_visible()
    expect(upload.locator("details.options")).to_be_hidden()
    page.evaluate(
        """() => {
          window.told = [];
          for (const name of ["picture", "submit", "progress", "done"])
            document.addEventListener(`bozzetto-${name}`, () => window.told.push(name));
        }"""
    )
    upload.locator("input[type=file]").first.set_input_files(DUCK)
    upload.get_by_role("button", name="Reconstruct").click()
    expect(upload.locator(".status")).to_contain_text("Done in")

    told = page.evaluate("() => window.told")
    assert [told[0], told[1], told[-1]] == ["picture", "submit", "done"]
    assert "progress" in told
    assert page.evaluate("() => document.querySelector('bozzetto-upload').job.status") == (
        "succeeded"
    )


def test_colours_are_the_pages(embed):
    page = embed(f'{UPLOAD}<bozzetto-upload server="{{url}}"></bozzetto-upload>')
    button = page.locator("bozzetto-upload").get_by_role("button", name="Reconstruct")
    expect(button).to_be_visible()
    page.evaluate(
        "() => document.documentElement.style.setProperty('--bozzetto-accent', 'rgb(1, 2, 3)')"
    )
    expect(button).to_have_css("background-color", "rgb(1, 2, 3)")
