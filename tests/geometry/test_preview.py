from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud
from geometry.preview import preview_png, render_mesh, render_points, turntable_gif
from geometry.resample import sample_surface
from tests.geometry.shapes import box, boxes, chair, known, sphere

RED, BLUE = (220, 30, 30), (30, 30, 220)


def solid(picture):
    return picture[..., 3] > 250


def centre_of(picture, color):
    """Mean (column, row) of the pixels in which a primary colour dominates."""
    strong = int(np.argmax(color))
    rest = [channel for channel in range(3) if channel != strong]
    values = picture.astype(int)
    found = solid(picture) & (values[..., strong] > values[..., rest].max(axis=2) + 40)
    rows, columns = np.nonzero(found)
    assert len(rows) > 20
    return columns.mean(), rows.mean()


def two_boxes(first, second):
    return boxes([((1, 1, 1), first, RED), ((1, 1, 1), second, BLUE)])


@pytest.mark.parametrize("as_points", [False, True])
def test_up_right_and_near(as_points, rng):
    def draw(mesh, **angles):
        if as_points:
            return render_points(sample_surface(mesh, 3000, rng), 128, **angles)
        return render_mesh(mesh, 128, **angles)

    above = draw(two_boxes((0, 2, 0), (0, 0, 0)), azimuth=0, elevation=0)
    assert centre_of(above, RED)[1] < centre_of(above, BLUE)[1]
    right = draw(two_boxes((2, 0, 0), (0, 0, 0)), azimuth=0, elevation=0)
    assert centre_of(right, RED)[0] > centre_of(right, BLUE)[0]
    # From +X what lies towards -Z is on the right.
    turned = draw(two_boxes((0, 0, -2), (0, 0, 0)), azimuth=90, elevation=0)
    assert centre_of(turned, RED)[0] > centre_of(turned, BLUE)[0]
    # The near one hides the far one.
    hidden = draw(two_boxes((0, 0, 2), (0, 0, 0)), azimuth=0, elevation=0)
    seen = hidden[solid(hidden)].astype(int)
    assert (seen[:, 0] > seen[:, 2]).mean() > 0.99


def test_sphere_fills_the_picture_without_holes(rng):
    picture = render_points(sphere(4096, rng), 200, elevation=0)
    rows, columns = np.nonzero(solid(picture))
    assert 165 <= np.ptp(rows) <= 190
    assert 165 <= np.ptp(columns) <= 190
    middle = np.hypot(*(np.indices((200, 200)) - 99.5)) < 75
    assert solid(picture)[middle].all()


def test_background_is_clear_but_for_a_shadow():
    picture = render_mesh(chair(), 200)
    assert (picture[0, :, 3] == 0).all()
    assert (picture[:, 0, 3] == 0).all()
    shadow = (picture[..., 3] > 10) & (picture[..., 3] < 200)
    assert shadow.sum() > 500
    assert picture[shadow][:, :3].mean() < 60
    below = render_mesh(chair(), 200, elevation=-20)
    assert ((below[..., 3] > 10) & (below[..., 3] < 200)).sum() < 0.5 * shadow.sum()


@pytest.mark.parametrize(
    "cloud",
    [
        PointCloud(np.zeros((1, 3), np.float32)),
        PointCloud(np.zeros((500, 3), np.float32)),
        PointCloud(np.eye(3, dtype=np.float32) * 1e6, np.full((3, 3), 9, np.uint8)),
        PointCloud(np.linspace(0, 1, 60, dtype=np.float32).reshape(20, 3)),
    ],
)
def test_degenerate_clouds_are_still_drawn(cloud):
    assert solid(render_points(cloud, 64)).any()


def test_mesh_without_area():
    flat = Mesh(np.zeros((3, 3), np.float32), np.array([[0, 1, 2]], np.int32))
    assert render_mesh(flat, 64).shape == (64, 64, 4)


def test_png_and_gif(rng):
    png = Image.open(BytesIO(preview_png(sphere(500, rng), 96)))
    assert (png.format, png.mode, png.size) == ("PNG", "RGBA", (96, 96))
    gif = known(Image.open(BytesIO(turntable_gif(box(), 64, frames=6))))
    assert (gif.format, gif.size, gif.n_frames) == ("GIF", (64, 64), 6)
    assert gif.info["loop"] == 0
    frames = []
    for number in range(6):
        gif.seek(number)
        frames.append(np.asarray(gif.convert("RGB")).astype(int))
    # Colour distances are small and steady on the background, and the object does turn.
    assert np.abs(frames[0][0] - frames[3][0]).max() <= 8
    assert np.abs(frames[0] - frames[1]).max() > 20
