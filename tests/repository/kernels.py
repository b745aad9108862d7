"""The operators of `kernels/`, as the tree has them."""

from pathlib import Path

from tests.repository.files import ROOT

# Made of library calls alone: a kernel of ours would not win.
PLAIN = frozenset({"emd", "spectral_poisson", "trilinear_sample"})


def operators() -> list[str]:
    return sorted(path.parent.name for path in (ROOT / "kernels").glob("*/__init__.py"))


def with_kernel() -> list[str]:
    return [op for op in operators() if op not in PLAIN]


def files_of(op: str) -> dict[str, Path]:
    """What an operator consists of, by its role."""
    folder = ROOT / "kernels" / op
    files = {
        "contract": folder / "__init__.py",
        "reference": folder / "reference.py",
        "test": ROOT / "tests" / "kernels" / f"test_{op}.py",
        "benchmark": ROOT / "benchmarks" / "kernels" / f"{op}.py",
    }
    if op not in PLAIN:
        files["kernel"] = folder / "kernel.py"
        files["specimens"] = ROOT / "tests" / "kernels" / "specimens" / f"{op}.py"
    return files
