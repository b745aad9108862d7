import numpy as np
import pytest

from training.backgrounds import KINDS, composite, damage_alpha, damage_colors, random_background


@pytest.mark.parametrize("kind", KINDS)
def test_backgrounds_are_pictures_and_differ(kind):
    rng = np.random.default_rng(0)
    first, second = (random_background(rng, 48, kind) for _ in range(2))
    assert first.shape == (48, 48, 3)
    assert first.min() >= 0
    assert first.max() <= 255
    assert not np.allclose(first, second)
    assert (first.std(axis=(0, 1)).max() < 1e-3) == (kind == "plain")


def test_soft_edges_take_the_background_and_hard_ones_do_not():
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, :3] = 200
    rgba[0, :, 3] = [255, 128, 0]
    background = np.zeros((1, 3, 3), np.float32)
    soft = composite(rgba, background, soft=True)[0, :, 0]
    hard = composite(rgba, background, soft=False)[0, :, 0]
    np.testing.assert_allclose(soft, [200, 100.4, 0], atol=0.1)
    np.testing.assert_allclose(hard, [200, 200, 0])


def test_damage_keeps_the_picture_recognisable():
    ramp = np.broadcast_to(np.linspace(0, 255, 64)[:, None], (64, 64))
    rgb = np.stack([ramp, ramp.T, ramp], axis=-1).astype(np.float32)
    for seed in range(30):
        damaged = damage_colors(rgb, np.random.default_rng(seed))
        assert damaged.dtype == np.uint8
        for channel in range(3):
            pair = damaged[..., channel].ravel(), rgb[..., channel].ravel()
            assert np.corrcoef(*pair)[0, 1] > 0.97


def test_alpha_is_mostly_true_and_never_far_off():
    alpha = np.zeros((32, 32), np.uint8)
    alpha[8:24, 8:24] = 255
    masks = [damage_alpha(alpha, np.random.default_rng(seed)) for seed in range(60)]
    true = sum((mask == alpha).all() for mask in masks)
    assert 30 < true < 58
    for mask in masks:
        assert (mask[11:21, 11:21] == 255).all()
        assert not mask[:4].any()


def test_thin_things_are_not_eroded_away():
    alpha = np.zeros((32, 32), np.uint8)
    alpha[:, 15:17] = 255
    for seed in range(60):
        assert np.count_nonzero(damage_alpha(alpha, np.random.default_rng(seed)) > 127) >= 32


def test_exposure_and_white_balance_vary():
    grey = np.full((8, 8, 3), 128, np.float32)
    means = [
        damage_colors(grey, np.random.default_rng(seed)).reshape(-1, 3).mean(axis=0)
        for seed in range(60)
    ]
    level, cast = np.mean(means, axis=1), np.ptp(means, axis=1)
    assert level.min() < 115
    assert level.max() > 140
    assert (cast < 3).sum() > 20  # most are neutral
    assert (cast > 6).sum() > 8
