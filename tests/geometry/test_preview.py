from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud
from geometry.preview import (
    preview_png,
    render_mesh,
    render_points,
    turntable_gif,
    turntable_webp,
)
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
    assert solid(picture)[middle].mean() > 0.998


def test_background_is_clear_but_for_a_shadow():
    picture = render_mesh(chair(), 200)
    assert (picture[0, :, 3] == 0).all()
    assert (picture[:, 0, 3] == 0).all()
    shadow = (picture[..., 3] > 10) & (picture[..., 3] < 200)
    assert shadow.sum() > 500
    assert picture[shadow][:, :3].mean() < 60
    below = render_mesh(chair(), 200, elevation=-20)
    assert ((below[..., 3] > 10) & (below[..., 3] < 200)).sum() < 0.5 * shadow.sum()


FLAT = np.random.default_rng(0).random((400, 3), np.float32) * np.array([1, 1, 0], np.float32)


@pytest.mark.parametrize(
    "cloud",
    [
        PointCloud(np.zeros((1, 3), np.float32)),
        PointCloud(np.zeros((500, 3), np.float32)),
        PointCloud(np.eye(3, dtype=np.float32) * 1e30, np.full((3, 3), 9, np.uint8)),
        PointCloud(np.linspace(0, 1, 60, dtype=np.float32).reshape(20, 3)),
        PointCloud(FLAT),
        PointCloud(FLAT[:, [0, 2, 1]].copy(), np.full((400, 3), 255, np.uint8)),
    ],
    ids=["one point", "copies of one", "far apart", "line", "upright plane", "level plane"],
)
def test_degenerate_clouds_are_still_drawn(cloud):
    assert solid(render_points(cloud, 64)).any()


def test_large_clouds_look_like_small_ones(rng):
    small, large = (render_points(sphere(count, rng), 96) for count in (16_000, 200_000))
    both = solid(small) & solid(large)
    assert both.sum() > 0.99 * solid(small).sum()
    assert np.abs(small[both].astype(int) - large[both]).mean() < 12


def test_mesh_without_area_is_an_empty_picture():
    flat = Mesh(np.zeros((3, 3), np.float32), np.array([[0, 1, 2]], np.int32))
    assert not solid(render_mesh(flat, 64)).any()


@pytest.mark.parametrize("depth", [0.001, 0.0])
def test_thin_parts_are_seen_edge_on(depth):
    board = box((depth, 1, 1))
    for azimuth in (0, 3, 60):
        assert render_mesh(board, 128, azimuth=azimuth)[..., 3].max() > 100


def test_faces_turned_inwards_look_the_same():
    cube = box()
    inside_out = Mesh(cube.vertices, cube.faces[:, ::-1].copy(), cube.colors)
    assert np.array_equal(render_mesh(cube, 64), render_mesh(inside_out, 64))


def test_vertices_of_no_face_cast_no_shadow():
    cube = box()
    stray = np.array([[5, 5, 5]], np.float32)
    color = np.zeros((1, 3), np.uint8)
    more = Mesh(
        np.concatenate([cube.vertices, stray]), cube.faces, np.concatenate([cube.colors, color])
    )
    assert np.array_equal(render_mesh(cube, 64), render_mesh(more, 64))


@pytest.mark.parametrize("brightness", [0, 255])
def test_one_colour_keeps_its_shading(brightness, rng):
    cloud = PointCloud(sphere(2000, rng).positions, np.full((2000, 3), brightness, np.uint8))
    picture = render_points(cloud, 128)
    seen = picture[solid(picture)][:, :3].astype(int)
    assert np.ptp(seen) > 25
    assert abs(np.median(seen) - brightness) < 90


def test_light_comes_from_above():
    picture = render_mesh(chair(), 200)
    upside_down = Mesh(-chair().vertices, chair().faces[:, ::-1].copy(), chair().colors)
    turned = render_mesh(upside_down, 200)
    # The broad seat shows its upper side to the camera, then its lower one.
    assert picture[solid(picture)].mean() > turned[solid(turned)].mean()


def test_files_are_the_same_each_time(rng):
    cloud = sphere(500, rng)
    for write in (preview_png, turntable_gif, turntable_webp):
        assert write(cloud, 48) == write(cloud, 48)


def frames_of(data):
    film = known(Image.open(BytesIO(data)))
    assert (film.size, film.n_frames, film.info["loop"]) == ((64, 64), 6, 0)
    frames = []
    for number in range(6):
        film.seek(number)
        frames.append(np.asarray(film.convert("RGBA")).astype(int))
    return film, frames


def test_png(rng):
    png = Image.open(BytesIO(preview_png(sphere(500, rng), 96)))
    assert (png.format, png.mode, png.size) == ("PNG", "RGBA", (96, 96))


def test_gif_turns_on_a_steady_background():
    gif, frames = frames_of(turntable_gif(box(), 64, frames=6))
    assert gif.format == "GIF"
    assert np.abs(frames[0][0] - frames[3][0]).max() <= 8
    assert np.abs(frames[0] - frames[1]).max() > 20


@pytest.mark.parametrize("shape", [box(), PointCloud(np.zeros((1, 3), np.float32))])
def test_webp_is_transparent(shape):
    webp, frames = frames_of(turntable_webp(shape, 64, frames=6))
    assert (webp.format, webp.info["duration"]) == ("WEBP", 80)
    for frame in frames:
        assert (frame[0, :, 3] == 0).all()
        assert (frame[..., 3] > 250).any()


def test_webp_frames_replace_each_other():
    _, frames = frames_of(turntable_webp(box((1, 0.2, 0.05)), 64, frames=6))
    stills = [render_mesh(box((1, 0.2, 0.05)), 64, azimuth=30 + 60 * k) for k in range(6)]
    covered = [(frame[..., 3] > 250).sum() for frame in frames]
    # Narrow ones come after wide ones: nothing of an earlier frame stays.
    assert np.argmin(covered) == np.argmin([solid(still).sum() for still in stills])
    assert min(covered) < 0.6 * max(covered)
