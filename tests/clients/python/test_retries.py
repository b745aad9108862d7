"""What is sent again, when, and what is not. The server is scripted, the HTTP is real."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from bozzetto_client import (
    AsyncBozzetto,
    Bozzetto,
    BozzettoError,
    ConflictError,
    ConnectionLostError,
    DoneEvent,
    NotFoundError,
    RateLimitedError,
    RetryPolicy,
    ServerError,
    StateEvent,
    UnexpectedAnswerError,
)
from bozzetto_client.retry import retry_after_s
from tests.clients.python.scripted import Reply, ScriptedServer, answer, problem, stream

JOB = {"id": "a1", "status": "queued"}
MODELS = answer({"data": [{"id": "draft"}]})
FULL = problem(503, "queue_full", retryable=True)
CUT = Reply(200, b"{", promised=100)
GONE = Reply(hang_up=True)


@pytest.fixture
def client(make_client: Any, scripted: ScriptedServer) -> Any:
    return make_client(scripted.url)


@pytest.mark.parametrize(
    "failure",
    [
        FULL,
        problem(429, "rate_limited", retryable=True),
        problem(500, "internal", retryable=True),
        problem(507, "storage", retryable=True),
        Reply(502, b"<html>Bad gateway</html>"),
        CUT,
        GONE,
    ],
    ids=["503", "429", "500", "507", "proxy", "cut", "gone"],
)
def test_what_may_work_later_is_sent_again(
    failure: Reply, client: Any, scripted: ScriptedServer
) -> None:
    scripted.script(failure, failure, MODELS)
    assert [model.id for model in client.models()] == ["draft"]
    assert len(scripted.requests) == 3


@pytest.mark.parametrize(
    "failure",
    [
        problem(422, "invalid_field", retryable=False),
        problem(409, "not_final", retryable=True),
        problem(400, "upload_stalled", retryable=True),
        problem(503, "unready", retryable=False),
        Reply(404, b"no such page"),
        Reply(307, headers={"Location": "https://example.org"}),
        Reply(200, b"<html>another service</html>"),
        answer([1, 2]),
    ],
    ids=["422", "409", "400", "503 for good", "bare 404", "moved", "html", "other json"],
)
def test_what_would_fail_again_is_not(
    failure: Reply, client: Any, scripted: ScriptedServer
) -> None:
    scripted.script(failure, MODELS)
    with pytest.raises(BozzettoError) as caught:
        client.models()
    assert len(scripted.requests) == 1
    assert caught.value.status == failure.status


def test_tries_are_counted(make_client: Any, scripted: ScriptedServer) -> None:
    client = make_client(scripted.url, retry=RetryPolicy(tries=3, first_s=0.01))
    scripted.script(FULL, FULL, FULL, MODELS)
    with pytest.raises(ServerError) as caught:
        client.models()
    assert (caught.value.code, caught.value.retryable) == ("queue_full", True)
    assert len(scripted.requests) == 3


def test_retry_after_is_honoured(client: Any, scripted: ScriptedServer) -> None:
    scripted.script(problem(429, "rate_limited", retryable=True, Retry_After="1"), MODELS)
    client.models()
    assert scripted.pauses_s[0] >= 1.0


def test_no_one_waits_longer_than_allowed(client: Any, scripted: ScriptedServer) -> None:
    scripted.script(problem(429, "rate_limited", retryable=True, Retry_After="3600"), MODELS)
    with pytest.raises(RateLimitedError) as caught:
        client.models()
    assert caught.value.retry_after_s == 3600.0
    assert len(scripted.requests) == 1


def test_pauses_grow(make_client: Any, scripted: ScriptedServer) -> None:
    client = make_client(scripted.url, retry=RetryPolicy(first_s=0.05, longest_s=0.1))
    scripted.script(FULL, FULL, FULL, FULL, MODELS)
    client.models()
    lowest = [0.025, 0.05, 0.05, 0.05]
    assert all(pause >= low for pause, low in zip(scripted.pauses_s, lowest, strict=True))


@pytest.mark.parametrize(
    ("failures", "longest"), [(1, 0.5), (2, 1.0), (4, 4.0), (5, 8.0), (99, 8.0)]
)
def test_each_pause_is_drawn_from_its_upper_half(failures: int, longest: float) -> None:
    pauses = [RetryPolicy().pause_s(failures) for _ in range(200)]
    assert longest / 2 <= min(pauses) < 0.6 * longest
    assert 0.9 * longest < max(pauses) <= longest


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("2", 2.0),
        (" 0 ", 0.0),
        ("Thu, 26 Nov 2026 16:00:30 GMT", 30.0),
        ("Thu, 26 Nov 2026 15:00:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    now = datetime(2026, 11, 26, 16, 0, 0, tzinfo=UTC)
    assert retry_after_s(header, lambda: now) == seconds


def test_a_submit_keeps_its_key_and_its_picture(client: Any, scripted: ScriptedServer) -> None:
    scripted.script(GONE, CUT, FULL, answer(JOB, 202))
    assert client.submit(b"\x89PNG picture", seed=3).id == "a1"
    keys = {request.headers["idempotency-key"] for request in scripted.requests}
    assert (len(scripted.requests), len(keys)) == (4, 1)
    assert all(b"\x89PNG picture" in request.body for request in scripted.requests)

    scripted.script(answer(JOB, 202))
    client.submit(b"\x89PNG picture", seed=3)
    assert scripted.requests[-1].headers["idempotency-key"] not in keys


def test_a_delete_whose_answer_was_lost(client: Any, scripted: ScriptedServer) -> None:
    missing = problem(404, "not_found", retryable=False)
    scripted.script(GONE, missing)
    client.delete("a1")

    scripted.script(missing)
    with pytest.raises(NotFoundError):
        client.delete("a1")


def test_a_cancel_whose_answer_was_lost(client: Any, scripted: ScriptedServer) -> None:
    final = problem(409, "already_final", retryable=False)
    scripted.script(GONE, final, answer({"id": "a1", "status": "canceled"}))
    assert client.cancel("a1").status == "canceled"

    scripted.script(final, answer({"id": "a1", "status": "succeeded"}))
    with pytest.raises(ConflictError):
        client.cancel("a1")


def test_nobody_listens(make_client: Any, unused_tcp_port: int) -> None:
    client = make_client(f"http://127.0.0.1:{unused_tcp_port}")
    with pytest.raises(ConnectionError, match="Is the server running") as caught:
        client.models()
    assert isinstance(caught.value, ConnectionLostError)
    assert (caught.value.code, caught.value.status) == ("no_connection", None)


EVENTS = 'retry: 10\n\nid: 1\nevent: state\ndata: {"state": "running"}\n\n'
END = 'id: 2\nevent: done\ndata: {"state": "succeeded"}\n\n'


@pytest.mark.parametrize(
    "failures",
    [[GONE], [FULL], [stream(""), answer(JOB)], [stream(""), GONE], [stream(""), FULL]],
    ids=["gone", "503", "quiet", "quiet and gone", "quiet and 503"],
)
def test_events_go_on_where_they_were_cut(
    failures: list[Reply], client: Any, scripted: ScriptedServer
) -> None:
    half = 'id: 3\nevent: progress\ndata: {"percent"'
    scripted.script(stream(EVENTS + half), *failures, stream(END))
    assert [event.id for event in client.follow("a1", clouds=True)] == ["1", "2"]
    streams = [request for request in scripted.requests if "/events" in request.path]
    assert [request.headers.get("last-event-id") for request in streams] == [None, "1", "1"]
    assert {request.path for request in streams} == {"/jobs/a1/events?clouds=true"}


def test_who_has_had_the_done_is_told_how_it_ended(client: Any, scripted: ScriptedServer) -> None:
    scripted.script(stream("retry: 10\n\n"), answer(JOB | {"status": "canceled"}))
    assert list(client.follow("a1", last_event_id="7")) == [DoneEvent("7", "canceled")]


async def test_many_may_follow_at_once(scripted: ScriptedServer) -> None:
    many = 110  # httpx has 100 connections unless told otherwise
    scripted.script(*[stream(EVENTS)] * many)
    once = RetryPolicy(tries=1, total_s=0)
    async with AsyncBozzetto(scripted.url, timeout_s=5.0, retry=once) as client:
        followed = [client.follow("a1") for _ in range(many)]
        told = [await anext(events) for events in followed]
        assert told == [StateEvent("1", "running")] * many
        await asyncio.gather(*(events.aclose() for events in followed))


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (problem(404, "not_found", retryable=False), NotFoundError),
        (Reply(200, b"<html>", {"Content-Type": "text/html"}), UnexpectedAnswerError),
        (stream("event: state\ndata: [\n\n"), UnexpectedAnswerError),
        (stream('event: cloud\ndata: {"positions": "AAAA"}\n\n'), UnexpectedAnswerError),
    ],
    ids=["404", "html", "broken data", "broken cloud"],
)
def test_events_that_will_never_come(
    reply: Reply, kind: type[BozzettoError], client: Any, scripted: ScriptedServer
) -> None:
    scripted.script(reply, stream(END))
    with pytest.raises(kind):
        list(client.follow("a1"))
    assert len(scripted.requests) == 1


def test_events_are_given_up_after_a_while(make_client: Any, scripted: ScriptedServer) -> None:
    client = make_client(scripted.url, retry=RetryPolicy(first_s=0.05, total_s=0.3))
    scripted.script(stream(EVENTS), *[GONE] * 100)
    with pytest.raises(ConnectionLostError):
        list(client.follow("a1"))
    assert 2 < len(scripted.requests) < 20


def test_a_reader_may_take_its_time(scripted: ScriptedServer) -> None:
    scripted.script(stream(EVENTS), stream(END))
    with Bozzetto(scripted.url, retry=RetryPolicy(first_s=0.01, total_s=0.2)) as client:
        events = client.follow("a1")
        assert next(events) == StateEvent("1", "running")
        time.sleep(0.3)
        assert list(events) == [DoneEvent("2", "succeeded")]


def test_a_deadline_ends_a_silent_stream(client: Any, scripted: ScriptedServer) -> None:
    scripted.script(*[stream(EVENTS, silent_s=0.6)] * 20)
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        client.wait("a1", timeout_s=0.5)
    assert time.monotonic() - begun >= 0.5
    assert len(scripted.requests) < 10, "each stream halves what is left"


def test_an_unknown_event_is_skipped(client: Any, scripted: ScriptedServer) -> None:
    scripted.script(stream("id: 9\nevent: of_tomorrow\ndata: ?\n\n" + END))
    assert [event.id for event in client.follow("a1")] == ["2"]


@pytest.mark.parametrize(
    "server", ["127.0.0.1:8000", "ftp://host", "http://", "http://host:99999", "", "http://host:0"]
)
def test_an_address_that_is_none(server: str) -> None:
    with pytest.raises(ValueError, match=r"server|[Pp]ort"):
        Bozzetto(server)


@pytest.mark.parametrize("suffix", ["", "/", "/below/a/path", "/below/a/path/"])
def test_a_server_below_a_path(suffix: str, make_client: Any, scripted: ScriptedServer) -> None:
    scripted.script(answer(JOB))
    make_client(scripted.url + suffix, api_key="secret").job("a/../b")
    (request,) = scripted.requests
    assert request.path == f"{suffix.rstrip('/')}/jobs/a%2F..%2Fb"
    assert request.headers["authorization"] == "Bearer secret"


@pytest.mark.parametrize("key", ["secret\n", "schlüssel", "a\0b"])
def test_a_key_that_no_header_can_hold(key: str) -> None:
    with pytest.raises(ValueError, match="API key") as caught:
        Bozzetto(api_key=key)
    assert key not in str(caught.value)


def test_no_key_no_header(make_client: Any, scripted: ScriptedServer) -> None:
    scripted.script(MODELS)
    make_client(scripted.url).models()
    assert "authorization" not in scripted.requests[0].headers
