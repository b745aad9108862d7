"""Running what a page or a notebook shows, as a reader would paste it."""

import ast
import json
from pathlib import Path
from typing import Any

from tests.docs.markdown import blocks

ADDRESS = "http://127.0.0.1:8000"


def run(code: str, names: dict[str, Any], url: str) -> Any:
    """Run a cell with its server replaced; the value of its last line, as a notebook shows it."""
    tree = ast.parse(code.replace(ADDRESS, url))
    last = tree.body[-1]
    if isinstance(last, ast.Expr):
        tree.body.pop()
    exec(compile(tree, "cell", "exec"), names)  # noqa: S102 our own pages
    if isinstance(last, ast.Expr):
        return eval(compile(ast.Expression(last.value), "cell", "eval"), names)  # noqa: S307
    return None


def notebook_cells(path: Path) -> list[str]:
    cells = json.loads(path.read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def python_blocks(path: Path) -> list[str]:
    found = blocks(path.read_text())
    return [block.code for block in found if block.language == "python" and block.run]
