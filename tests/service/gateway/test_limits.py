import pytest
from pydantic import SecretStr

from service.errors import (
    BodyTooLargeError,
    RateLimitedError,
    UnauthorizedError,
    UnavailableError,
)
from service.gateway import limits
from service.gateway.limits import ApiKeys, Backpressure, RateLimit


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_keys():
    keys = ApiKeys([SecretStr("one"), SecretStr("two")])
    owners = {keys.owner("Bearer one"), keys.owner("bearer  two ")}
    assert len(owners) == 2
    assert all(len(owner) == 16 for owner in owners)
    for header in (None, "", "one", "Bearer", "Bearer on", "Bearer onee", "Basic one"):
        with pytest.raises(UnauthorizedError):
            keys.owner(header)
    assert ApiKeys([]).owner(None) == ApiKeys([]).owner("Bearer any") == "anonymous"


def test_bucket_gives_a_burst_then_refills_evenly(clock):
    limit = RateLimit(6, clock)
    for _ in range(6):
        limit.take("a")
    with pytest.raises(RateLimitedError) as caught:
        limit.take("a")
    assert caught.value.retry_after_s == 10
    limit.take("b")
    clock.now += 9.9
    with pytest.raises(RateLimitedError) as caught:
        limit.take("a")
    assert caught.value.retry_after_s == 1
    clock.now += 0.1
    limit.take("a")
    clock.now += 3_600
    for _ in range(6):
        limit.take("a")
    with pytest.raises(RateLimitedError):
        limit.take("a")


def test_zero_is_unlimited(clock):
    limit = RateLimit(0, clock)
    for _ in range(1_000):
        limit.take("a")


def test_callers_are_forgotten_the_longest_unseen_first(clock, monkeypatch):
    monkeypatch.setattr(limits, "CALLERS_KEPT", 2)
    limit = RateLimit(1, clock)
    for caller in "abc":
        limit.take(caller)
    for caller in "bc":
        with pytest.raises(RateLimitedError):
            limit.take(caller)
    limit.take("a")


def test_backpressure_fades(clock):
    pressure = Backpressure(clock)
    pressure.check()
    pressure.note(BodyTooLargeError("other errors are no reason"), "a")
    pressure.check("a")
    pressure.note(UnavailableError("full", code="queue_full", retry_after_s=7), "a")
    with pytest.raises(UnavailableError) as caught:
        pressure.check("a")
    assert caught.value.code == "queue_full"
    assert caught.value.retry_after_s == 7
    clock.now += limits.FULL_S
    pressure.check("a")


def test_one_full_model_is_no_reason_to_refuse_another(clock):
    pressure = Backpressure(clock)
    pressure.note(UnavailableError("full", code="queue_full", retry_after_s=7), "a")
    pressure.check("b")
    pressure.check()


def test_a_queue_that_is_away_is_so_for_all_models(clock):
    pressure = Backpressure(clock)
    pressure.note(UnavailableError("away", code="queue_unreachable", retry_after_s=7), "a")
    for model in ("a", "b", None):
        with pytest.raises(UnavailableError, match="away"):
            pressure.check(model)
