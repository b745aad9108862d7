"""Request headers that ask for something: Prefer, Range, If-None-Match. Pure functions."""

import re
from typing import NamedTuple

from service.errors import BadRequestError, RangeError

MAX_WAIT_S = 60

_WAIT = re.compile(r"wait\s*=\s*\"?(\d{1,9})\"?", re.IGNORECASE)
_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})", re.IGNORECASE)
_ZERO = re.compile(r"0(\.0{0,3})?")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class ByteRange(NamedTuple):
    """First byte and how many."""

    start: int
    length: int


def wait_seconds(prefer: str | None) -> int | None:
    """N of `wait=N` (RFC 7240), at most 60; None when absent or no number: it is only a wish."""
    for preference in (prefer or "").split(","):
        found = _WAIT.fullmatch(preference.split(";")[0].strip())
        if found:
            return min(int(found[1]), MAX_WAIT_S)
    return None


def byte_range(header: str | None, size: int) -> ByteRange | None:
    """The one range that is asked for; None means the whole file, as for any form we do not know.

    Raises:
        RangeError: it lies past the end.
    """
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None:
        return None
    first, last = found[1], found[2]
    if not first and not last:
        return None
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < int(first):
            return None
    if start >= size or start >= end:
        raise RangeError(f"the file has {size} bytes", size=size)
    return ByteRange(start, end - start)


def etag_matches(header: str | None, etag: str) -> bool:
    """Does If-None-Match name this entity tag? The comparison is weak, as RFC 9110 wants."""
    if header is None:
        return False
    given = [item.strip().removeprefix("W/") for item in header.split(",")]
    return "*" in given or etag in given


def accepts_gzip(header: str | None) -> bool:
    """Does Accept-Encoding name gzip, or everything, other than with `q=0`?"""
    weights: dict[str, str] = {}
    for item in (header or "").lower().split(","):
        coding, *parameters = (part.strip() for part in item.split(";"))
        weights[coding] = next((p.removeprefix("q=") for p in parameters if p[:2] == "q="), "1")
    weight = weights.get("gzip", weights.get("*", "0"))
    return not _ZERO.fullmatch(weight)


def valid_request_id(text: str | None) -> str | None:
    return text if text and _REQUEST_ID.fullmatch(text) else None


def idempotency_key(text: str | None) -> str | None:
    """Raises BadRequestError for a key that is empty, long, or not plain ASCII."""
    if text is None:
        return None
    if not _IDEMPOTENCY_KEY.fullmatch(text):
        raise BadRequestError(
            "Idempotency-Key must be 1 to 255 printable ASCII characters without spaces",
            hint="A UUID is a good key.",
        )
    return text
