"""The files of this repository, as a fresh clone would hold them."""

import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("service", "models", "geometry", "kernels", "training", "benchmarks", "tests")


@cache
def repository_files() -> tuple[Path, ...]:
    """All files that are committed or would be, relative to the root; build outputs are not."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: there is no list of the repository's files")
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    names = sorted(set(listing.split("\0")) - {""})
    return tuple(Path(name) for name in names if (ROOT / name).is_file())


def python_files() -> tuple[Path, ...]:
    return tuple(path for path in repository_files() if path.suffix == ".py")
