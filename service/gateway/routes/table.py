"""All routes of the service, in the order of the API reference."""

from typing import Final

from fastapi import APIRouter

from service.gateway.routes import artifacts, events, health, jobs, models, pages, previews

ROUTERS: Final[tuple[APIRouter, ...]] = tuple(
    module.router for module in (jobs, events, previews, artifacts, models, health, pages)
)
