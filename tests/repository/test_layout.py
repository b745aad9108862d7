"""Rules on the tree itself: size, packages, addresses and imports that have no place here."""

import ast
import re
from pathlib import Path

import pytest

from tests.repository.files import PACKAGES, ROOT, python_files, repository_files

MAX_LINES = 500
MAX_FILE_BYTES = 16 * 1024 * 1024
MAX_WEIGHTS_BYTES = 120_000_000
WRITTEN_BY_HAND = {
    ".py",
    ".md",
    ".sh",
    ".lua",
    ".js",
    ".mjs",
    ".ts",
    ".css",
    ".html",
    ".toml",
    ".yml",
}
TEXT = WRITTEN_BY_HAND | {"", ".in", ".txt", ".json", ".yaml", ".csv", ".example"}
BUILT = Path("service/gateway/static")  # from web/, by `make web`
GENERATED = Path("clients/javascript/src/schema.ts")  # from the OpenAPI document
CLIENT = Path("clients/python/src/bozzetto_client/__init__.py")  # its names are what users import
MACHINE_PATH = re.compile(r"(?<![\w.:}-])/(?:work|root|home|tmp)/")
# Reads authors' checkpoints in a child process, with an unpickler that knows no name but its own.
RESTRICTED_READER = Path("models/unpickle.py")
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "joblib"}


def _text(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def _unsafe_reads(source: str) -> list[str]:
    """Imports of modules that run code while they read data, and loads without `weights_only`."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [node.module or "", *(f"{node.module}.{each.name}" for each in node.names)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            found += [] if keywords.get("weights_only") == "True" else ["torch.load"]
    return [name for name in found if name.split(".")[0] in UNSAFE_MODULES or name == "torch.load"]


def test_every_folder_with_python_is_a_package() -> None:
    folders = {path.parent for path in python_files() if path.parts[0] in PACKAGES}
    folders |= {parent for folder in folders for parent in folder.parents} - {Path()}
    missing = [str(folder) for folder in folders if not (ROOT / folder / "__init__.py").is_file()]
    assert not missing, "pytest would import these under a wrong name"


def test_package_files_are_empty() -> None:
    filled = [
        str(path)
        for path in python_files()
        if path.name == "__init__.py"
        and (ROOT / path).stat().st_size
        and not (path.parts[0] == "kernels" and len(path.parts) == 3)
        and path != CLIENT
    ]
    assert not filled, "only the contract of a kernel lives in an __init__.py"


def test_no_file_is_too_long() -> None:
    lengths = {
        str(path): _text(path).count("\n")
        for path in repository_files()
        if path.suffix in WRITTEN_BY_HAND and not path.is_relative_to(BUILT) and path != GENERATED
    }
    assert lengths
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


def test_no_file_is_too_large() -> None:
    sizes = {str(path): (ROOT / path).stat().st_size for path in repository_files()}
    assert {name: size for name, size in sizes.items() if size > MAX_FILE_BYTES} == {}


def test_weights_stay_small_enough_to_clone() -> None:
    weights = [path for path in repository_files() if path.suffix == ".safetensors"]
    assert sum((ROOT / path).stat().st_size for path in weights) <= MAX_WEIGHTS_BYTES


def test_no_path_of_one_machine() -> None:
    hits = [
        f"{path}:{number}: {line.strip()}"
        for path in repository_files()
        if path.suffix in TEXT
        for number, line in enumerate(_text(path).splitlines(), start=1)
        if MACHINE_PATH.search(line)
    ]
    assert not hits


@pytest.mark.parametrize("text", ["/{}/me", '"/{}/x"', "=/{}/x", "open('/{}/x')"])
def test_machine_paths_are_recognised(text: str) -> None:
    assert MACHINE_PATH.search(text.format("home"))


@pytest.mark.parametrize("text", ["https://example.org/{}/", "{{data}}/{}/x", "./{}/x"])
def test_other_paths_are_not(text: str) -> None:
    assert not MACHINE_PATH.search(text.format("home"))


def test_nothing_unpickles() -> None:
    hits = {path: unsafe for path in python_files() if (unsafe := _unsafe_reads(_text(path)))}
    assert hits == {RESTRICTED_READER: ["pickle"]}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "from torch import load",
        "import torch\ntorch.load('w')",
        "import torch\ntorch.load('w', weights_only=False)",
    ],
)
def test_unpickling_is_recognised(source: str) -> None:
    assert _unsafe_reads(source)


@pytest.mark.parametrize(
    "source",
    [
        "from safetensors.torch import load\nload(b'')",
        "import torch\ntorch.load('w', weights_only=True)",
    ],
)
def test_safe_loads_are_let_through(source: str) -> None:
    assert not _unsafe_reads(source)


def test_what_is_served_never_calls_torch_load() -> None:
    served = ("service", "models", "geometry", "kernels")
    callers = [
        str(path)
        for path in python_files()
        if path.parts[0] in served and "torch.load(" in _text(path)
    ]
    assert not callers, "weights are safetensors"
