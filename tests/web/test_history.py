"""What this browser has made, and two models side by side."""

import pytest
from playwright.sync_api import expect

from tests.polling import eventually
from tests.web.pixels import read_picture


@pytest.fixture
def made(visit):
    """A visitor who has made one object."""
    visitor = visit()
    visitor.make(seed=3)
    return visitor


def test_the_history_outlives_the_page(made):
    page = made.page
    job_id = made.job_id()
    item = page.locator("#history li")
    portrait = item.locator("img")
    eventually(lambda: (portrait.get_attribute("src") or "").startswith("data:image/webp"))

    page.goto(page.url.partition("#")[0])
    page.reload()
    expect(item).to_have_count(1)
    made.wait_example()
    item.get_by_role("link").click()
    made.wait_object()
    assert made.job_id() == job_id
    expect(item.get_by_role("link")).to_have_attribute("aria-current", "true")

    page.go_back()
    made.wait_example()


@pytest.mark.parametrize(
    ("answer", "status"), [("Delete here and on the server", 404), ("Only take off this list", 200)]
)
def test_what_is_deleted(made, house, answer, status):
    page, job_id = made.page, made.job_id()
    page.get_by_role("button", name="Delete Bozzetto XS").click()
    page.get_by_role("dialog").get_by_role("button", name=answer).click()

    expect(page.locator("#history li")).to_have_count(0)
    expect(page.get_by_text("What you make is listed here")).to_be_visible()
    made.wait_example()
    assert house.api("GET", f"/jobs/{job_id}").status_code == status
    page.reload()
    expect(page.locator("#history li")).to_have_count(0)


def test_what_the_server_has_forgotten_is_marked(made, house):
    page, job_id = made.page, made.job_id()
    page.goto(page.url.partition("#")[0])
    made.wait_example()
    assert house.api("DELETE", f"/jobs/{job_id}").status_code == 204

    page.locator("#history a").click()
    expect(page.locator("#notice")).to_contain_text("There is no such job")
    expect(page.locator("#facts")).to_contain_text("Model, seed, time and quality of an object.")
    expect(page.locator("#history li")).to_have_attribute("data-state", "gone")


def test_a_comparison_that_is_stopped_before_its_job_is_known(made):
    page = made.page
    held = []
    page.route("**/reconstruct", lambda route: held.append(route))
    page.get_by_label("Model to compare with").select_option(label="Draft")
    page.get_by_role("button", name="Compare", exact=True).click()
    eventually(lambda: page.wait_for_timeout(50) or held)
    page.get_by_role("button", name="Stop comparing").click()
    with page.expect_response("**/reconstruct"):
        held[0].continue_()

    expect(page.locator("#history li")).to_have_count(2)
    made.job_id()
    assert "with=" not in page.url
    page.get_by_label("Model to compare with").select_option(label="Draft")
    page.get_by_role("button", name="Compare", exact=True).focus()
    expect(page.locator("#history a[aria-current]")).to_have_count(1)


def test_two_models_are_compared(made, house):
    page, first = made.page, made.job_id()
    page.get_by_role("button", name="Compare", exact=True).click()

    expect(page.locator("#first-caption")).to_contain_text("Bozzetto XS")
    expect(page.locator("#second-caption")).to_contain_text("Draft")
    table = page.get_by_role("table")
    expect(table.get_by_role("columnheader", name="Draft")).to_be_visible()
    second = page.url.partition("with=")[2]
    jobs = [house.job(job_id) for job_id in (first, second)]
    assert [job["model"] for job in jobs] == ["bozzetto-xs", "draft"]
    assert jobs[0]["input"]["sha256"] == jobs[1]["input"]["sha256"]
    expect(page.locator("#history a[aria-current]")).to_have_count(2)

    # Turned together, and both drawn.
    made.viewer.locator("canvas").focus()
    page.keyboard.press("ArrowLeft")
    eventually(lambda: made.camera("second bozzetto-viewer") == made.camera())
    for figure in ("#first", "#second"):
        canvas = page.locator(f"{figure} canvas")
        assert read_picture(canvas.screenshot).share > 0.1

    page.reload()
    expect(table).to_be_visible()
    page.get_by_role("button", name="Stop comparing").click()
    expect(page.locator("#second")).to_be_hidden()
    made.wait_object()
    assert page.url.endswith(f"#job={first}")
