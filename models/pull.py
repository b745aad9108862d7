"""Fetches published checkpoints: resumable, checked by sha256, nothing before the licence is seen.

Standard library only. What came before a connection broke stays as NAME.partial, with the server's
ETag beside it, so that a file that has changed meanwhile is begun anew.
"""

import fcntl
import hashlib
import http.client
import io
import lzma
import os
import re
import shutil
import struct
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from models.errors import DownloadError
from models.published import RemoteFile

CHUNK = 1 << 20
TIMEOUT_S = 30.0  # for one byte or more
# A server that sends less than PACE_BYTES while PACE_S are spent waiting has stalled.
PACE_S, PACE_BYTES = 60.0, 60_000
MAX_BYTES = 16_000_000_000  # of a file whose size is not pinned
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_TAG = re.compile(r'"[\x21\x23-\x7e]*"')  # a strong one
MAX_RATIO = 100  # of a packed checkpoint's bytes to those it takes; numbers hardly shrink
CHECKPOINTS = (".pt", ".pth", ".ckpt", ".safetensors")
USER_AGENT = "bozzetto"

# What damaged archives make the standard library raise, beside OSError.
BAD_ARCHIVE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    RuntimeError,
    EOFError,
    ValueError,
    struct.error,
)

OnBytes = Callable[[int, int | None], None]  # so far, in all where that is known


class _SameScheme(urllib.request.HTTPRedirectHandler):
    """Follows a redirect to https, or from http to http; never to a file or to less security."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Any,
        newurl: str,
    ) -> urllib.request.Request | None:
        scheme = urllib.parse.urlsplit(newurl).scheme
        if scheme != "https" and scheme != urllib.parse.urlsplit(req.full_url).scheme:
            fp.close()
            raise DownloadError(f"{req.full_url}: redirects to {newurl[:200]}, which is refused")
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        fp.close()  # or all of its body would be read, however long it is
        return new


class _Paced(io.RawIOBase):
    """What a server sends, its headers too. Raises TimeoutError where that comes too slowly."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self._waited, self._came = 0.0, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        began = time.monotonic()
        count = self._raw.readinto(buffer) or 0
        self._waited += time.monotonic() - began
        self._came += count
        if count and self._waited > PACE_S:
            if self._came < PACE_BYTES:
                raise TimeoutError(f"only {self._came} bytes came in {self._waited:.0f} s")
            self._waited, self._came = 0.0, 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _PacedResponse(http.client.HTTPResponse):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fp = io.BufferedReader(_Paced(self.fp.detach()))


class _PacedConnections(urllib.request.AbstractHTTPHandler):
    def do_open(self, http_class: Any, req: urllib.request.Request, **options: Any) -> Any:
        def connection(*arguments: Any, **more: Any) -> http.client.HTTPConnection:
            made: http.client.HTTPConnection = http_class(*arguments, **more)
            made.response_class = _PacedResponse
            return made

        return super().do_open(connection, req, **options)


class _Http(_PacedConnections, urllib.request.HTTPHandler):
    pass


class _Https(_PacedConnections, urllib.request.HTTPSHandler):
    pass


def fetch(remote: RemoteFile, folder: Path, on_bytes: OnBytes = lambda done, total: None) -> Path:
    """The file in `folder`, from there if it is whole already.

    Raises:
        DownloadError: no connection, a stalled one, another status than success, no room, or not
            what was pinned.
    """
    parts = urllib.parse.urlsplit(remote.url)
    if parts.scheme not in ("http", "https"):
        raise DownloadError(f"{remote.url}: only http and https are fetched")
    name = Path(urllib.parse.unquote(parts.path)).name
    target, partial = folder / name, folder / f"{name}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            if target.exists() and _is(target, remote):
                return target
            if not (partial.exists() and partial.stat().st_size == remote.bytes):
                _receive(remote, partial, on_bytes)
            _check(partial, remote)
            partial.replace(target)
            _tag_of(partial).unlink(missing_ok=True)
    except OSError as error:
        kept = partial.exists()
        raise DownloadError(f"{target}: {error.strerror or error}", partial=kept) from None
    return target


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two that write to one partial file would mix what they get. Raises DownloadError."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise DownloadError(f"{folder}: another download to it is under way") from None
    finally:
        os.close(handle)


def _tag_of(partial: Path) -> Path:
    return partial.with_name(partial.name + ".etag")


def _kept_tag(partial: Path) -> str | None:
    try:
        text = _tag_of(partial).read_text("ascii")
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    return text if _TAG.fullmatch(text) else None


def _receive(remote: RemoteFile, partial: Path, on_bytes: OnBytes) -> None:
    """The rest of the file, or all of it where the server gives no rest."""
    tag = _tag_of(partial)
    known = _kept_tag(partial)
    done = partial.stat().st_size if known and partial.exists() else 0
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
    if known and done:
        headers |= {"Range": f"bytes={done}-", "If-Range": known}
    request = urllib.request.Request(remote.url, headers=headers)  # noqa: S310  checked by fetch
    opener = urllib.request.build_opener(_SameScheme, _Http, _Https)
    try:
        with opener.open(request, timeout=TIMEOUT_S) as response:
            _refuse_other_than_bytes(response, remote)
            if response.status != http.client.PARTIAL_CONTENT:
                # Before its tag is: what is there is of another file than the tag will say.
                partial.unlink(missing_ok=True)
                done = 0
            elif not done or not _continues(response, done):
                raise DownloadError(f"{remote.url}: the server sent another part than asked for")
            _keep_tag(response, tag)
            _copy(response, remote, partial, done, on_bytes)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and done:
            partial.unlink(missing_ok=True)
            _receive(remote, partial, on_bytes)
            return
        raise DownloadError(
            f"{remote.url}: {error.code} {error.reason}", partial=done > 0
        ) from None
    except urllib.error.URLError as error:
        kept = partial.exists()
        raise DownloadError(f"{remote.url}: no connection: {error.reason}", partial=kept) from None
    except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
        kept = partial.exists()
        reason = f"the connection broke: {str(error) or type(error).__name__}"
        raise DownloadError(f"{remote.url}: {reason}", partial=kept) from None
    except ValueError as error:
        raise DownloadError(f"{remote.url}: redirects to no address: {error}") from None


