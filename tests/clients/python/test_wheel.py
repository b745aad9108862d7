"""The client as others install it."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.repository.files import ROOT, repository_files

pytestmark = pytest.mark.slow

SOURCE = Path("clients/python")


def test_the_wheel_holds_the_package_and_its_types(tmp_path: Path) -> None:
    files = [path for path in repository_files() if path.is_relative_to(SOURCE)]
    for path in files:
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, target)
    command = ("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    subprocess.run(
        [sys.executable, *command, "--wheel-dir", str(tmp_path), str(tmp_path / SOURCE)], check=True
    )

    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.startswith("bozzetto_client-0.1.0-py3-none-any")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    source = SOURCE / "src"
    assert packed == {
        path.relative_to(source).as_posix() for path in files if path.is_relative_to(source)
    }
    assert "bozzetto_client/py.typed" in packed
