from dataclasses import replace

import numpy as np
import pytest
import torch

from models.catalog import DRAFT
from models.contract import PreparedImages, SamplingParams
from models.errors import NonFiniteError, WeightsError
from models.feedforward.draft import Draft, DraftConfig, DraftNet, Layers, lift, load_draft

SMALL = DraftConfig(image_size=32, channels=(8, 16, 16), width=32, layers=1, heads=2)


def small_draft() -> Draft:
    torch.manual_seed(0)
    card = replace(DRAFT, image_size=32)
    return Draft(card, DraftNet(SMALL), torch.device("cpu"))


def discs(count: int, seed: int = 0) -> PreparedImages:
    """Pictures of discs of random colour and size."""
    rng = np.random.default_rng(seed)
    ticks = np.linspace(-1, 1, 32)
    radius = np.hypot(ticks[:, None], ticks)
    rgba = np.zeros((count, 4, 32, 32), np.float32)
    rgba[:, :3] = rng.random((count, 3, 1, 1))
    rgba[:, 3] = radius < rng.uniform(0.5, 0.9, (count, 1, 1))
    return PreparedImages(torch.from_numpy(rgba))


def run(model: Draft, images: PreparedImages, num_points: int = 1000) -> list[np.ndarray]:
    conditioning = model.encode(images)
    states = [
        model.start(
            conditioning.row(row), SamplingParams(num_points, 1, seed=row), torch.Generator()
        )
        for row in range(len(images))
    ]
    model.step(states)
    return [model.finish(state).points.positions for state in states]


def test_a_picture_gives_the_same_object_whatever_else_is_in_the_batch():
    model, images = small_draft(), discs(3)
    together = run(model, images)
    for row in range(3):
        alone = model.encode(PreparedImages(images.rgba[row : row + 1]))
        state = model.start(alone, SamplingParams(1000, 1, seed=row), torch.Generator())
        model.step([state])
        np.testing.assert_allclose(model.finish(state).points.positions, together[row], atol=1e-4)


def test_the_seed_moves_the_points_and_nothing_else_does():
    model, images = small_draft(), discs(1)
    conditioning = model.encode(images)

    def points(seed: int) -> np.ndarray:
        state = model.start(conditioning, SamplingParams(500, 1, seed), torch.Generator())
        model.step([state])
        return model.finish(state).points.positions

    np.testing.assert_array_equal(points(1), points(1))
    assert not np.array_equal(points(1), points(2))


@pytest.mark.parametrize("num_points", [256, 4096, 16_384])
def test_the_cloud_has_the_points_asked_for_in_the_output_frame(num_points):
    [positions] = run(small_draft(), discs(1), num_points)
    assert positions.shape == (num_points, 3)
    box_centre = (positions.min(axis=0) + positions.max(axis=0)) / 2
    np.testing.assert_allclose(box_centre, 0, atol=1e-5)
    assert np.linalg.norm(positions, axis=1).max() == pytest.approx(0.5, abs=1e-5)


def test_a_row_that_is_not_a_number_is_named():
    model, images = small_draft(), discs(3)
    images.rgba[1] = torch.nan
    conditioning = model.encode(images)
    params = SamplingParams(256, 1, seed=0)
    states = [model.start(conditioning.row(k), params, torch.Generator()) for k in range(3)]
    with pytest.raises(NonFiniteError) as caught:
        model.step(states)
    assert caught.value.rows == (1,)


def test_the_smallest_foreground_still_gives_a_cloud():
    rgba = torch.zeros(1, 4, 32, 32)
    rgba[0, :, 16, 16] = 1
    [positions] = run(small_draft(), PreparedImages(rgba), 256)
    assert np.isfinite(positions).all()


def test_front_never_lies_behind_back():
    layers = small_draft().net(discs(2).rgba)
    assert isinstance(layers, Layers)
    assert (layers.depth[:, 0] >= layers.depth[:, 1]).all()


def test_weights_of_another_network_are_refused():
    tensors = DraftNet(SMALL).state_dict()
    del tensors["head.bias"]
    with pytest.raises(WeightsError, match=r"head\.bias"):
        load_draft(replace(DRAFT, image_size=32), tensors, torch.device("cpu"))


def test_lift_puts_the_centre_pixel_on_the_optical_axis():
    elevation = 0.5
    camera = torch.tensor([[0.5, 0.4, 0.0, 0.0, elevation]])
    depth = torch.full((1, 1, 3, 3), 0.2)
    centre = lift(depth, camera)[0, 0, 1, 1]
    expected = 0.2 * torch.tensor([0.0, np.sin(elevation), np.cos(elevation)])
    torch.testing.assert_close(centre, expected.float())


def test_lift_has_right_to_the_right_and_up_above():
    camera = torch.tensor([[0.5, 0.0, 0.0, 0.0, 0.0]])
    points = lift(torch.zeros(1, 1, 4, 4), camera)[0, 0]
    assert points[0, 3, 0] > 0 > points[0, 0, 0]
    assert points[0, 0, 1] > 0 > points[3, 0, 1]
