"""Files by key: whole or not at all, inside their root, and gone when asked."""

import errno
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.store.contract import ObjectMissingError, Store, StoreError, StoreFullError
from service.store.local import LocalStore, StoreKeyError

KEY = "0123abcd/1/mesh.glb"


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def files(store_root: Path) -> list[str]:
    return sorted(
        str(path.relative_to(store_root)) for path in store_root.rglob("*") if path.is_file()
    )


def test_it_is_a_store(store: LocalStore) -> None:
    as_contract: Store = store
    as_contract.put(KEY, b"bytes")
    assert as_contract.get(KEY) == b"bytes"
    as_contract.put(KEY, b"other")
    assert as_contract.get(KEY) == b"other"
    as_contract.put("a", b"")
    assert as_contract.get("a") == b""


def test_never_is_written_at_once_and_not_flushed(store, monkeypatch) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    store.put(KEY, b"bytes", flush="never")
    assert store.get(KEY) == b"bytes"
    store._flusher.shutdown(wait=True)
    assert flushed == []


def test_soon_is_written_at_once_and_flushed_without_waiting(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = threading.get_ident()
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda _: flushed.append(threading.get_ident()))
    store.put(KEY, b"bytes", flush="soon")
    assert store.get(KEY) == b"bytes"
    store._flusher.shutdown(wait=True)
    assert len(flushed) == 2  # the file and its folder
    assert caller not in flushed


def test_ranges(store: LocalStore) -> None:
    store.put(KEY, b"0123456789")
    assert store.read_range(KEY, 2, 3) == b"234"
    assert store.read_range(KEY, 8, 100) == b"89"
    assert store.read_range(KEY, 10, 1) == b""


@pytest.mark.parametrize("key", ["no/such/key", "0123abcd", "0123abcd/1", f"{KEY}/inside"])
def test_what_is_not_there(store: LocalStore, key: str) -> None:
    store.put(KEY, b"x")
    with pytest.raises(ObjectMissingError):
        store.get(key)
    with pytest.raises(ObjectMissingError):
        store.read_range(key, 0, 1)


BAD_KEYS = [
    "", "/", "/etc/passwd", "a//b", "../a", "a/../b", "a/..", ".", "./a", ".hidden",
    "a/.scratch-1", "a b", "a\\b", "a\0b", "a\nb", "ä", "c:/x", "a/" + "b" * 201, "a/" * 300 + "a",
]  # fmt: skip


@pytest.mark.parametrize("key", BAD_KEYS)
def test_keys_that_are_none(store: LocalStore, tmp_path: Path, key: str) -> None:
    for call in (
        lambda: store.put(key, b"x"),
        lambda: store.get(key),
        lambda: store.read_range(key, 0, 1),
        lambda: store.delete_prefix(key),
    ):
        with pytest.raises(StoreKeyError):
            call()
    assert not files(tmp_path)


@given(key=st.text(max_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_key_leads_out_of_the_root(tmp_path: Path, key: str) -> None:
    root = tmp_path / "inner" / "base"
    store = LocalStore(root)
    try:
        store.put(key, b"x")
    except StoreError:
        pass
    else:
        assert store.get(key) == b"x"
        store.delete_prefix(key)
    assert not [path for path in files(tmp_path) if not path.startswith("inner/base/")]


def test_only_a_prefix_may_end_in_a_slash(store: LocalStore) -> None:
    with pytest.raises(StoreKeyError):
        store.put("a/", b"x")


def test_prefixes_are_whole_parts(store: LocalStore, tmp_path: Path) -> None:
    for key in ("job/1/a", "job/1/b/c", "job/10/a", "job2/1/a"):
        store.put(key, b"x")
    store.delete_prefix("job/1")
    assert files(tmp_path / "store") == ["job/10/a", "job2/1/a"]
    store.delete_prefix("job/")
    assert files(tmp_path / "store") == ["job2/1/a"]
    store.delete_prefix("job2/1/a")
    assert list((tmp_path / "store").iterdir()) == [], "no empty folders stay behind"
    store.delete_prefix("never/was")


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("before", [None, b"earlier"])
def test_a_full_disk_leaves_nothing_half_written(
    store: LocalStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    reason: int,
    before: bytes | None,
) -> None:
    if before is not None:
        store.put(KEY, before)
    left = files(tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreFullError):
        store.put(KEY, b"x" * 1000)
    assert files(tmp_path) == left
    if before is None:
        assert not list((tmp_path / "store").iterdir())
    else:
        assert store.get(KEY) == before


def test_other_trouble_is_no_full_disk(store: LocalStore, tmp_path: Path) -> None:
    store.put("a/b", b"x")
    with pytest.raises(StoreError) as error:
        store.put("a/b/c", b"x")
    assert not isinstance(error.value, StoreFullError)
    assert files(tmp_path) == ["store/a/b"]


def test_readers_see_the_old_or_the_new_and_never_a_part(store: LocalStore) -> None:
    values = [bytes([number]) * 200_000 for number in range(4)]
    store.put(KEY, values[0])

    def write(number: int) -> None:
        for _ in range(10):
            store.put(KEY, values[number])

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write, number) for number in range(4)]
        while not all(writer.done() for writer in writers):
            assert store.get(KEY) in values
        for writer in writers:
            writer.result()


def test_writing_while_the_folder_is_being_removed(store: LocalStore) -> None:
    def write_and_delete(number: int) -> None:
        for _ in range(100):
            store.put(f"job/{number}", b"x")
            store.delete_prefix(f"job/{number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write_and_delete, range(4)))


def test_sweep_takes_what_is_old(store: LocalStore, tmp_path: Path) -> None:
    root = tmp_path / "store"
    assert store.sweep(0) == 0
    for key in ("old/1/a", "old/input/0", "half-old/1/a", "half-old/2/a", "young/1/a"):
        store.put(key, b"x")
    (root / "young" / ".scratch-1").write_bytes(b"left by a crash")
    (root / ".scratch-2").mkdir()
    past = time.time() - 1_000
    for name in ("old", "half-old/1", "young/.scratch-1", ".scratch-2"):
        for path in (root / name, *(root / name).rglob("*")):
            os.utime(path, (past, past))
    assert store.sweep(500) == 3
    assert files(root) == ["half-old/1/a", "half-old/2/a", "young/1/a"]
