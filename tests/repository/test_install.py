"""Empty environments, the locks and the wheel: what a user and the images get."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repository.files import ROOT

pytestmark = pytest.mark.slow

INSTALL_S = 900


class Environment:
    """A virtual environment whose programs see no file of this checkout."""

    def __init__(self, folder: Path) -> None:
        self._bin = folder / "venv" / "bin"
        self._folder = folder
        subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)

    @property
    def python(self) -> str:
        return str(self._bin / "python")

    def run(self, program: str, *arguments: str) -> str:
        """Standard output of a program of the environment; a failure fails the test."""
        hidden = ("PYTHON", "VIRTUAL_ENV", "BOZZETTO_")
        clean = {key: value for key, value in os.environ.items() if not key.startswith(hidden)}
        done = subprocess.run(
            [str(self._bin / program), *arguments],
            cwd=self._folder,
            env=clean,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def install(self, *arguments: str) -> None:
        self.run("python", "-m", "pip", "install", "--quiet", "--no-deps", *arguments)

    def install_lock(self, name: str) -> None:
        lock = ROOT / "requirements" / name
        self.install("--require-hashes", "--only-binary", ":all:", "-r", str(lock))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Environment:
    environment = Environment(tmp_path_factory.mktemp("whole"))
    subprocess.run(
        [ROOT / "scripts/install_torch.sh", environment.python, "cpu"],
        check=True,
        timeout=INSTALL_S,
    )
    environment.install_lock("lock.txt")
    environment.install(str(wheel))
    return environment


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Environment:
    environment = Environment(tmp_path_factory.mktemp("gateway"))
    environment.install_lock("lock-gateway.txt")
    environment.install(str(wheel))
    return environment


def test_nothing_is_missing_or_at_odds(whole: Environment) -> None:
    whole.run("python", "-m", "pip", "check")


def test_the_cpu_route_brings_no_cuda(whole: Environment) -> None:
    names = whole.run("python", "-m", "pip", "list", "--format=freeze").lower()
    assert "torch==" in names
    assert not [line for line in names.split() if line.startswith(("nvidia-", "cuda-", "triton"))]


def test_a_picture_becomes_a_file(whole: Environment, tmp_path: Path) -> None:
    picture = min((ROOT / "examples").glob("*.png"))
    for name, magic in (("out.glb", b"glTF"), ("out.ply", b"ply\n")):
        whole.run("bozzetto", "generate", str(picture), "-o", str(tmp_path / name))
        assert (tmp_path / name).read_bytes().startswith(magic)


def test_weights_are_whole(whole: Environment) -> None:
    whole.run("bozzetto", "models", "verify")


def test_the_gateway_lives_without_torch(gateway: Environment) -> None:
    gateway.run("bozzetto", "--version")
    gateway.run("bozzetto", "gateway", "--help")
    code = (
        "import importlib.util, service.gateway.app;"
        "assert importlib.util.find_spec('torch') is None"
    )
    gateway.run("python", "-c", code)
