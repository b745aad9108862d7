"""Names of files and texts of servers are shown, and never become part of the page."""

import json

import pytest
from playwright.sync_api import expect

from tests.web.visitor import DUCK, Visitor

MARKUP = '<img src="x" onerror="window.ran = true"><b>bold</b>'


@pytest.fixture
def untouched():
    """Asserts at the end that nothing of the markup came to be."""
    visitors: list[Visitor] = []
    yield visitors.append
    for visitor in visitors:
        assert visitor.page.evaluate("() => window.ran") is None
        expect(visitor.page.locator("img[src=x]")).to_have_count(0)


def test_names_of_files(visit, untouched):
    visitor = visit()
    untouched(visitor)
    name = MARKUP.replace("/", "") + ".png"
    visitor.choose({"name": name, "mimeType": "image/png", "buffer": DUCK.read_bytes()})
    alternative = visitor.upload.locator("button.drop img").get_attribute("alt")
    assert alternative is not None
    assert name in alternative
    expect(visitor.page.locator("#code code")).to_contain_text("image=@picture.png")

    file = {"name": MARKUP.replace("/", "") + ".txt", "mimeType": "", "buffer": b"no picture"}
    visitor.upload.locator("input[type=file]").first.set_input_files(file)
    expect(visitor.error).to_contain_text(MARKUP.replace("/", ""))


def test_texts_of_a_server(visit, house, untouched):
    """A server that the page should not trust: every text that it shows is markup."""
    visitor = visit("/docs")  # a page of this origin, so that the other one can be prepared
    untouched(visitor)
    page = visitor.page
    models = house.api("GET", "/models").json()
    for model in models["data"]:
        model |= {"title": MARKUP, "description": MARKUP}
    page.route("**/models", lambda route: route.fulfill(json=models))
    problem = {"code": "odd", "title": MARKUP, "detail": MARKUP, "hint": MARKUP, "status": 422}
    page.route(
        "**/reconstruct",
        lambda route: route.fulfill(
            status=422, content_type="application/problem+json", body=json.dumps(problem)
        ),
    )
    page.goto(house.url)
    expect(visitor.upload.locator("#about")).to_have_text(MARKUP)
    visitor.submit()
    expect(visitor.error.locator("strong")).to_have_text(MARKUP)
    expect(visitor.error.locator("b")).to_have_count(0)


def test_what_stands_in_the_address(visit, untouched):
    visitor = visit(f"/#job={MARKUP}")
    untouched(visitor)
    expect(visitor.upload.get_by_label("Model")).to_have_value("bozzetto-xs")
