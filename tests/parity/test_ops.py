"""The operators against those of PVCNN: `ops` of the golden data, which has channels first."""

import pytest
import torch
from torch import Tensor

from kernels.ball_query import ball_query
from kernels.chamfer import NearestPairs, chamfer_distance, f_score, nearest_pairs
from kernels.devoxelize import corners, devoxelize
from kernels.emd import emd
from kernels.farthest_point_sampling import farthest_point_sampling
from kernels.group import group
from kernels.three_nn_interpolate import three_nn, three_nn_interpolate
from kernels.voxelize import average_voxelize, voxel_coordinates
from tests.parity.golden import PARITY_DIR, assert_close, golden


def cases(op: str) -> list[str]:
    """Of an operator, as the files have them; without files one, whose test is skipped."""
    if not (PARITY_DIR / "ops").is_dir():
        return ["absent"]
    return sorted(
        {name.split(".")[1] for name in golden("ops").outputs if name.startswith(f"{op}.")}
    )


class Case:
    """One operator's inputs and outputs by their last name; clouds with channels last."""

    def __init__(self, op: str, name: str) -> None:
        start = f"{op}.{name}."
        self.given = {k.removeprefix(start): v for k, v in inputs().items() if k.startswith(start)}
        outputs = golden("ops").outputs.items()
        self.expected = {k.removeprefix(start): v for k, v in outputs if k.startswith(start)}

    def __getitem__(self, name: str) -> Tensor:
        return self.given[name].transpose(1, 2).contiguous()

    def number(self, name: str) -> float:
        return self.given[name].item()

    def matches(self, name: str, actual: Tensor, rtol: float = 1e-5, atol: float = 1e-6) -> None:
        """`actual` is the expected output `name`; whole numbers exactly."""
        expected = self.expected.pop(name)
        if expected.dtype == torch.int32:
            torch.testing.assert_close(actual.int(), expected)
        else:
            assert_close(actual, expected, rtol, atol)

    def done(self) -> None:
        """All outputs have been compared."""
        assert not self.expected, f"not compared: {', '.join(self.expected)}"


def inputs() -> dict[str, Tensor]:
    return golden("ops").inputs


def first(x: Tensor) -> Tensor:
    return x.transpose(1, 2)


def each(op: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", cases(op))


def test_no_operator_is_left_out():
    tested = {
        "avg_voxelize", "ball_query", "chamfer", "emd", "fscore", "furthest_point_sampling",
        "grouping", "three_nn_interpolate", "trilinear_devoxelize", "voxelization",
    }  # fmt: skip
    assert {name.split(".")[0] for name in golden("ops").outputs} == tested


@each("avg_voxelize")
def test_average_voxelize(name):
    case = Case("avg_voxelize", name)
    R = int(case.number("resolution"))
    x, y, z = case["coords"].long().unbind(dim=-1)
    cell = (x * R + y) * R + z
    case.matches("flat_index", cell)
    found = average_voxelize(case["features"], cell, R)
    case.matches("out", found.mean)
    case.matches("count", found.counts)
    case.done()


@each("voxelization")
def test_voxel_coordinates(name):
    case = Case("voxelization", name)
    R, eps = int(case.number("resolution")), case.number("eps")
    normalize, points = bool(case.number("normalize")), case["coords"]
    if case.expected["norm_coords"].isnan().any():  # a cloud without extent: theirs has no answer
        with pytest.raises(ValueError, match="no extent"):
            voxel_coordinates(points, R, normalize, eps)
        return
    found = voxel_coordinates(points, R, normalize, eps)
    case.matches("norm_coords", first(found.coords))
    cell = found.cell[:, None]
    case.matches("vox_coords", torch.cat([cell // R**2, cell // R % R, cell % R], dim=1))
    case.done()


@each("trilinear_devoxelize")
def test_devoxelize(name):
    case = Case("trilinear_devoxelize", name)
    R, coords = int(case.number("resolution")), case["coords"]
    case.matches("out", first(devoxelize(case.given["features"], coords)))
    index, weight = corners(coords, R)
    case.matches("corner_index", first(index))
    case.matches("corner_weight", first(weight))
    case.done()


@each("furthest_point_sampling")
def test_farthest_point_sampling(name):
    case = Case("furthest_point_sampling", name)
    points = case["coords"]
    picked = farthest_point_sampling(points, int(case.number("num_samples")), ties="pvcnn")
    case.matches("indices", picked)
    case.matches("centers", first(group(points, picked[:, None])[:, 0]), rtol=0, atol=0)
    case.done()


@each("ball_query")
def test_ball_query(name):
    case = Case("ball_query", name)
    neighbors = int(case.number("num_neighbors"))
    found = ball_query(case["centers"], case["points"], case.number("radius"), neighbors)
    case.matches("indices", found.index)
    case.done()


@each("grouping")
def test_group(name):
    case = Case("grouping", name)
    found = group(case["features"], case.given["indices"].long())
    case.matches("out", found.permute(0, 3, 1, 2), rtol=0, atol=0)
    case.done()


@each("three_nn_interpolate")
def test_three_nn_interpolate(name):
    case = Case("three_nn_interpolate", name)
    points, centers = case["points"], case["centers"]
    nearest = three_nn(points, centers)
    case.matches("indices", first(nearest.center_index))
    case.matches("weights", first(nearest.weights))
    found = three_nn_interpolate(points, centers, case["features"])
    # More is allowed where a distance is 0: weights are then products of very large and small ones.
    rounded = name.startswith(("coincident", "duplicate"))
    close = {"rtol": 1e-4, "atol": 1e-5} if rounded else {}
    case.matches("out", first(found), **close)
    case.done()


def pairs(case: Case) -> NearestPairs:
    return nearest_pairs(case.given["x"], case.given["y"])


@each("chamfer")
def test_chamfer(name):
    case = Case("chamfer", name)
    found = pairs(case)
    case.matches("sqdist_x_to_y", found.x_sq_dist)
    case.matches("sqdist_y_to_x", found.y_sq_dist)
    case.matches("cd_sum_of_mean_sq", chamfer_distance(found))
    case.matches("cd_half_sum_of_mean_l2", chamfer_distance(found, squared=False) / 2)
    case.done()


@each("emd")
def test_emd(name):
    case = Case("emd", name)
    case.given |= Case("chamfer", name).given  # the same clouds
    x, y = case.given["x"], case.given["y"]
    case.matches("mean_l2", emd(x, y).distance)
    case.matches("mean_sq_optimal_for_sq", emd(x, y, p=2).distance)
    case.done()


@each("fscore")
def test_f_score(name):
    case = Case("fscore", name)
    case.given |= Case("chamfer", name).given
    found = pairs(case)
    x_to_y, y_to_x = found.x_sq_dist.sqrt(), found.y_sq_dist.sqrt()
    for start in {key.rsplit(".", 1)[0] for key in case.expected}:
        number, kind = start.removeprefix("t").split("_on_")
        threshold = float(number) ** 0.5 if kind == "squared" else float(number)
        case.matches(f"{start}.f", f_score(found, [threshold])[:, 0])
        for share, distance in (("precision_x", x_to_y), ("recall_y", y_to_x)):
            near = (distance < threshold).double().mean(dim=1)
            case.matches(f"{start}.{share}", near)
    case.done()
