"""What FastAPI cannot see by itself, for the OpenAPI document: request bodies and problems."""

from collections.abc import Callable, Sequence
from typing import Any

from models.catalog import CATALOG, DEFAULT_MODEL, Parameter
from models.images import MEDIA_TYPES
from service.errors import CATALOGUE
from service.gateway.fields import JOB_FIELDS
from service.gateway.problems import MEDIA_TYPE

Responses = dict[int | str, dict[str, Any]]

_PROBLEM = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


def problems(*statuses: int) -> Responses:
    """`responses=` entries for a route that can end with these statuses."""
    described: Responses = {}
    for status in statuses:
        codes = [code for code, info in CATALOGUE.items() if info.status == status]
        described[status] = {"description": " or ".join(codes), **_PROBLEM}
    return described


def _parameter_schema(parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Of one parameter as several models have it: the first one's default and words, the widest
    bounds, and all choices."""
    first = parameters[0]
    schema: dict[str, Any] = {
        "type": "string" if first.kind == "camera" else first.kind,
        "default": first.default,
        "description": first.description,
    }
    lows, highs = [item.minimum for item in parameters], [item.maximum for item in parameters]
    if (low := _widest(lows, min)) is not None:
        schema["minimum"] = low
    if (high := _widest(highs, max)) is not None:
        schema["maximum"] = high
    if first.choices:
        schema["enum"] = list(
            dict.fromkeys(choice for item in parameters for choice in item.choices)
        )
    return schema


def _widest(bounds: list[float | None], of: Callable[[list[float]], float]) -> float | None:
    known = [bound for bound in bounds if bound is not None]
    return of(known) if len(known) == len(bounds) else None


def _field_schemas() -> dict[str, dict[str, Any]]:
    """Job fields, then the parameters of all models, as wide as the widest of them; a model's card
    has its own bounds. The default model's stand first."""
    by_name: dict[str, list[Parameter]] = {}
    for card in sorted(CATALOG.values(), key=lambda card: card.id != DEFAULT_MODEL):
        for parameter in card.parameters:
            by_name.setdefault(parameter.name, []).append(parameter)
    parameters = {name: _parameter_schema(items) for name, items in by_name.items()}
    return JOB_FIELDS | parameters


_FILE = {"type": "string", "format": "binary"}
_FIELDS = _field_schemas()

RECONSTRUCT_BODY: dict[str, Any] = {
    "parameters": [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in _FIELDS.items()
    ],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {
                        "image": {
                            "type": "array",
                            "items": _FILE,
                            "minItems": 1,
                            "description": "PNG, JPEG or WebP; how many, the model's card says.",
                        },
                        "mask": {
                            **_FILE,
                            "description": "Optional: the object is where this picture is light.",
                        },
                        **_FIELDS,
                    },
                }
            },
            **{media_type: {"schema": _FILE} for media_type in MEDIA_TYPES.values()},
        },
    },
}
