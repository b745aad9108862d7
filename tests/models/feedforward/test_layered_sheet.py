import numpy as np
import pytest

from models.feedforward.layered_sheet import Camera, build_sheet, sample_sheet

PARALLEL = Camera(half=0.5, inverse_distance=0.0, right=0.0, up=0.0, elevation=0.0)


def flat_box(mask: np.ndarray, thickness: float = 0.4, side: int = 16):
    """A box seen from the front: both layers flat."""
    depth = np.empty((2, side, side), np.float32)
    depth[0], depth[1] = thickness / 2, -thickness / 2
    colors = np.empty((2, side, side, 3), np.float32)
    colors[0], colors[1] = (1, 0, 0), (0, 0, 1)
    return build_sheet(depth, colors, mask, PARALLEL)


def square(side: int = 32, border: int = 8) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    mask[border:-border, border:-border] = True
    return mask


def edge_counts(faces: np.ndarray) -> np.ndarray:
    """How often each directed edge's opposite occurs."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    directed = {(int(a), int(b)) for a, b in edges}
    assert len(directed) == len(edges), "two faces share a directed edge"
    return np.array([(int(b), int(a)) in directed for a, b in edges])


def test_a_box_is_closed_and_has_its_volume():
    sheet = flat_box(square())
    assert sheet.solid.all()
    assert edge_counts(sheet.faces).all()
    a, b, c = (sheet.vertices[sheet.faces[:, k]] for k in range(3))
    volume = np.einsum("ij,ij->", a, np.cross(b, c)) / 6
    assert volume == pytest.approx(0.5 * 0.5 * 0.4, rel=1e-5)  # positive: faces look outwards


def test_a_hole_in_the_mask_is_a_hole_in_the_object():
    mask = square()
    mask[14:18, 14:18] = False
    sheet = flat_box(mask)
    assert edge_counts(sheet.faces).all()
    cloud = sample_sheet(sheet, 4000, np.random.default_rng(0))
    inside = np.abs(cloud.positions[:, :2]).max(axis=1) < 2 / 32 - 1e-4
    assert not inside.any()


def test_points_are_uniform_by_area():
    cloud = sample_sheet(flat_box(square()), 20_000, np.random.default_rng(0))
    z = cloud.positions[:, 2]
    walls = (np.abs(z) < 0.2 - 1e-4).mean()
    assert walls == pytest.approx(4 * 0.5 * 0.4 / (2 * 0.25 + 4 * 0.2), abs=0.01)


def test_front_and_back_keep_their_colours_and_normals():
    cloud = sample_sheet(flat_box(square()), 2000, np.random.default_rng(0))
    deep = np.abs(cloud.positions[:, :2]).max(axis=1) < 0.2
    front, back = deep & (cloud.positions[:, 2] > 0), deep & (cloud.positions[:, 2] < 0)
    assert cloud.colors is not None
    assert cloud.normals is not None
    assert (cloud.colors[front] == (255, 0, 0)).all()
    assert (cloud.colors[back] == (0, 0, 255)).all()
    np.testing.assert_allclose(cloud.normals[front], [[0, 0, 1]] * front.sum(), atol=1e-5)
    np.testing.assert_allclose(cloud.normals[back], [[0, 0, -1]] * back.sum(), atol=1e-5)


def test_nothing_is_put_between_a_near_and_a_far_part():
    mask = square(32, 4)
    depth = np.zeros((2, 32, 32), np.float32)
    depth[0, :, :16], depth[0, :, 16:] = 0.45, -0.4
    depth[1, :, :16], depth[1, :, 16:] = 0.40, -0.45
    colors = np.zeros((2, 32, 32, 3), np.float32)
    sheet = build_sheet(depth, colors, mask, PARALLEL)
    assert not sheet.solid.all()
    z = sample_sheet(sheet, 5000, np.random.default_rng(0)).positions[:, 2]
    centre_walls = (np.abs(z) < 0.2).mean()
    flat = np.stack([np.full((32, 32), z, np.float32) for z in (0.45, -0.45)])
    whole = build_sheet(flat, colors, mask, PARALLEL)
    reference = sample_sheet(whole, 5000, np.random.default_rng(0)).positions[:, 2]
    assert centre_walls < 0.5 * (np.abs(reference) < 0.2).mean()


def test_a_line_one_pixel_wide_survives():
    mask = np.zeros((32, 32), bool)
    mask[4:28, 16] = True
    sheet = flat_box(mask, thickness=0.02)
    cloud = sample_sheet(sheet, 500, np.random.default_rng(0))
    assert np.ptp(cloud.positions[:, 1]) == pytest.approx(24 / 32, abs=0.02)
