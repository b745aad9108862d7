"""What callers give as a picture, to the bytes that are sent."""

import io
import os
from pathlib import Path
from typing import IO, Any, Final, Protocol

SIGNATURES: Final = ((b"\x89PNG", "image/png"), (b"\xff\xd8\xff", "image/jpeg"))


class Saveable(Protocol):
    """An image of Pillow, or something that saves itself as one does."""

    def save(self, fp: Any, format: str, **options: Any) -> Any: ...


Picture = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Saveable


def read_picture(picture: Picture) -> bytes:
    """The bytes of a file: of its path, of itself, of an open one, or of an image made into a PNG.

    Raises:
        OSError: the path cannot be read.
        TypeError: it is none of those.
    """
    if isinstance(picture, bytes | bytearray | memoryview):
        return bytes(picture)
    if isinstance(picture, str | os.PathLike):
        return Path(picture).read_bytes()
    if callable(read := getattr(picture, "read", None)):
        data = read()
        if not isinstance(data, bytes):
            raise TypeError("a picture's file must be opened in binary mode")
        return data
    if callable(save := getattr(picture, "save", None)):
        buffer = io.BytesIO()
        # Pillow leaves the EXIF behind, and with it which side of a photograph is up.
        exif = getattr(picture, "getexif", dict[int, Any])()
        save(buffer, format="PNG", **({"exif": exif} if exif else {}))
        return buffer.getvalue()
    raise TypeError(f"a picture is a path, bytes, a file or an image, not {type(picture).__name__}")


def media_type(data: bytes) -> str:
    """By content, as the server does it."""
    for signature, name in SIGNATURES:
        if data.startswith(signature):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return "application/octet-stream"
