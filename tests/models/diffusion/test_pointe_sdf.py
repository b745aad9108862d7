import numpy as np
import pytest
import torch
from torch import Tensor

from geometry.fragments import six_volumes
from geometry.point_cloud import PointCloud
from models.diffusion.pointe_sdf import SdfConfig, SdfNet, mesh_by_distance
from training.systems.pointe_sdf import (
    SdfObjective,
    SdfTraining,
    drawn_queries,
    signed_distance,
)

TINY = SdfConfig(32, 1, 1, 2, 256)
RADIUS = 0.4


class Ball(SdfNet):
    """Knows the distance to a ball, and how far off it says that it is."""

    def __init__(self, shift: float = 0.0) -> None:
        super().__init__(TINY)
        self.shift = shift
        self.seen = 0

    def encode(self, points: Tensor) -> Tensor:
        self.seen = points.shape[1]
        return points

    def forward(self, queries: Tensor, encoded: Tensor) -> Tensor:
        distance: Tensor = queries.norm(dim=-1) - RADIUS + self.shift
        return distance


def ball(count: int, seed: int = 0) -> PointCloud:
    rng = np.random.default_rng(seed)
    normals = rng.normal(size=(count, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    colors = np.where(normals[:, :1] > 0, [[255, 0, 0]], [[0, 0, 255]]).astype(np.uint8)
    points = (RADIUS * normals).astype(np.float32)
    return PointCloud(points, colors, normals.astype(np.float32))


def test_the_surface_is_where_the_distance_is_zero():
    mesh = mesh_by_distance(Ball(), ball(2000))
    assert mesh is not None
    np.testing.assert_allclose(np.linalg.norm(mesh.vertices, axis=1), RADIUS, atol=1e-3)
    volume = six_volumes(mesh.vertices.astype(np.float64), mesh.faces).sum() / 6
    assert volume == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=0.01)  # outwards
    assert mesh.normals is not None
    away = (mesh.normals * mesh.vertices).sum(axis=1) / RADIUS
    assert away.min() > 0.95


def test_vertices_take_the_nearest_points_colours():
    mesh = mesh_by_distance(Ball(), ball(2000))
    assert mesh is not None
    assert mesh.colors is not None
    right = mesh.vertices[:, 0] > 0.1
    assert (mesh.colors[right] == [255, 0, 0]).all()
    left = mesh.vertices[:, 0] < -0.1
    assert (mesh.colors[left] == [0, 0, 255]).all()


def test_no_more_points_are_shown_than_it_was_made_for():
    net = Ball()
    mesh_by_distance(net, ball(2000), resolution=16)
    assert net.seen == TINY.points


def test_nothing_inside_is_no_mesh():
    assert mesh_by_distance(Ball(shift=1.0), ball(500), resolution=16) is None
    assert mesh_by_distance(Ball(shift=float("nan")), ball(500), resolution=16) is None
    lone = PointCloud(np.zeros((300, 3), np.float32))
    assert mesh_by_distance(Ball(), lone) is None


def test_everything_inside_is_closed_at_the_box():
    mesh = mesh_by_distance(Ball(shift=-9.0), ball(500), resolution=16)
    assert mesh is not None
    assert six_volumes(mesh.vertices.astype(np.float64), mesh.faces).sum() > 0


def test_the_distance_of_a_query_by_hand():
    points = torch.tensor([[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]])
    normals = torch.tensor([[[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]])
    queries = torch.tensor([[[0.0, 0.3, 0.0], [0.1, -0.2, 0.0], [1.0, 0.0, -0.5]]])
    found = signed_distance(queries, points, normals)
    expected = torch.tensor([[0.3, -(0.05**0.5), -0.5]])
    torch.testing.assert_close(found, expected)


def test_queries_are_near_the_surface_and_some_anywhere():
    torch.manual_seed(0)
    points = torch.from_numpy(ball(1000).positions)[None].expand(2, -1, -1)
    queries = drawn_queries(points, 800)
    off = (queries.norm(dim=-1) - RADIUS).abs()
    assert queries.shape == (2, 800, 3)
    assert (off < 0.02).float().mean() > 0.4
    assert (off > 0.2).float().mean() > 0.02
    assert queries.abs().max() < 0.75


def test_a_network_learns_a_ball():
    torch.manual_seed(0)
    config = SdfTraining(n_points=400, shown=64, queries=128, noise=0)
    objective = SdfObjective(config, SdfConfig(32, 1, 1, 2, 64))
    cloud = ball(4 * 400)
    assert cloud.normals is not None
    batch = {
        "points": torch.from_numpy(cloud.positions).view(4, 400, 3),
        "normals": torch.from_numpy(cloud.normals).view(4, 400, 3),
    }
    optimizer = torch.optim.Adam(objective.net.parameters(), lr=3e-3)
    losses = []
    for _ in range(100):
        loss, parts = objective.loss(batch)
        losses.append(parts["loss"])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    assert np.mean(losses[-10:]) < 0.5 * losses[0]
    mesh = mesh_by_distance(objective.net.eval(), ball(64), resolution=16)
    assert mesh is not None
    radii = np.linalg.norm(mesh.vertices, axis=1)
    assert np.abs(radii - RADIUS).mean() < 0.05
