"""What FastAPI cannot see by itself, for the OpenAPI document: request bodies and problems."""

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


def _parameter_schema(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": parameter.kind,
        "default": parameter.default,
        "description": parameter.description,
    }
    if parameter.minimum is not None:
        schema["minimum"] = parameter.minimum
    if parameter.maximum is not None:
        schema["maximum"] = parameter.maximum
    if parameter.choices:
        schema["enum"] = list(parameter.choices)
    return schema


def _field_schemas() -> dict[str, dict[str, Any]]:
    """Job fields, then the parameters of all models, with the bounds of the first that has it;
    the default model comes first."""
    schemas = dict(JOB_FIELDS)
    for card in sorted(CATALOG.values(), key=lambda card: card.id != DEFAULT_MODEL):
        for parameter in card.parameters:
            schemas.setdefault(parameter.name, _parameter_schema(parameter))
    return schemas


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
