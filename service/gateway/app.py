"""The HTTP application: parts put together, nothing decided here."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from service.gateway import problems
from service.gateway.dependencies import Gateway
from service.gateway.limits import ApiKeys, RateLimit
from service.gateway.middleware import RequestRecord
from service.gateway.openapi import SUMMARY, TITLE, describe, operation_id
from service.gateway.routes.pages import load_files
from service.gateway.routes.table import ROUTERS
from service.queue.contract import JobQueue
from service.settings import Settings
from service.store.contract import Store

ALLOWED_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "Last-Event-ID",
    "Prefer",
)
EXPOSED_HEADERS = (
    "Content-Range",
    "ETag",
    "Idempotent-Replayed",
    "Location",
    "Preference-Applied",
    "Retry-After",
    "X-Request-Id",
)


def create_app(settings: Settings, queue: JobQueue, store: Store) -> FastAPI:
    """The gateway on a queue and a store. Closes the queue at the end of its lifespan."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(load_files)
        yield
        await queue.close()

    app = FastAPI(
        title=TITLE,
        summary=SUMMARY,
        version=_version(),
        lifespan=lifespan,
        docs_url=None,  # FastAPI's page loads scripts from another host
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=operation_id,
    )
    gateway = Gateway(
        settings=settings,
        queue=queue,
        store=store,
        api_keys=ApiKeys(settings.gateway.api_keys),
        rate_limit=RateLimit(settings.gateway.rate_per_minute),
    )
    app.state.gateway = gateway
    for router in ROUTERS:
        app.include_router(router)
    document = cache(lambda: describe(app, version=app.version))
    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way
    problems.install(app)
    if settings.gateway.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.gateway.cors_origins,
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=ALLOWED_HEADERS,
            expose_headers=EXPOSED_HEADERS,
        )
    app.add_middleware(RequestRecord, metrics=gateway.metrics)
    return app


def start_draining(app: FastAPI) -> None:
    """The process is about to stop: refuse submits, turn unready, end waits and event streams."""
    gateway: Gateway = app.state.gateway
    gateway.draining.set()


def _version() -> str:
    try:
        return version("bozzetto")
    except PackageNotFoundError:
        return "0"
