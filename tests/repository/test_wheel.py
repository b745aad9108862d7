"""The built wheel carries all that a running service needs, and nothing else."""

import zipfile
from pathlib import Path

from tests.repository.files import repository_files

SHIPPED = ("service", "models", "geometry", "kernels")


def test_wheel_is_for_every_platform(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")


def test_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    wanted = {path.as_posix() for path in repository_files() if path.parts[0] in SHIPPED}
    documents = {name for name in wanted if name.endswith(".md") and "/weights/" not in name}
    assert wanted - documents <= packed


def test_wheel_holds_nothing_else(wheel: Path) -> None:
    packed = zipfile.ZipFile(wheel).namelist()
    strangers = [
        name for name in packed if name.split("/")[0] not in SHIPPED and ".dist-info/" not in name
    ]
    assert strangers == []


def test_wheel_states_licence_and_command(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    texts = {name.split("/", 1)[1]: name for name in archive.namelist() if ".dist-info/" in name}
    assert {"licenses/LICENSE", "licenses/NOTICE"} <= texts.keys()
    assert b"bozzetto = service.cli:main" in archive.read(texts["entry_points.txt"])
