"""Provenance for text headers that only know comments."""

import json
from collections.abc import Mapping
from typing import Any

from geometry.errors import GeometryError

_MAX_LENGTH = 1000  # of a line; readers keep whole lines in small buffers


def comment_lines(extras: Mapping[str, Any] | None) -> list[str]:
    r"""`key: value` for each of `extras` (JSON), printable ASCII, one line each.

    Strings stand as they are, all else as JSON, and so do strings that could be taken for
    something else by a reader: those with control characters or a backslash, which joins lines in
    OBJ. The word that ends a PLY header is broken. Long lines end in "...".

    Raises:
        GeometryError: `extras` is not JSON.
    """
    try:
        lines = [f"{_text(key)}: {_text(value)}" for key, value in (extras or {}).items()]
    except (TypeError, ValueError, RecursionError) as error:
        raise GeometryError(f"extras: not JSON: {error}") from error
    lines = [line.replace("end_header", "end-header") for line in lines]
    return [line if len(line) <= _MAX_LENGTH else line[: _MAX_LENGTH - 3] + "..." for line in lines]


def _text(value: object) -> str:
    if isinstance(value, str) and value.isascii() and value.isprintable() and "\\" not in value:
        return value
    return json.dumps(value, allow_nan=False)
