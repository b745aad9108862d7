import numpy as np
import pytest
from PIL import Image

from models.errors import EmptyMaskError, NoForegroundError
from models.foreground import crop_foreground, extract_foreground
from tests.models.pictures import background, compose

KINDS = ("plain", "white", "linear", "radial", "backdrop")
SHAPES = ("disc", "ring", "chair", "cut off", "two", "star")


def blank(kind: str, noise: float = 0) -> np.ndarray:
    rng = np.random.default_rng(3)
    picture = np.clip(background(kind) + rng.normal(0, noise, (512, 512, 3)), 0, 255)
    return np.dstack([picture.astype(np.uint8), np.full((512, 512), 255, np.uint8)])


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        (shape, kind)
        for shape in SHAPES
        for kind in KINDS
        # What a ring encloses cannot be foretold where the backdrop bends.
        if (shape, kind) != ("ring", "backdrop")
    ],
)
def test_smooth_backgrounds(shape, kind):
    picture = compose(shape, kind)

    found = extract_foreground(picture.rgba)

    assert found.method == "flood"
    assert picture.iou(found.alpha) > 0.98
    assert np.abs(found.alpha / 255 - picture.truth).mean() < 0.001


@pytest.mark.parametrize("shape", ["disc", "ring", "chair", "star"])
@pytest.mark.parametrize(
    ("options", "least"),
    [
        ({"noise": 4}, 0.99),
        ({"noise": 10}, 0.99),
        ({"noise": 20}, 0.98),
        ({"jpeg": 30}, 0.95),
        ({"noise": 6, "jpeg": 60}, 0.97),
        ({"color": (176, 182, 190), "shading": 0.1}, 0.98),  # about 7 Lab units from the wall
        ({"color": (215, 205, 200), "noise": 3}, 0.98),
    ],
)
def test_damaged_and_faint_pictures(shape, options, least):
    picture = compose(shape, **options)

    assert picture.iou(extract_foreground(picture.rgba).alpha) > least


@pytest.mark.parametrize("shape", ["disc", "chair", "star"])
def test_a_busy_background_goes_to_grabcut(shape):
    picture = compose(shape, "blobs", color=(40, 20, 25))

    found = extract_foreground(picture.rgba)

    assert found.method == "grabcut"
    assert picture.iou(found.alpha) > 0.97


@pytest.mark.parametrize("size", [24, 64, 200, 1500])
def test_any_size(size):
    picture = compose("disc", "linear", size=size)

    found = extract_foreground(picture.rgba)

    assert found.alpha.shape == (size, size)
    assert picture.iou(found.alpha) > 0.95


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (500, 9)])
def test_odd_pictures_end_in_a_typed_error_or_a_mask(shape):
    rng = np.random.default_rng(0)
    rgba = rng.integers(0, 256, (*shape, 4), dtype=np.uint8)
    rgba[..., 3] = 255
    try:
        found = extract_foreground(rgba)
    except NoForegroundError:
        return
    assert found.alpha.shape == shape


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("noise", [0, 8])
def test_a_picture_of_nothing(kind, noise):
    with pytest.raises(NoForegroundError, match="send a mask"):
        extract_foreground(blank(kind, noise))


def test_alpha_is_taken_as_it_is():
    picture = compose("star")
    alpha = np.rint(picture.truth * 255).astype(np.uint8)
    rgba = np.dstack([picture.rgba[..., :3], alpha])

    for mode in ("auto", "never"):
        found = extract_foreground(rgba, mode)
        assert found.method == "alpha"
        np.testing.assert_array_equal(found.alpha, alpha)


def test_full_alpha_is_no_alpha():
    picture = compose("disc")

    assert extract_foreground(picture.rgba).method == "flood"
    assert extract_foreground(picture.rgba, "never").method == "frame"
    assert extract_foreground(picture.rgba, "never").alpha.min() == 255


def test_always_looks_behind_the_alpha():
    """An opaque box of wall around the object, everything else transparent."""
    picture = compose("disc", "white")
    rgba = picture.rgba.copy()
    rgba[..., 3] = 0
    rgba[40:-40, 40:-40, 3] = 255

    auto, always = extract_foreground(rgba), extract_foreground(rgba, "always")

    assert picture.iou(auto.alpha) < 0.4
    assert picture.iou(always.alpha) > 0.98


@pytest.mark.parametrize("pixels", [0, 3])
def test_an_empty_mask_is_blamed_and_not_the_picture(pixels):
    mask = np.zeros((96, 96), np.uint8)
    mask[40, 40 : 40 + pixels] = 255

    with pytest.raises(EmptyMaskError, match="mask"):
        extract_foreground(compose("disc", size=96).rgba, mask=mask)


