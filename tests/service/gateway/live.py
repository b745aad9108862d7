"""A gateway in a process of its own: `python -m tests.service.gateway.live URL ROOT`."""

import socket
import sys
from pathlib import Path

import fastapi.routing
import uvicorn
from fastapi import FastAPI

from service.gateway.app import create_app, start_draining
from service.queue.redis_queue import RedisJobQueue
from service.settings import Settings, UploadSettings
from service.store.local import LocalStore

MAX_BYTES = 300_000
KEEP_ALIVE_S = 0.2


class Server(uvicorn.Server):
    """Drains first, as `bozzetto serve` does."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(uvicorn.Config(app, log_level="warning", access_log=False))
        self._gateway = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        start_draining(self._gateway)
        await super().shutdown(sockets)


def main() -> None:
    url, root = sys.argv[1:]
    vars(fastapi.routing)["_PING_INTERVAL"] = KEEP_ALIVE_S
    settings = Settings(data_dir=Path(root), uploads=UploadSettings(max_bytes=MAX_BYTES))
    queue = RedisJobQueue.from_url(url, settings.queue)
    app = create_app(settings, queue, LocalStore(Path(root)))
    listening = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    Server(app).run(sockets=[listening])


if __name__ == "__main__":
    main()
