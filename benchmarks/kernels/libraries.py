"""Libraries that are timed where they are installed, as `make bench` sees to."""

from collections.abc import Mapping
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from torch import Tensor

from benchmarks.kernels.cases import Call

_PACKAGES = {"faiss": "faiss-cpu", "pykdtree": "pykdtree"}


def versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES.values():
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def neighbor_searches(query: Tensor, points: Tensor, k: int, brute: bool) -> Mapping[str, Call]:
    """The k nearest of `points` [B, N, 3] to each of `query` [B, M, 3] on the CPU, by library.

    Args:
        brute: also those that measure every distance.
    """
    calls: dict[str, Call] = {}
    if query.device.type != "cpu":
        return calls
    if find_spec("pykdtree"):
        calls["pykdtree"] = partial(_pykdtree, query, points, k)
    if find_spec("faiss") and brute:
        calls["faiss"] = partial(_faiss, query, points, k)
    return calls


def _pykdtree(query: Tensor, points: Tensor, k: int) -> object:
    tree = import_module("pykdtree.kdtree").KDTree
    pairs = zip(query.numpy(), points.numpy(), strict=True)
    return [tree(cloud).query(asked, k=k) for asked, cloud in pairs]


def _faiss(query: Tensor, points: Tensor, k: int) -> object:
    faiss = import_module("faiss")
    pairs = zip(query.numpy(), points.numpy(), strict=True)
    return [faiss.knn(asked, cloud, k) for asked, cloud in pairs]
