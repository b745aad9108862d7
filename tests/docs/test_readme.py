"""Every bash and python block of the README runs, in order, against a real `bozzetto serve`.

The blocks share one folder, in which `examples` is the repository's. The address in them is
replaced by the server's own. A block that cannot run here says why in the line above it:
`<!-- not run: reason -->`.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.docs.markdown import Block, blocks, commands, make_targets
from tests.repository.files import ROOT

ADDRESS = re.compile(r"(?:127\.0\.0\.1|localhost):8000")
README = ROOT / "README.md"
BLOCKS = blocks(README.read_text(encoding="utf-8") if README.is_file() else "")
EXAMPLES = [block for block in BLOCKS if block.run and block.language in ("bash", "python")]
START_S, RUN_S, STOP_S = 120, 120, 60
# Without this an HTTP error would pass as a success.
PRELUDE = (
    'set -euo pipefail\ncurl() { command curl --fail-with-body --silent --show-error "$@"; }\n'
)
MAGIC = {".glb": b"glTF", ".ply": b"ply\n", ".png": b"\x89PNG", ".gif": b"GIF8"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(server: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            pytest.fail(f"the server ended with {server.returncode} before it was ready")
        try:
            if httpx.get(f"{url}/readyz").is_success:
                return
        except httpx.TransportError:
            pass  # nobody listens yet
        time.sleep(0.1)
    pytest.fail(f"the server was not ready within {START_S} s")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("readme")
    (path / "examples").symlink_to(ROOT / "examples")
    return path


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Host and port of a server with a data folder of its own."""
    address = f"127.0.0.1:{_free_port()}"
    data = tmp_path_factory.mktemp("data")
    server = subprocess.Popen(
        [_command_folder() / "bozzetto", "serve", "--port", address.split(":")[1],
         "--data-dir", str(data)],
        cwd=data,
        stdout=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait_until_ready(server, f"http://{address}")
        yield address
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()
            raise
    assert server.returncode == 0


def _command_folder() -> Path:
    return Path(sys.executable).parent


def test_readme_shows_shell_and_python() -> None:
    assert {"bash", "python"} <= {block.language for block in EXAMPLES}


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^\.PHONY: (\S+)", makefile, re.MULTILINE))
    asked = {name for block in BLOCKS for name in make_targets(block.code)}
    assert "serve" in asked
    assert asked <= targets


@pytest.mark.redis
@pytest.mark.parametrize("block", EXAMPLES, ids=str)
def test_block_runs(block: Block, folder: Path, address: str) -> None:
    code = ADDRESS.sub(address, block.code)
    if block.language == "bash":
        program = ["bash", "-c", PRELUDE + commands(code)]
    else:
        program = [sys.executable, "-c", code]
    search = f"{_command_folder()}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        program,
        cwd=folder,
        env=os.environ | {"PATH": search},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.redis
def test_blocks_left_whole_files(folder: Path) -> None:
    """Runs after the blocks, on what they wrote."""
    written = [path for path in folder.iterdir() if path.suffix in MAGIC]
    assert {".glb", ".ply"} <= {path.suffix for path in written}
    for path in written:
        assert path.read_bytes().startswith(MAGIC[path.suffix]), path.name
