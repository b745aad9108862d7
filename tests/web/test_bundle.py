"""What is committed as built is what the sources give."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.web.conftest import missing
from tests.web.visitor import ROOT

BUILT = ROOT / "service/gateway/static"
VIEWER_BYTES, PAGE_BYTES = 250_000, 400_000  # as sent, compressed


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def npx(folder: str, *command: str) -> None:
    """A program of the packages that `folder` of this repository has installed."""
    node = shutil.which("npx")
    if node is None or not (ROOT / folder / "node_modules").is_dir():
        missing(f"the packages of {folder} are not installed: run make web")
    done = subprocess.run(
        [node, "--no-install", *command],
        cwd=ROOT / folder,
        env=os.environ | {"npm_config_update_notifier": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_bundle_is_what_the_sources_give(tmp_path):
    npx("web", "vite", "build", "--outDir", str(tmp_path), "--logLevel", "warn")
    built, committed = files(tmp_path), files(BUILT)
    assert set(built) == set(committed)
    assert [name for name in built if built[name] != committed[name]] == [], "run make web"


def test_the_clients_types_are_those_of_the_api(tmp_path):
    target = tmp_path / "schema.ts"
    document = str(ROOT / "docs/openapi.json")
    npx("clients/javascript", "openapi-typescript", document, "-o", str(target))
    committed = (ROOT / "clients/javascript/src/schema.ts").read_text("utf-8")
    assert target.read_text("utf-8") == committed, "run make web"


@pytest.mark.parametrize("folder", ["web", "clients/javascript"])
def test_units(folder):
    npx(folder, "vitest", "run")
