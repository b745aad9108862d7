"""Says by its exit code whether a worker of this machine beats: `python -m service.worker.alive`.

For health checks of containers, where the host name is the container's own.
"""

import asyncio
import socket
import sys

from service.queue.contract import QueueError, WorkerInfo
from service.queue.redis_queue import RedisJobQueue
from service.settings import Settings, get_settings


def main() -> int:
    settings = get_settings()
    if settings.redis.url is None:
        return 1
    try:
        workers = asyncio.run(_workers(settings, settings.redis.url.get_secret_value()))
    except QueueError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    mine = f"{socket.gethostname()}-"
    return 0 if any(worker.id.startswith(mine) for worker in workers) else 1


async def _workers(settings: Settings, url: str) -> tuple[WorkerInfo, ...]:
    queue = RedisJobQueue.from_url(url, settings.queue, prefix=settings.redis.prefix)
    try:
        return (await queue.stats()).workers
    finally:
        await queue.close()


if __name__ == "__main__":
    sys.exit(main())
