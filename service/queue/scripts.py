"""The Lua scripts: one atomic transition each, called by hash and sent in full when unknown.

Every script is safe to run twice with the same arguments, because a client library that lost the
answer asks again.
"""

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Literal, NamedTuple

from redis import Redis
from redis import asyncio as redis_asyncio
from redis.exceptions import NoScriptError

from service.queue.keys import EVENTS_KEPT, GONE_S, WORKER_TTL_S, Keys
from service.settings import QueueSettings

Name = Literal[
    "cancel",
    "canceled",
    "claim",
    "delete",
    "fail",
    "finish",
    "heartbeat",
    "list",
    "place",
    "progress",
    "reap",
    "release",
    "renew",
    "settle",
    "stats",
    "submit",
]

AGEING_S = 30.0  # a job that has waited this long gets one of every four picks
RETRY_DELAY_S = 1.0  # before the second attempt of a failed job; twice that before the third


class Script(NamedTuple):
    text: str
    sha1: str


@cache
def load(name: Name) -> Script:
    folder = files("service.queue") / "lua"
    text = "\n".join((folder / part).read_text("utf-8") for part in ("_common.lua", f"{name}.lua"))
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class Scripts:
    """Scripts with their keys and limits filled in."""

    def __init__(
        self,
        keys: Keys,
        settings: QueueSettings,
        *,
        ageing_s: float = AGEING_S,
        retry_delay_s: float = RETRY_DELAY_S,
    ) -> None:
        self._keys = keys.vector
        self._limits = (
            settings.max_waiting,
            settings.max_attempts,
            settings.lease_s,
            settings.retention_s,
            settings.idempotency_s,
            GONE_S,
            WORKER_TTL_S,
            EVENTS_KEPT,
            ageing_s,
            retry_delay_s,
        )

    def run(self, client: "Redis", name: Name, *arguments: str | float) -> Any:
        script = load(name)
        rest = self._rest(arguments)
        try:
            return client.evalsha(script.sha1, *rest)
        except NoScriptError:
            return client.eval(script.text, *rest)

    async def run_async(
        self, client: "redis_asyncio.Redis", name: Name, *arguments: str | float
    ) -> Any:
        script = load(name)
        rest = self._rest(arguments)
        try:
            return await client.evalsha(script.sha1, *rest)
        except NoScriptError:
            return await client.eval(script.text, *rest)

    def _rest(self, arguments: Sequence[str | float]) -> tuple[Any, ...]:
        return (len(self._keys), *self._keys, *self._limits, *arguments)
