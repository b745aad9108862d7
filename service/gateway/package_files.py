"""Files of this package, kept in memory as they are and compressed. No path leads out of it."""

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.responses import Response

from service.gateway.headers import accepts_gzip, etag_matches

_PLAIN: Final = ("image/png", "image/jpeg", "image/webp")  # compressed already
_TYPES: Final = {".js": "text/javascript", ".webp": "image/webp", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class PackageFile:
    """Attributes:
    zipped: the gzip form, or None where it is no smaller.
    """

    data: bytes
    zipped: bytes | None
    media_type: str
    etag: str

    @classmethod
    def read(cls, path: Path) -> "PackageFile":
        data = path.read_bytes()
        media_type = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or ""
        zipped = None
        if media_type not in _PLAIN:
            packed = gzip.compress(data, mtime=0)
            zipped = packed if len(packed) < len(data) else None
        digest = hashlib.sha256(data).hexdigest()[:32]
        return cls(data, zipped, media_type or "application/octet-stream", digest)

    def answer(self, request_headers: Mapping[str, str], headers: Mapping[str, str]) -> Response:
        """The file, in the form that the client takes, or 304 if it has it."""
        gzipped = self.zipped is not None and accepts_gzip(request_headers.get("accept-encoding"))
        etag = f'"{self.etag}-gzip"' if gzipped else f'"{self.etag}"'
        sent = {**headers, "ETag": etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if etag_matches(request_headers.get("if-none-match"), etag):
            return Response(status_code=304, headers=sent)
        if gzipped:
            sent["Content-Encoding"] = "gzip"
        content = self.zipped if gzipped else self.data
        return Response(content, media_type=self.media_type, headers=sent)


def read_folder(folder: Path) -> dict[str, PackageFile]:
    """Every file below `folder`, by its path from there with forward slashes."""
    return {
        path.relative_to(folder).as_posix(): PackageFile.read(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
