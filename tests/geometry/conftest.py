import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

GLTF = Path(__file__).resolve().parents[1] / "gltf"
PACKAGES = ("gltf-validator", "meshoptimizer", "three")
# What the validator may remark: faces with one vertex twice are kept as they come, and a
# picture's side need not be a power of two.
ALLOWED = {"ACCESSOR_INDEX_TRIANGLE_DEGENERATE", "IMAGE_NPOT_DIMENSIONS"}
# It does not know the compression, so the buffer that only that uses seems unused.
ALLOWED_OF_COMPRESSED = ALLOWED | {"UNSUPPORTED_EXTENSION", "UNUSED_OBJECT"}

ValidateMany = Callable[[Sequence[bytes]], None]
Validate = Callable[[bytes], None]
RunNode = Callable[..., Any]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def node() -> str:
    """Node's path, where the packages are installed. In CI its absence is a failure."""
    found = shutil.which("node")
    absent = [name for name in PACKAGES if not (GLTF / "node_modules" / name).is_dir()]
    if found is None:
        missing = "node is not installed"
    elif absent:
        missing = f"{', '.join(absent)} not installed: run make tests/gltf/node_modules/.stamp"
    else:
        return found
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


@pytest.fixture(scope="session")
def run_node(node: str) -> RunNode:
    """Runs a script of tests/gltf with arguments and standard input; gives the JSON it prints."""

    def run(script: str, *arguments: str | Path, stdin: str = "") -> Any:
        command = [node, GLTF / script, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def validate_glbs(run_node: RunNode, tmp_path: Path) -> ValidateMany:
    """Fails unless the Khronos validator finds no error, no warning and no remark but `ALLOWED`.

    Compressed files are validated as they are and decoded; see `validate.mjs`.
    """

    def validate(files: Sequence[bytes]) -> None:
        names = [str(tmp_path / f"{number}.glb") for number in range(len(files))]
        for name, data in zip(names, files, strict=True):
            Path(name).write_bytes(data)
        listed = tmp_path / "files.txt"
        listed.write_text("\n".join(names))
        reports = run_node("validate.mjs", listed)
        assert len(reports) == len(files)
        bad = []
        for report, data in zip(reports, files, strict=True):
            allowed = ALLOWED_OF_COMPRESSED if b"EXT_meshopt" in data else ALLOWED
            codes = {message["code"] for message in report["messages"]}
            if report["errors"] or report["warnings"] or codes - allowed:
                bad.append(report)
        assert not bad, json.dumps(bad, indent=1)

    return validate


@pytest.fixture
def validate_glb(validate_glbs: ValidateMany) -> Validate:
    return lambda data: validate_glbs([data])