def test_a_transparent_picture_is_empty():
    rgba = np.zeros((64, 64, 4), np.uint8)

    for mode in ("auto", "always", "never"):
        with pytest.raises(NoForegroundError):
            extract_foreground(rgba, mode)


def test_a_mask_of_another_size_overrides():
    picture = compose("disc", "blobs")
    mask = np.asarray(Image.fromarray(np.uint8(picture.truth * 255)).resize((128, 128)))

    found = extract_foreground(picture.rgba, mask=mask)

    assert found.method == "mask"
    assert picture.iou(found.alpha) > 0.97
    with pytest.raises(NoForegroundError):
        extract_foreground(picture.rgba, mask=np.zeros((9, 9), np.uint8))


def test_the_same_picture_gives_the_same_mask():
    picture = compose("star", "blobs").rgba

    first, second = (extract_foreground(picture).alpha for _ in range(2))

    np.testing.assert_array_equal(first, second)


def box(height, width, top, bottom, left, right, color=(200, 40, 10)):
    """Opaque colour everywhere, alpha in a box only: the rest must not bleed in."""
    rgba = np.zeros((height, width, 4), np.uint8)
    rgba[..., :3] = (0, 255, 0)
    rgba[top:bottom, left:right] = (*color, 255)
    return rgba, np.ascontiguousarray(rgba[..., 3])


def extent(coverage):
    return [float(coverage.max(axis=axis).sum()) for axis in (0, 1)]


@pytest.mark.parametrize("scale", [1, 3, 17])
def test_the_longer_side_fills_its_part_of_the_crop(scale):
    rgba, alpha = box(100 * scale, 140 * scale, 20 * scale, 60 * scale, 30 * scale, 110 * scale)

    crop = crop_foreground(rgba, alpha, 96, fill=0.9)

    assert crop.shape == (4, 96, 96)
    assert crop.dtype == np.float32
    wide, high = extent(crop[3])
    assert wide == pytest.approx(0.9 * 96, abs=1)
    assert high == pytest.approx(0.45 * 96, abs=1)
    weight, centres = crop[3] / crop[3].sum(), np.arange(96) + 0.5
    middle = [float(weight.sum(axis=axis) @ centres) for axis in (0, 1)]
    assert middle == pytest.approx([48, 48], abs=0.3)


@pytest.mark.parametrize("scale", [1, 2, 5, 30])
def test_no_background_bleeds_into_the_crop(scale):
    rgba, alpha = box(33 * scale, 47 * scale, 5 * scale, 29 * scale, 10 * scale, 37 * scale)

    crop = crop_foreground(rgba, alpha, 64)

    seen = crop[3] > 0.02
    np.testing.assert_allclose(
        crop[:3, seen],
        np.broadcast_to([[200 / 255], [40 / 255], [10 / 255]], (3, seen.sum())),
        atol=0.01,
    )
    assert (crop[:3, crop[3] == 0] == 0).all()


def test_shrinking_keeps_the_mean():
    """A fine checkerboard becomes an even grey, whatever the phase of the pixels."""
    rgba = np.zeros((1000, 1000, 4), np.uint8)
    rgba[..., 3] = 255
    rgba[::2, ::2, :3] = 255
    rgba[1::2, 1::2, :3] = 255

    crop = crop_foreground(rgba, rgba[..., 3], 64, fill=1.0)

    assert np.abs(crop[:3] - 0.5).max() < 0.03
    assert crop[3].min() > 0.999


def test_outside_of_the_picture_is_transparent():
    rgba = np.full((200, 50, 4), 255, np.uint8)

    crop = crop_foreground(rgba, rgba[..., 3], 100, fill=0.8)

    assert extent(crop[3]) == pytest.approx([20, 80], abs=0.1)
    assert crop[3, :, :35].max() == 0
    assert crop[3, :9].max() == 0


def test_enlarging_is_smooth():
    rgba, alpha = box(12, 12, 3, 9, 3, 9)
    rgba[:6, :, :3] //= 2

    crop = crop_foreground(rgba, alpha, 128)

    inside = crop[0, 30:98, 64]
    assert np.abs(np.diff(inside)).max() < 0.05
    assert inside[0] == pytest.approx(100 / 255, abs=0.01)
    assert inside[-1] == pytest.approx(200 / 255, abs=0.01)


def test_a_faint_object_is_cropped_by_its_own_peak():
    rgba, alpha = box(100, 100, 40, 60, 30, 70)

    crop = crop_foreground(rgba, alpha // 8, 64)

    assert crop[3].max() == pytest.approx(31 / 255, abs=0.001)
    with pytest.raises(NoForegroundError):
        crop_foreground(rgba, alpha * 0, 64)
