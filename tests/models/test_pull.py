"""Downloads from a server on this machine that misbehaves in all the ways that servers do."""

import contextlib
import errno
import hashlib
import io
import os
import shutil
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from models import pull
from models.errors import DownloadError
from models.published import RemoteFile
from models.pull import bundled, fetch, unpack

DATA = bytes(range(256)) * 4096  # 1 MB
SHA256 = hashlib.sha256(DATA).hexdigest()


class Handler(BaseHTTPRequestHandler):
    server: "Server"

    def log_message(self, *_) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        wanted = self.headers.get("Range")
        server.asked.append((wanted, self.headers.get("If-Range")))
        if server.redirect:
            self.send_response(302)
            self.send_header("Location", server.redirect)
            self.end_headers()
            self.close_connection = True
            with contextlib.suppress(ConnectionError):
                for _ in range(server.chatter):
                    self.wfile.write(bytes(1 << 20))
                    server.chattered += 1
            return
        if server.drips == "headers":
            self.close_connection = True
            with contextlib.suppress(ConnectionError):
                self.drip(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 400)
            return
        if server.status:
            self.send_error(server.status)
            return
        start = 0
        same = self.headers.get("If-Range") in (None, server.etag)
        if wanted and same and server.ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            shown = start + server.shift
            self.send_header("Content-Range", f"bytes {shown}-{server.last}/{len(DATA)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(server.data) - start))
        for name, value in server.headers.items():
            self.send_header(name, value)
        if server.etag:
            self.send_header("ETag", server.etag)
        self.end_headers()
        end = len(server.data)
        if server.drop_after is not None:
            end, server.drop_after = start + server.drop_after, None
        self.close_connection = True
        with contextlib.suppress(ConnectionError):  # a client may leave
            self.wfile.write(server.data[start:end])
            if server.drips == "bytes":
                self.drip(server.data[end : end + 400])

    def drip(self, data: bytes) -> None:
        """Byte by byte, 4 s for 400."""
        for byte in data:
            self.wfile.write(bytes([byte]))
            time.sleep(0.01)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    data = DATA
    etag: str | None = '"one"'
    ranges = True
    shift = 0
    last = len(DATA) - 1
    drop_after: int | None = None
    drips = ""  # "headers", or "bytes" after `drop_after`
    status: int | None = None
    redirect: str | None = None
    chatter = 0  # MiB behind a redirect
    chattered = 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.headers: dict[str, str] = {}
        self.asked: list[tuple[str | None, str | None]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def remote(self, *, size: int | None = None, sha256: str | None = SHA256) -> RemoteFile:
        return RemoteFile(f"{self.address}/files/model.pt?x=1", size, sha256)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_comes_whole_and_once(server, tmp_path):
    told: list[tuple[int, int | None]] = []
    path = fetch(server.remote(), tmp_path, lambda done, total: told.append((done, total)))
    assert path.read_bytes() == DATA
    assert told[-1] == (len(DATA), len(DATA))
    assert names(tmp_path) == ["model.pt"]

    assert fetch(server.remote(), tmp_path) == path
    assert len(server.asked) == 1


def test_a_file_that_has_changed_on_disk_is_fetched_again(server, tmp_path):
    (tmp_path / "model.pt").write_bytes(b"other")
    assert fetch(server.remote(), tmp_path).read_bytes() == DATA


@pytest.mark.parametrize("etag", ['"one"', 'W/"weak"', None])
def test_a_dropped_connection_is_taken_up_again(server, tmp_path, etag):
    server.drop_after, server.etag = 300_000, etag
    with pytest.raises(DownloadError, match="300000 of 1048576 bytes") as error:
        fetch(server.remote(), tmp_path)
    assert error.value.partial
    assert (tmp_path / "model.pt.partial").stat().st_size == 300_000

    assert fetch(server.remote(), tmp_path).read_bytes() == DATA
    # Only a strong tag promises that the rest belongs to the same bytes.
    resumed = ("bytes=300000-", '"one"') if etag == '"one"' else (None, None)
    assert server.asked == [(None, None), resumed]
    assert names(tmp_path) == ["model.pt"]


def test_a_server_that_drips_is_left_and_what_came_is_kept(server, tmp_path, monkeypatch):
    monkeypatch.setattr(pull, "PACE_S", 1.0)  # a busy machine takes a part of a second
    server.drop_after, server.drips = 300_000, "bytes"
    with pytest.raises(DownloadError, match=r"only \d+ bytes came in \d s") as error:
        fetch(server.remote(), tmp_path)
    assert error.value.partial
    kept = (tmp_path / "model.pt.partial").read_bytes()
    assert 300_000 <= len(kept) < 300_400
    assert DATA.startswith(kept)
    server.drips = ""
    assert fetch(server.remote(), tmp_path).read_bytes() == DATA
    assert server.asked[1][0] == f"bytes={len(kept)}-"


def test_headers_that_drip(server, tmp_path, monkeypatch):
    monkeypatch.setattr(pull, "PACE_S", 1.0)
    server.drips = "headers"
    with pytest.raises(DownloadError, match=r"only \d+ bytes came"):
        fetch(server.remote(), tmp_path)
    assert names(tmp_path) == []


def test_a_slow_disk_is_no_slow_server(server, tmp_path, monkeypatch):
    monkeypatch.setattr(pull, "PACE_BYTES", 10 * len(DATA))
    now = [0.0]
    monkeypatch.setattr(pull, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def slow(done, total):
        now[0] += 2 * pull.PACE_S

    assert fetch(server.remote(), tmp_path, slow).read_bytes() == DATA


def test_a_file_that_has_changed_meanwhile_is_begun_anew(server, tmp_path):
    server.drop_after = 300_000
    with pytest.raises(DownloadError):
        fetch(server.remote(), tmp_path)
    server.etag = '"two"'
    assert fetch(server.remote(), tmp_path).read_bytes() == DATA


def test_a_server_without_ranges(server, tmp_path):
    server.drop_after, server.ranges = 300_000, False
    with pytest.raises(DownloadError):
        fetch(server.remote(), tmp_path)
    assert fetch(server.remote(), tmp_path).read_bytes() == DATA


def test_a_partial_that_is_longer_than_the_file(server, tmp_path):
    (tmp_path / "model.pt.partial").write_bytes(DATA + b"x")
    (tmp_path / "model.pt.partial.etag").write_text('"one"')
    server.status = 416
    with pytest.raises(DownloadError, match="416"):
        fetch(server.remote(), tmp_path)
    server.status = None
    assert fetch(server.remote(), tmp_path).read_bytes() == DATA


def test_another_part_than_asked_for(server, tmp_path):
    server.drop_after = 300_000
    with pytest.raises(DownloadError):
        fetch(server.remote(), tmp_path)
    server.shift = 5
    with pytest.raises(DownloadError, match="another part"):
        fetch(server.remote(), tmp_path)
    # From there on, but not to the end.
    server.shift, server.last, server.data = 0, 399_999, DATA[:400_000]
    with pytest.raises(DownloadError, match="another part"):
        fetch(server.remote(sha256=None), tmp_path)
    assert names(tmp_path) == ["model.pt.partial", "model.pt.partial.etag"]


def test_a_changed_file_that_does_not_fit_is_not_mixed_with_the_old_one(
    server, tmp_path, monkeypatch
):
    server.drop_after = 300_000
    with pytest.raises(DownloadError):
        fetch(server.remote(sha256=None), tmp_path)
    server.etag, server.data = '"two"', DATA[::-1]
    with monkeypatch.context() as patch:
        usage = shutil.disk_usage(tmp_path)._replace(free=1000)
        patch.setattr(shutil, "disk_usage", lambda path: usage)
        with pytest.raises(DownloadError, match="no room"):
            fetch(server.remote(sha256=None), tmp_path)
    assert fetch(server.remote(sha256=None), tmp_path).read_bytes() == DATA[::-1]


@pytest.mark.parametrize("text", [b"", b"\xff", b'"a\r\nX: y"'])
def test_a_tag_that_is_none_begins_anew(server, tmp_path, text):
    (tmp_path / "model.pt.partial").write_bytes(b"x" * 100)
    (tmp_path / "model.pt.partial.etag").write_bytes(text)
    assert fetch(server.remote(), tmp_path).read_bytes() == DATA
    assert server.asked == [(None, None)]


@pytest.mark.parametrize(
    ("name", "value"), [("Content-Encoding", "gzip"), ("Content-Type", "text/html; charset=utf-8")]
)
def test_an_answer_that_is_not_the_files_bytes(server, tmp_path, name, value):
    server.headers[name] = value
    with pytest.raises(DownloadError, match="sent no file"):
        fetch(server.remote(sha256=None), tmp_path)
    assert names(tmp_path) == []


def test_an_empty_file(server, tmp_path):
    server.data = b""
    with pytest.raises(DownloadError, match="empty file"):
        fetch(server.remote(sha256=None), tmp_path)
    assert names(tmp_path) == []


def test_more_than_any_file_has(server, tmp_path, monkeypatch):
    monkeypatch.setattr(pull, "MAX_BYTES", 1000)
    with pytest.raises(DownloadError, match="more than the 1000 bytes"):
        fetch(server.remote(sha256=None), tmp_path)


def test_two_downloads_to_one_folder(server, tmp_path):
    def meanwhile(done, total):
        with pytest.raises(DownloadError, match="under way"):
            fetch(server.remote(), tmp_path)

    assert fetch(server.remote(), tmp_path, meanwhile).read_bytes() == DATA


@pytest.mark.parametrize("target", ["http://[::1", "http://" + "a" * 70 + ".test/", "http://a:b/"])
def test_a_redirect_to_no_address(server, tmp_path, target):
    server.redirect = target
    with pytest.raises(DownloadError, match=r"no address|connection"):
        fetch(server.remote(), tmp_path)


def test_a_redirect_to_itself(server, tmp_path):
    server.redirect = server.remote().url
    with pytest.raises(DownloadError, match="infinite loop"):
        fetch(server.remote(), tmp_path)


def test_other_bytes_than_pinned(server, tmp_path):
    with pytest.raises(DownloadError, match="expected sha256 000") as error:
        fetch(server.remote(sha256="0" * 64), tmp_path)
    assert SHA256 in str(error.value)
    assert names(tmp_path) == []


def test_another_length_than_pinned(server, tmp_path):
    with pytest.raises(DownloadError, match="1048576 bytes, expected 5"):
        fetch(server.remote(size=5), tmp_path)


@pytest.mark.parametrize("status", [403, 404, 500])
def test_an_answer_that_is_no_file(server, tmp_path, status):
    server.status = status
    with pytest.raises(DownloadError, match=str(status)) as error:
        fetch(server.remote(), tmp_path)
    assert not error.value.partial


def test_no_server(tmp_path):
    with Server() as server:
        remote = server.remote()
    with pytest.raises(DownloadError, match="no connection"):
        fetch(remote, tmp_path)


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/x"])
def test_a_redirect_to_another_scheme(server, tmp_path, target):
    server.redirect = target
    with pytest.raises(DownloadError, match=r"refused|not allowed"):
        fetch(server.remote(), tmp_path)
    assert names(tmp_path) == []


def test_a_redirect_to_another_server(server, tmp_path):
    with Server() as other:
        threading.Thread(target=other.serve_forever, args=(0.01,)).start()
        server.redirect = f"{other.address}/else/where.pt"
        path = fetch(server.remote(), tmp_path)
        other.shutdown()
    assert (path.name, path.read_bytes()) == ("model.pt", DATA)


def test_what_comes_with_a_redirect_is_not_read(server, tmp_path):
    server.chatter = 200
    with Server() as other:
        threading.Thread(target=other.serve_forever, args=(0.01,)).start()
        server.redirect = f"{other.address}/else/where.pt"
        assert fetch(server.remote(), tmp_path).read_bytes() == DATA
        other.shutdown()
    assert server.chattered < 100


def test_only_http_is_fetched(tmp_path):
    with pytest.raises(DownloadError, match="only http"):
        fetch(RemoteFile("file:///etc/hostname"), tmp_path)


def test_no_room(server, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DownloadError, match="no room"):
        fetch(server.remote(), tmp_path)


def test_a_disk_that_fills_up_meanwhile_keeps_what_came(server, tmp_path, monkeypatch):
    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DownloadError, match="No space left") as error:
        fetch(server.remote(), tmp_path)
    assert error.value.partial
    monkeypatch.undo()
    assert fetch(server.remote(), tmp_path).read_bytes() == DATA


def test_an_archive_of_several(tmp_path):
    buffer = io.BytesIO()
    torch.save({"w": torch.ones(1)}, buffer)
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("logs/a/model.pth", buffer.getvalue())
        archive.writestr("logs/a/log.txt", "x")
        archive.writestr("../b.pth", b"else")
    (tmp_path / "one.pt").write_bytes(buffer.getvalue())

    assert bundled(path) == ["logs/a/model.pth", "../b.pth"]
    assert bundled(tmp_path / "one.pt") == []
    assert unpack(path, "logs/a/model.pth", tmp_path).read_bytes() == buffer.getvalue()
    assert unpack(path, "../b.pth", tmp_path) == tmp_path / "b.pth"
    with pytest.raises(DownloadError, match=r"no c\.pth in it"):
        unpack(path, "c.pth", tmp_path)
    with pytest.raises(DownloadError, match="No such file"):
        unpack(tmp_path / "none.zip", "c.pth", tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DownloadError, match="no file"):
        unpack(tmp_path / "pipe", "c.pth", tmp_path)


def test_a_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.pth", bytes(10_000_000))
    with pytest.raises(DownloadError, match="unpacks to 10000000 bytes"):
        unpack(path, "model.pth", tmp_path)
    assert names(tmp_path) == ["all.zip"]


def test_a_damaged_archive(tmp_path):
    path = tmp_path / "all.zip"
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr("model.pth", os.urandom(1000) * 100)
        whole = path.read_bytes()
        path.write_bytes(whole[:60] + b"\xff" * 400 + whole[460:])
        with pytest.raises(DownloadError):
            unpack(path, "model.pth", tmp_path)
        end = whole.rindex(b"PK\x05\x06")
        path.write_bytes(whole[:end] + whole[end : end + 12] + b"\xff" * 8 + whole[end + 20 :])
        with pytest.raises(DownloadError):
            bundled(path)
