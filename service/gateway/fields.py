"""The form fields of a submit: text to checked values. No I/O."""

import json
import math
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar, get_args

from models.catalog import CATALOG, DEFAULT_MODEL, ModelCard, ParameterValue, get_card
from service.errors import UnprocessableError
from service.jobs import TARGET_FACES, TEXTURE_SIZE, Compression, Priority, RemoveBackground

MAX_METADATA_BYTES: Final = 4_096
MAX_METADATA_DEPTH: Final = 32
DEADLINE_S: Final = (0.1, 86_400.0)
DRAW_SEED: Final = -1

PRIORITIES: Final[tuple[Priority, ...]] = get_args(Priority)
REMOVE_BACKGROUND: Final[tuple[RemoveBackground, ...]] = get_args(RemoveBackground)
COMPRESSIONS: Final[tuple[Compression, ...]] = get_args(Compression)

Choice = TypeVar("Choice", bound=str)

# Fields of every job; all others are parameters of its model.
JOB_FIELDS: Final[dict[str, dict[str, Any]]] = {
    "model": {"type": "string", "enum": list(CATALOG), "default": DEFAULT_MODEL},
    "outputs": {
        "type": "string",
        "description": "Comma list of files to make; default: the model's default_outputs.",
        "example": "points.ply,mesh.glb",
    },
    "remove_background": {
        "type": "string",
        "enum": list(REMOVE_BACKGROUND),
        "default": "auto",
        "description": "auto takes the alpha channel where the picture has a useful one.",
    },
    "target_faces": {
        "type": "integer",
        "minimum": TARGET_FACES[0],
        "maximum": TARGET_FACES[1],
        "description": "Triangles of the mesh, about; default: 20000, with a texture 10000.",
    },
    "texture_size": {
        "type": "integer",
        "minimum": TEXTURE_SIZE[0],
        "maximum": TEXTURE_SIZE[1],
        "description": "Side in pixels of a texture for mesh.glb; default: colours per vertex.",
    },
    "compression": {
        "type": "string",
        "enum": list(COMPRESSIONS),
        "default": "none",
        "description": "Of GLB files: KHR_mesh_quantization, or EXT_meshopt_compression on top.",
    },
    "priority": {"type": "string", "enum": list(PRIORITIES), "default": "normal"},
    "deadline_s": {
        "type": "number",
        "minimum": DEADLINE_S[0],
        "maximum": DEADLINE_S[1],
        "description": "Seconds from submit after which the result is of no use.",
    },
    "callback_url": {
        "type": "string",
        "format": "uri",
        "description": "Not available yet: refused with callback_unsupported.",
    },
    "metadata": {
        "type": "string",
        "description": f"A JSON object of at most {MAX_METADATA_BYTES} bytes, given back as is.",
    },
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for, with every default filled in."""

    card: ModelCard
    params: dict[str, ParameterValue]
    outputs: tuple[str, ...]
    remove_background: RemoveBackground
    target_faces: int | None
    texture_size: int | None
    compression: Compression
    priority: Priority
    deadline_s: float | None
    metadata: dict[str, Any]


def read_fields(
    fields: Mapping[str, str], draw_seed: Callable[[], int] = lambda: secrets.randbelow(2**31)
) -> Wish:
    """Fields as text to a wish. An empty text is as good as none: HTML forms send those.

    A seed of -1 is drawn now, so that a second attempt repeats it.

    Raises:
        UnprocessableError: names the field, and its bounds or what is known.
        UnknownModelError, ParameterError: from the catalogue, with the same content.
    """
    card = get_card((fields.get("model") or DEFAULT_MODEL)[:64])
    given = {name: value for name, value in fields.items() if name not in JOB_FIELDS}
    for name in given:
        if card.parameter(name) is None:
            raise UnprocessableError(
                f"{name[:64]} is no field of a job with the model {card.id}; known are "
                + ", ".join([*JOB_FIELDS, *(item.name for item in card.parameters)]),
                field=name[:64],
                code="unknown_field",
            )
    if fields.get("callback_url"):
        raise UnprocessableError(
            "callback_url: this version delivers no callbacks",
            field="callback_url",
            code="callback_unsupported",
        )
    params = card.resolve({name: value for name, value in given.items() if value})
    if params.get("seed") == DRAW_SEED:
        params["seed"] = draw_seed()
    return Wish(
        card=card,
        params=params,
        outputs=_outputs(fields.get("outputs"), card),
        remove_background=_choice(fields, "remove_background", REMOVE_BACKGROUND, "auto"),
        target_faces=_number(fields, "target_faces", int, TARGET_FACES),
        texture_size=_number(fields, "texture_size", int, TEXTURE_SIZE),
        compression=_choice(fields, "compression", COMPRESSIONS, "none"),
        priority=_choice(fields, "priority", PRIORITIES, "normal"),
        deadline_s=_number(fields, "deadline_s", float, DEADLINE_S),
        metadata=_metadata(fields.get("metadata")),
    )


def _outputs(text: str | None, card: ModelCard) -> tuple[str, ...]:
    if not text:
        return card.default_outputs
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in card.outputs:
            raise UnprocessableError(
                f"outputs: {name[:64]!r} is none of {', '.join(card.outputs)}", field="outputs"
            )
    return names


def _choice(
    fields: Mapping[str, str], name: str, choices: tuple[Choice, ...], default: Choice
) -> Choice:
    text = fields.get(name)
    if not text:
        return default
    for choice in choices:
        if choice == text:
            return choice
    raise UnprocessableError(f"{name}: must be one of {', '.join(choices)}", field=name)


def _number(
    fields: Mapping[str, str],
    name: str,
    kind: Callable[[str], float],
    bounds: tuple[float, float],
) -> Any:
    text = fields.get(name)
    if not text:
        return None
    low, high = bounds
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:  # NaN fails too
        noun = "an integer" if kind is int else "a number"
        raise UnprocessableError(
            f"{name}: must be {noun} from {low} to {high}, got {text[:40]!r}", field=name
        )
    return value


def _metadata(text: str | None) -> dict[str, Any]:
    if not text:
        return {}
    problem = f"metadata: must be a JSON object of at most {MAX_METADATA_BYTES} bytes"
    if len(text.encode("utf-8", "replace")) > MAX_METADATA_BYTES:
        raise UnprocessableError(problem, field="metadata")
    try:
        value = json.loads(text)
        # Refuses what no answer could carry: NaN, 1e999, halves of surrogate pairs.
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise UnprocessableError(f"{problem}: {error}", field="metadata") from None
    if not isinstance(value, dict):
        raise UnprocessableError(f"{problem}, got {type(value).__name__}", field="metadata")
    if _depth(value) > MAX_METADATA_DEPTH:
        raise UnprocessableError(
            f"metadata: nested deeper than {MAX_METADATA_DEPTH}", field="metadata"
        )
    return value


def _depth(value: object) -> int:
    """Levels of nesting, counted without recursion."""
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
    return depth
