"""How scripts get to the server, and that Lua and Python mean the same keys."""

import re
from importlib.resources import files
from typing import get_args

import pytest

from service.queue.contract import QueueUnreachableError
from service.queue.keys import GROUP, PRIORITIES, Keys, idempotency_name
from service.queue.redis_queue import RedisJobQueue
from service.queue.redis_worker import RedisWorkerQueue
from service.queue.scripts import Name, load
from service.settings import QueueSettings
from tests.service.queue.kit import MESH, submit

LUA = files("service.queue") / "lua"


def test_every_lua_file_has_its_name() -> None:
    names = {path.name.removesuffix(".lua") for path in LUA.iterdir()} - {"_common"}
    assert names == set(get_args(Name))


def test_lua_takes_exactly_the_keys_that_python_gives() -> None:
    used = [int(number) for number in re.findall(r"KEYS\[(\d+)\]", load("submit").text)]
    assert sorted(used) == list(range(1, len(Keys("p").vector) + 1))
    assert f"local GROUP = '{GROUP}'" in load("submit").text
    quoted = ", ".join(f"'{priority}'" for priority in PRIORITIES)
    assert f"local PRIORITIES = {{{quoted}}}" in load("submit").text


def test_keys_of_one_prefix_are_all_different() -> None:
    vector = Keys("p").vector
    assert len(set(vector)) == len(vector)
    assert all(key.startswith("p:") for key in vector)


def test_idempotency_names_do_not_collide_by_shifting() -> None:
    names = {idempotency_name(*pair) for pair in [("a", "b:c"), ("a:b", "c"), ("a", "bc")]}
    assert len(names) == 3


async def test_a_server_that_forgot_the_scripts(
    queue: RedisJobQueue, worker: RedisWorkerQueue, raw
) -> None:
    raw.script_flush()
    job_id = await submit(queue)
    raw.script_flush()
    [lease] = worker.claim("w", {"draft": 1}, block_ms=0)
    raw.script_flush()
    worker.finish(lease, [MESH], {})
    raw.script_flush()
    assert (await queue.stats()).running == 0
    assert (await queue.get(job_id)).final


async def test_a_read_only_replica_is_no_queue(
    queue: RedisJobQueue, worker: RedisWorkerQueue, raw
) -> None:
    raw.replicaof("127.0.0.1", 1)
    try:
        with pytest.raises(QueueUnreachableError):
            await submit(queue)
        with pytest.raises(QueueUnreachableError):
            worker.reap()
    finally:
        raw.replicaof("NO", "ONE")


async def test_no_server_at_all(tmp_path) -> None:
    url = f"unix://{tmp_path}/none.sock"
    queue = RedisJobQueue.from_url(url, QueueSettings())
    worker = RedisWorkerQueue.from_url(url, QueueSettings())
    for call in (queue.get("a"), queue.stats(), queue.place("a"), submit(queue)):
        with pytest.raises(QueueUnreachableError):
            await call
    with pytest.raises(QueueUnreachableError):
        await anext(queue.events("a"))
    with pytest.raises(QueueUnreachableError):
        worker.reap()
    assert worker.claim("w", {"draft": 1}, block_ms=10) == []
    await queue.close()
    worker.close()


def test_a_url_of_no_known_kind_is_refused_at_once() -> None:
    for kind in (RedisJobQueue, RedisWorkerQueue):
        with pytest.raises(ValueError, match="scheme"):
            kind.from_url("http://example.org", QueueSettings())
