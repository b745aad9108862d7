"""Waiting for something that another process or thread does: bounded, and never a fixed sleep."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

STEP_S = 0.01


def eventually(look: Callable[[], T], within_s: float = 20.0) -> T:
    """The first true answer of `look`; fails the test when there is none in time."""
    end = time.monotonic() + within_s
    while not (answer := look()):
        assert time.monotonic() < end, f"nothing within {within_s} s, last answer {answer!r}"
        time.sleep(STEP_S)
    return answer


async def eventually_async(look: Callable[[], Awaitable[T]], within_s: float = 20.0) -> T:
    end = time.monotonic() + within_s
    while not (answer := await look()):
        assert time.monotonic() < end, f"nothing within {within_s} s, last answer {answer!r}"
        await asyncio.sleep(STEP_S)
    return answer
