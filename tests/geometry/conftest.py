import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

GLTF = Path(__file__).resolve().parents[1] / "gltf"

ValidateMany = Callable[[Sequence[bytes]], None]
Validate = Callable[[bytes], None]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def node() -> str:
    """Node's path, where the validator is installed. In CI its absence is a failure."""
    found = shutil.which("node")
    if found is None:
        missing = "node is not installed"
    elif not (GLTF / "node_modules" / "gltf-validator").is_dir():
        missing = "the glTF validator is not installed: run make tests/gltf/node_modules"
    else:
        return found
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


@pytest.fixture
def validate_glbs(node: str, tmp_path: Path) -> ValidateMany:
    """Fails unless the Khronos validator finds no error and no warning in each GLB."""

    def validate(files: Sequence[bytes]) -> None:
        paths = [tmp_path / f"{number}.glb" for number in range(len(files))]
        for path, data in zip(paths, files, strict=True):
            path.write_bytes(data)
        done = subprocess.run(
            [node, GLTF / "validate.mjs", *paths], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        reports = json.loads(done.stdout)
        assert len(reports) == len(files)
        bad = [report for report in reports if report["errors"] or report["warnings"]]
        assert not bad, json.dumps(bad, indent=1)

    return validate


@pytest.fixture
def validate_glb(validate_glbs: ValidateMany) -> Validate:
    return lambda data: validate_glbs([data])
