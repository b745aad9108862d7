"""Wakes those who follow a job's events when there are new ones: one connection for all of them.

Nothing depends on a message arriving: followers read the event stream, and look again after a
while without any call. A blocking XREAD per follower would need a connection for each.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from redis import asyncio as redis_asyncio
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

RETRY_S = 0.5


class Watch:
    def __init__(self, client: "redis_asyncio.Redis") -> None:
        self._client = client
        self._bells: dict[str, set[asyncio.Event]] = {}
        self._listener: asyncio.Task[None] | None = None
        self._pubsub: PubSub | None = None
        self._speaking = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def follow(self, channel: str) -> AsyncIterator[asyncio.Event]:
        """An event that is set whenever the channel says something, and once it is listened to."""
        bell = asyncio.Event()
        bells = self._bells.setdefault(channel, set())
        bells.add(bell)
        try:
            if len(bells) == 1:
                await self._subscribe(channel)
            yield bell
        finally:
            bells.discard(bell)
            if not bells and self._bells.get(channel) is bells:
                del self._bells[channel]
                await self._unsubscribe(channel)

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listener
        if self._pubsub is not None:
            await self._pubsub.aclose()  # type: ignore[no-untyped-call]

    async def _subscribe(self, channel: str) -> None:
        if self._pubsub is None:
            self._pubsub = self._client.pubsub()
        await self._say(self._pubsub.subscribe, channel)
        if self._listener is None:
            self._listener = asyncio.create_task(self._listen(self._pubsub))

    async def _unsubscribe(self, channel: str) -> None:
        if self._pubsub is not None:
            await self._say(self._pubsub.unsubscribe, channel)

    async def _say(self, command: Callable[..., Awaitable[Any]], *channels: str) -> None:
        """Without a server the listener goes on trying, and followers fail by their own reads."""
        async with self._speaking:
            with contextlib.suppress(RedisError, OSError):
                await command(*channels)

    async def _listen(self, pubsub: PubSub) -> None:
        while True:
            try:
                message = await pubsub.get_message(timeout=None)
            except (RedisError, OSError, RuntimeError):
                await asyncio.sleep(RETRY_S)
                if self._bells:
                    await self._say(pubsub.subscribe, *self._bells)
                continue
            for bell in self._bells.get(message["channel"], ()) if message else ():
                bell.set()
