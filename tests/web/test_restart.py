"""The service goes away and comes back while a page is open."""

import signal
import socket

import pytest
from playwright.sync_api import expect

from tests.e2e.worker_entry import LATER_SEED
from tests.web.conftest import House, ready, serving
from tests.web.visitor import Visitor


@pytest.fixture
def restarting(tmp_path):
    """Starts the service on always the same data and port, so that a page finds it again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    lease = {"BOZZETTO_QUEUE__LEASE_S": "2"}
    return lambda: serving(tmp_path, port, **lease)


def kill(house: House) -> None:
    house.service.send(signal.SIGKILL)
    house.service.wait()


def test_the_page_lives_through_a_restart(restarting, open_page, tmp_path):
    gate = tmp_path / "gate"
    with restarting() as service:
        house = House(ready(service), gate, service)
        visitor = Visitor(open_page(house.url, (house.url,)))
        visitor.submit(seed=LATER_SEED)
        expect(visitor.note).to_have_text("Taking shape, step 1")
        kill(house)
        expect(visitor.status).to_contain_text("The connection was lost; trying again")

    with restarting() as service:
        house = House(ready(service), gate, service)
        expect(visitor.status).to_contain_text("Shaping the points")
        house.open_gate()
        visitor.wait_object()
        assert house.job(visitor.job_id())["attempt"] == 2
        kill(house)
        visitor.start.click()
        expect(visitor.error).to_contain_text("The server cannot be reached")
        expect(visitor.start).to_be_enabled()

    with restarting() as service:
        house = House(ready(service), gate, service)
        before = visitor.job_id()
        visitor.error.get_by_role("button", name="Try again").click()
        expect(visitor.error).to_be_hidden()
        visitor.page.wait_for_url(lambda url: before not in url)
        visitor.wait_object()
        assert house.job(visitor.job_id())["status"] == "succeeded"


def test_a_page_that_is_loaded_anew_goes_on_with_its_job(visit, house):
    house.close_gate()
    visitor = visit()
    visitor.submit(seed=LATER_SEED)
    expect(visitor.note).to_have_text("Taking shape, step 1")
    job_id = visitor.job_id()

    visitor.page.reload()
    expect(visitor.status).to_contain_text("Shaping the points, step 1 of 6")
    expect(visitor.stop).to_be_visible()
    house.open_gate()
    visitor.wait_object()
    assert visitor.job_id() == job_id


def test_cancel(visit, house):
    house.close_gate()
    visitor = visit()
    visitor.submit(seed=LATER_SEED)
    expect(visitor.note).to_have_text("Taking shape, step 1")

    visitor.stop.click()
    expect(visitor.status).to_contain_text("Stopping")
    house.open_gate()
    expect(visitor.status).to_contain_text("Cancelled")
    expect(visitor.start).to_be_enabled()
    expect(visitor.note).to_be_hidden()
    assert house.job(visitor.job_id())["status"] == "canceled"
    expect(visitor.page.locator("#history li")).to_contain_text("cancelled")
