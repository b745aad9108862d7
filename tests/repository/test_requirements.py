"""The locks hold what pyproject.toml asks for, and nothing that ties them to one machine."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.repository.files import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS = sorted((ROOT / "requirements").glob("lock*.txt"))
WITH_TRITON = {"lock-dev", "lock-triton-3.6"}
TORCH = Requirement((ROOT / "requirements/torch.txt").read_text().strip())
# The two ends of what the locks promise; markers tell them apart.
INTERPRETERS = ({"python_version": "3.11", "python_full_version": "3.11.7"},
                {"python_version": "3.13", "python_full_version": "3.13.1"})  # fmt: skip


def _locked(path: Path) -> list[tuple[str, Version, Marker | None]]:
    lines = [line for line in path.read_text().splitlines() if re.match(r"[a-z0-9]", line)]
    pins = [Requirement(line.removesuffix("\\").strip()) for line in lines]
    return [
        (canonicalize_name(pin.name), Version(next(iter(pin.specifier)).version), pin.marker)
        for pin in pins
    ]


def _unmet(requirements: list[str], lock: Path, interpreter: dict[str, str]) -> list[str]:
    versions = {
        name: version
        for name, version, marker in _locked(lock)
        if marker is None or marker.evaluate(interpreter)
    }
    versions["torch"] = Version(next(iter(TORCH.specifier)).version)
    unmet = []
    for text in requirements:
        wanted = Requirement(text)
        if wanted.marker and not wanted.marker.evaluate(interpreter):
            continue
        version = versions.get(canonicalize_name(wanted.name))
        if version is None or version not in wanted.specifier:
            unmet.append(text)
    return unmet


@pytest.mark.parametrize("interpreter", INTERPRETERS, ids=lambda each: each["python_version"])
def test_locks_meet_the_project(interpreter: dict[str, str]) -> None:
    runtime = PROJECT["dependencies"]
    dev = runtime + PROJECT["optional-dependencies"]["dev"]
    assert _unmet(runtime, ROOT / "requirements/lock.txt", interpreter) == [], "run `make lock`"
    assert _unmet(dev, ROOT / "requirements/lock-dev.txt", interpreter) == [], "run `make lock`"


def test_a_missing_package_would_be_seen() -> None:
    lock = ROOT / "requirements/lock.txt"
    assert _unmet(["numpy>=99", "no-such-package"], lock, INTERPRETERS[0]) == [
        "numpy>=99",
        "no-such-package",
    ]


def test_the_gateway_needs_a_subset_without_torch() -> None:
    runtime = _locked(ROOT / "requirements/lock.txt")
    gateway = _locked(ROOT / "requirements/lock-gateway.txt")
    assert {name for name, _, _ in gateway} < {name for name, _, _ in runtime}
    assert {(name, version) for name, version, _ in gateway} <= {
        (name, version) for name, version, _ in runtime
    }


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_locks_are_portable(lock: Path) -> None:
    names = {name for name, _, _ in _locked(lock)}
    assert names
    unwanted = {name for name in names if name.startswith(("nvidia-", "cuda-", "triton", "torch"))}
    # Its compiler is all that the tests of kernels need of a CUDA stack, and what they run on.
    assert unwanted <= ({"triton"} if lock.stem in WITH_TRITON else set())
    text = lock.read_text()
    assert "://" not in text, "an index address or a direct URL"
    assert text.count("--hash=sha256:") >= len(names)


def test_node_lock_names_no_registry() -> None:
    assert '"resolved"' not in (ROOT / "tests/gltf/package-lock.json").read_text()


def test_stated_needs_of_torch_are_the_real_ones() -> None:
    """requirements/uv.toml states them by hand, for the locks to hold no CUDA package."""
    stated = tomllib.loads((ROOT / "requirements/uv.toml").read_text())["dependency-metadata"]
    real = [Requirement(each) for each in importlib.metadata.requires("torch") or []]
    unconditional = {
        (each.name, each.specifier)
        for each in real
        if not (each.marker and ("extra" in str(each.marker) or "platform" in str(each.marker)))
        and not each.name.startswith(("nvidia-", "cuda-", "triton"))
    }
    wanted = {(each.name, each.specifier) for each in map(Requirement, stated[0]["requires-dist"])}
    assert {name for name, _ in unconditional} == {name for name, _ in wanted}
    assert unconditional == wanted