def _refuse_other_than_bytes(response: http.client.HTTPResponse, remote: RemoteFile) -> None:
    """A page of a proxy or a host, or what a server has compressed unasked, is not the file."""
    kind = response.headers.get_content_type()
    coding = response.headers.get("Content-Encoding") or "identity"
    if kind == "text/html" or coding.lower() != "identity":
        raise DownloadError(f"{remote.url}: the server sent no file but {kind} ({coding})")


def _continues(response: http.client.HTTPResponse, done: int) -> bool:
    """From there to the end, not only to somewhere."""
    found = _RANGE.fullmatch(response.headers.get("Content-Range") or "")
    if found is None:
        return False
    first, last, size = map(int, found.groups())
    return first == done and last == size - 1


def _keep_tag(response: http.client.HTTPResponse, tag: Path) -> None:
    """A weak tag promises no equal bytes: without a strong one nothing is resumed."""
    given = response.headers.get("ETag") or ""
    if _TAG.fullmatch(given):
        tag.write_text(given, "utf-8")
    else:
        tag.unlink(missing_ok=True)


def _copy(
    response: http.client.HTTPResponse,
    remote: RemoteFile,
    partial: Path,
    done: int,
    on_bytes: OnBytes,
) -> None:
    length = response.headers.get("Content-Length")
    total = done + int(length) if length and length.isdecimal() else None
    if remote.bytes is not None and total not in (None, remote.bytes):
        raise DownloadError(f"{remote.url}: {total} bytes, expected {remote.bytes}")
    if total is not None and total - done > shutil.disk_usage(partial.parent).free:
        raise DownloadError(f"{remote.url}: {total} bytes, no room for them in {partial.parent}")
    at_most = remote.bytes if remote.bytes is not None else MAX_BYTES
    with partial.open("r+b" if done else "wb") as file:
        file.seek(done)
        # One that breaks off leaves what came until then.
        while chunk := response.read1(CHUNK):
            done += len(chunk)
            if done > at_most:
                raise DownloadError(f"{remote.url}: more than the {at_most} bytes expected")
            file.write(chunk)
            on_bytes(done, total)
        file.flush()
        os.fsync(file.fileno())
    if total is not None and done < total:
        raise DownloadError(f"{remote.url}: ended after {done} of {total} bytes", partial=True)


def _check(partial: Path, remote: RemoteFile) -> None:
    """Removes what is not the pinned file, or none: no second try would make it so."""
    empty = partial.stat().st_size == 0
    if not empty and _is(partial, remote):
        return
    digest = _sha256(partial)
    partial.unlink()
    _tag_of(partial).unlink(missing_ok=True)
    if empty:
        raise DownloadError(f"{remote.url}: the server sent an empty file")
    raise DownloadError(f"{remote.url}: expected sha256 {remote.sha256}, got {digest}")


def _is(path: Path, remote: RemoteFile) -> bool:
    """As far as is known what it should be."""
    if remote.bytes is not None and path.stat().st_size != remote.bytes:
        return False
    return remote.sha256 is None or _sha256(path) == remote.sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def bundled(path: Path) -> list[str]:
    """The checkpoints in an archive of several files; none where it is a checkpoint itself.

    Raises:
        DownloadError: a damaged archive.
    """
    if not zipfile.is_zipfile(path):
        return []
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (*BAD_ARCHIVE, OSError) as error:
        raise DownloadError(f"{path}: {error}") from None
    if any(name.rsplit("/", 1)[-1] == "data.pkl" for name in names):
        return []
    return [name for name in names if name.endswith(CHECKPOINTS)]


def unpack(path: Path, member: str, folder: Path) -> Path:
    """One file of an archive, in `folder`.

    Raises:
        DownloadError: no such file in it, damaged, too large, or no room.
    """
    if path.exists() and not path.is_file():  # a device has no end, a pipe is waited for
        raise DownloadError(f"{path}: no file")
    try:
        with zipfile.ZipFile(path) as archive, archive.open(member) as source:
            packed = archive.getinfo(member)
            size = packed.file_size
            if size > MAX_RATIO * packed.compress_size + CHUNK:
                raise DownloadError(f"{path}: {member} unpacks to {size} bytes: no checkpoint does")
            if size > min(MAX_BYTES, shutil.disk_usage(folder).free):
                raise DownloadError(f"{path}: {member} has {size} bytes, no room in {folder}")
            target = folder / Path(member).name
            with target.open("wb") as file:
                # No more than it says it has.
                left = size
                while left and (chunk := source.read(min(CHUNK, left))):
                    file.write(chunk)
                    left -= len(chunk)
    except KeyError:
        raise DownloadError(f"{path}: no {member[:200]} in it") from None
    except BAD_ARCHIVE as error:
        raise DownloadError(f"{path}: {member}: {error}") from None
    except OSError as error:
        raise DownloadError(f"{path}: {member}: {error.strerror or error}") from None
    return target
