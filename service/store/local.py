"""Bytes by key in a local folder."""

import contextlib
import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from service.store.contract import Flush, ObjectMissingError, StoreError, StoreFullError

MAX_KEY_BYTES = 512
CREATE_TRIES = 100
SCRATCH = ".scratch-"  # no key has a part that begins with a dot

_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class StoreKeyError(StoreError):
    """A key that is no relative path of plain names. Ours all are, so this is never expected."""


class LocalStore:
    """One file per key below `root`. Safe to use from several threads and processes."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._flusher = ThreadPoolExecutor(1, "store-flush")

    def put(self, key: str, data: bytes, *, flush: Flush = "now") -> None:
        path = self._path(key)
        temporary = path.with_name(SCRATCH + secrets.token_hex(8))
        try:
            self._write(temporary, data, flush)
            os.replace(temporary, path)
            if flush == "now":
                _sync(path.parent)
            elif flush == "soon":
                self._flusher.submit(_sync_written, path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            self._remove_empty(path.parent)
            if error.errno in _NO_SPACE:
                raise StoreFullError(f"no space for {key}, {len(data)} bytes") from error
            raise StoreError(f"cannot write {key}: {error.strerror}") from error

    def get(self, key: str) -> bytes:
        with self._reading(key) as path:
            return path.read_bytes()

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Shorter than `length` at the end of the object, empty past it."""
        with self._reading(key) as path, path.open("rb") as file:
            file.seek(start)
            return file.read(length)

    def delete_prefix(self, prefix: str) -> None:
        """`prefix` is one key, or whole leading parts of keys: `a/1` does not reach `a/10`."""
        path = self._path(prefix.rstrip("/"))
        # Moved away first: no reader finds half of it, and it can be written anew meanwhile.
        doomed = path.with_name(SCRATCH + secrets.token_hex(8))
        try:
            path.rename(doomed)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreError(f"cannot remove {prefix}: {error.strerror}") from error
        _remove(doomed)
        self._remove_empty(path.parent)

    def sweep(self, older_than_s: float) -> int:
        """Remove what no one wrote to for so long: first parts of keys (jobs), and half-written
        or half-removed leftovers of a crash. Returns how many were removed."""
        limit = time.time() - older_than_s
        removed = 0
        for entry in list(self._root.iterdir()) if self._root.is_dir() else []:
            if _newest_change(entry) < limit:
                _remove(entry)
                removed += 1
                continue
            for leftover in list(entry.rglob(SCRATCH + "*")):
                if _newest_change(leftover) < limit:
                    _remove(leftover)
                    removed += 1
        return removed

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        if len(key) > MAX_KEY_BYTES or not all(_PART.fullmatch(part) for part in parts):
            raise StoreKeyError(f"not a key: {key[:80]!r}")
        return self._root.joinpath(*parts)

    def _write(self, path: Path, data: bytes, flush: Flush) -> None:
        with self._create(path) as file:
            file.write(data)
            if flush == "now":
                file.flush()
                os.fsync(file.fileno())

    def _create(self, path: Path) -> BinaryIO:
        for _ in range(CREATE_TRIES):
            # A delete may take the empty folder between the two calls, or within mkdir, which then
            # takes what it met for a file.
            with contextlib.suppress(FileNotFoundError, FileExistsError):
                path.parent.mkdir(parents=True, exist_ok=True)
                return path.open("xb")
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))

    @contextlib.contextmanager
    def _reading(self, key: str) -> Iterator[Path]:
        try:
            yield self._path(key)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise ObjectMissingError(f"nothing is stored as {key}") from error
        except OSError as error:
            raise StoreError(f"cannot read {key}: {error.strerror}") from error

    def _remove_empty(self, folder: Path) -> None:
        with contextlib.suppress(OSError):
            while folder != self._root:
                folder.rmdir()
                folder = folder.parent


def _sync(path: Path) -> None:
    """Without this a crash of the machine can take a file's content, or a folder's names, back."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_written(path: Path) -> None:
    """Nobody waits for this any more; a file that is gone by now needs none of it."""
    with contextlib.suppress(OSError):
        _sync(path)
        _sync(path.parent)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _newest_change(path: Path) -> float:
    newest = 0.0
    for item in (path, *(path.rglob("*") if path.is_dir() else ())):
        with contextlib.suppress(OSError):
            newest = max(newest, item.lstat().st_mtime)
    return newest
