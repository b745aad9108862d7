"""A real service for all tests of the client, a scripted one for its faults, and both clients
behind one face."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from bozzetto_client import AsyncBozzetto, Bozzetto, RetryPolicy
from tests.clients.python.scripted import ScriptedServer, scripted_server
from tests.e2e.conftest import blank, disc
from tests.e2e.processes import program

__all__ = ["blank", "disc"]

SERVE = ("-m", "tests.e2e.serve_entry", "--port")
# Read once: of a test that is all about pauses this would be the longest part.
CERTIFICATES = ssl.create_default_context()
QUICK = RetryPolicy(first_s=0.02, longest_s=0.1)

MakeClient = Callable[..., Any]


class House:
    """A running service, and the gate that holds jobs with certain seeds after their first step."""

    def __init__(self, url: str, gate: Path) -> None:
        self.url = url
        self.gate = gate

    def let_go_on(self) -> None:
        (self.gate / "open").touch()


@pytest.fixture(scope="package")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("clients")
    gate = folder / "gate"
    gate.mkdir()
    command = (*SERVE, "0", "--data-dir", str(folder / "data"))
    with program(*command, GATE_DIR=str(gate), GATE_STEPS="3") as service:
        yield House(service.wait_line("bozzetto is ready on ").split()[-1], gate)


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


class Awaited:
    """The asynchronous client, each call awaited to its end; events come as a list."""

    def __init__(self, runner: asyncio.Runner, client: AsyncBozzetto) -> None:
        self._runner = runner
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        async def call(*args: Any, **options: Any) -> Any:
            if name == "follow":
                return [event async for event in method(*args, **options)]
            return await method(*args, **options)

        return lambda *args, **options: self._runner.run(call(*args, **options))


@pytest.fixture(params=["blocking", "awaiting"])
def make_client(request: pytest.FixtureRequest) -> Iterator[MakeClient]:
    """Builds the client that the test is about; its pauses are short unless it says otherwise."""
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())

        def make(server: str, **options: Any) -> Any:
            options.setdefault("retry", QUICK)
            if request.param == "blocking":
                http = stack.enter_context(httpx.Client(verify=CERTIFICATES))
                return Bozzetto(server, http=http, **options)
            awaiting = httpx.AsyncClient(verify=CERTIFICATES)
            stack.callback(lambda: runner.run(awaiting.aclose()))
            return Awaited(runner, AsyncBozzetto(server, http=awaiting, **options))

        yield make
