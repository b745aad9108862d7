"""From a picture to an object that is seen, and to the files of it."""

import itertools

import pytest
from playwright.sync_api import expect

from tests.e2e.worker_entry import LATER_SEED


def test_an_example_is_shown_before_anything_is_made(visit):
    visitor = visit()

    visitor.wait_example()
    expect(visitor.page.locator("#caption")).to_contain_text("An example")
    expect(visitor.start).to_be_disabled()
    assert 0.04 < visitor.picture().share < 0.5


def test_a_picture_becomes_an_object(visit, house):
    house.close_gate()
    visitor = visit()
    visitor.submit(seed=LATER_SEED)

    expect(visitor.status).to_contain_text("Shaping the points, step 1 of 6")
    assert 0 < visitor.status.locator("progress").evaluate("(bar) => bar.value") < 100
    expect(visitor.note).to_have_text("Taking shape, step 1")
    expect(visitor.page.locator("#history li")).to_contain_text("running")
    forming = visitor.picture()
    assert 0.1 < forming.share < 0.7

    house.open_gate()
    visitor.wait_object()
    expect(visitor.status).to_contain_text("Done in")
    job = house.job(visitor.job_id())
    assert (job["status"], job["params"]["seed"]) == ("succeeded", LATER_SEED)
    mesh = visitor.picture()
    assert 0.1 < mesh.share < 0.7
    assert mesh.changed(forming) > 0.05


@pytest.mark.parametrize("kind", ["Mesh", "Points"])
def test_the_objects_colours_are_those_of_the_cloud(visit, kind):
    """Red grows to the right, green upwards, blue towards the viewer (tests/fakes_model.py)."""
    visitor = visit()
    visitor.make(seed=5)
    if kind == "Points":
        visitor.tool("Points").click()
        expect(visitor.note).to_have_text("4,096 points")
    picture = visitor.picture()

    above = picture.mean_colour(rows=(0, 0.3), columns=(0.3, 0.7))
    below = picture.mean_colour(rows=(0.7, 1), columns=(0.3, 0.7))
    left = picture.mean_colour(rows=(0.3, 0.7), columns=(0, 0.2))
    right = picture.mean_colour(rows=(0.3, 0.7), columns=(0.8, 1))
    middle = picture.mean_colour(rows=(0.45, 0.55), columns=(0.45, 0.55))
    assert above[1] - below[1] > 80
    assert right[0] - left[0] > 60
    assert middle[2] > 180


def test_points_and_mesh_look_different(visit):
    visitor = visit()
    visitor.make(seed=5)
    mesh = visitor.picture()

    visitor.tool("Points").click()
    expect(visitor.note).to_have_text("4,096 points")
    expect(visitor.tool("Points")).to_have_attribute("aria-pressed", "true")
    points = visitor.picture()
    assert points.changed(mesh) > 0.03

    visitor.tool("Mesh").click()
    expect(visitor.note).to_contain_text("triangles")
    assert visitor.picture().changed(mesh) < 0.01


def test_every_light_looks_different(visit):
    visitor = visit()
    visitor.wait_example()

    pictures = {"Studio": visitor.picture()}
    for light in ("Soft", "Flat", "Normals"):
        visitor.tool("Look").click()
        visitor.viewer.get_by_text(light, exact=True).click()
        visitor.tool("Look").click()
        pictures[light] = visitor.picture()
    for one, other in itertools.combinations(pictures, 2):
        assert pictures[one].changed(pictures[other]) > 0.02, (one, other)


def test_dragging_turns_the_object(visit):
    visitor = visit()
    visitor.wait_example()
    before, camera = visitor.picture(), visitor.camera()

    canvas = visitor.viewer.locator("canvas").bounding_box()
    visitor.page.mouse.move(canvas["x"] + 300, canvas["y"] + 200)
    visitor.page.mouse.down()
    visitor.page.mouse.move(canvas["x"] + 420, canvas["y"] + 200, steps=4)
    visitor.page.mouse.up()
    assert visitor.camera() != camera
    assert visitor.picture().changed(before) > 0.03

    visitor.tool("First view").click()
    assert visitor.picture().changed(before) < 0.01


def test_downloads_are_the_apis_files(visit, house, tmp_path):
    visitor = visit()
    job_id = visitor.make(seed=5)
    expected = {
        item["name"]: house.api("GET", item["url"]).content
        for item in house.job(job_id)["artifacts"]
    }
    assert set(expected) == {"points.ply", "mesh.glb", "mask.png"}

    visitor.tool("Download").click()
    files = visitor.viewer.locator(".files").get_by_role("button")
    expect(files).to_have_count(len(expected))
    for name, content in expected.items():
        with visitor.page.expect_download() as download:
            files.filter(has_text=name).click()
        assert download.value.suggested_filename == name
        download.value.save_as(tmp_path / name)
        assert (tmp_path / name).read_bytes() == content


def test_a_picture_of_what_is_seen_is_saved(visit, tmp_path):
    visitor = visit()
    visitor.wait_example()

    with visitor.page.expect_download() as download:
        visitor.tool("Save a picture").click()
    download.value.save_as(tmp_path / "seen.png")
    assert (tmp_path / "seen.png").read_bytes().startswith(b"\x89PNG")
