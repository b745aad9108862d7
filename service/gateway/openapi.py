"""The OpenAPI document. `python -m service.gateway.openapi` rewrites the copy in docs/."""

import json
import sys
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from service.gateway.problems import MEDIA_TYPE
from service.gateway.routes.table import ROUTERS
from service.schemas import Problem

TITLE = "Bozzetto"
SUMMARY = "Picture in, 3D point cloud or mesh out."

_REF = "#/components/schemas/{model}"


def describe(app: FastAPI, *, version: str) -> dict[str, Any]:
    """FastAPI's document, with our problems in place of its own errors, and the API key."""
    document = get_openapi(
        title=TITLE,
        version=version,
        summary=SUMMARY,
        routes=app.routes,
        separate_input_output_schemas=False,
    )
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    problem = Problem.model_json_schema(ref_template=_REF, mode="serialization")
    schemas.update(problem.pop("$defs"))
    schemas["Problem"] = problem
    for operations in document["paths"].values():
        for operation in operations.values():
            _use_problems(operation["responses"])
            if operation.get("tags") == ["jobs"]:
                operation["security"] = [{}, {"apiKey": []}]
    document["components"]["securitySchemes"] = {
        "apiKey": {"type": "http", "scheme": "bearer", "description": "Where the operator set any."}
    }
    return document


def operation_id(route: APIRoute) -> str:
    """The function's name, which is what a generated client calls its method."""
    return route.name


def _use_problems(responses: dict[str, Any]) -> None:
    """FastAPI adds a 422 in its own shape wherever a route has parameters."""
    added = responses.get("422", {})
    if MEDIA_TYPE not in added.get("content", {MEDIA_TYPE: None}):
        added["content"] = {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}}


def render() -> str:
    """The document as it is committed: without a version, which the running service fills in."""
    app = FastAPI(generate_unique_id_function=operation_id)
    for router in ROUTERS:
        app.include_router(router)
    return json.dumps(describe(app, version="0"), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/openapi.json")
    target.write_text(render(), "utf-8")


if __name__ == "__main__":
    main()
