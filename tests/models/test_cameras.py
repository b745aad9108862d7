"""Cameras that come with a picture: what is read, and what is refused and why."""

import json
import math

import pytest

from models.cameras import OrbitCamera, PerspectiveCamera, parse_camera
from models.errors import CameraError, ParameterError

FRONT = {
    "R": [[-1, 0, 0], [0, 1, 0], [0, 0, -1]],
    "T": [0, 0, 2],
    "focal": 3,
}


def text(**changes: object) -> str:
    return json.dumps(FRONT | changes)


def test_auto_is_no_camera():
    assert parse_camera("auto") is None
    assert parse_camera(" auto\n") is None


def test_one_that_looks_at_the_object():
    camera = parse_camera('{"elevation": 20, "distance": 2.5}')
    assert camera == OrbitCamera(20.0, 2.5)


def test_one_of_matrices():
    camera = parse_camera(text(principal=[0.1, -0.2], focal=[3, 2.5]))
    assert camera == PerspectiveCamera(
        ((-1, 0, 0), (0, 1, 0), (0, 0, -1)), (0, 0, 2), (3, 2.5), (0.1, -0.2)
    )
    assert parse_camera(text()) == PerspectiveCamera(
        ((-1, 0, 0), (0, 1, 0), (0, 0, -1)), (0, 0, 2), (3, 3), (0, 0)
    )


def test_a_camera_error_names_the_field():
    with pytest.raises(ParameterError) as caught:
        parse_camera("north")
    assert caught.value.field == "camera"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("", "JSON"),
        ("[1, 2]", "JSON object"),
        ("{", "JSON"),
        ("[" * 100_000, "JSON"),
        ("{}", "must have elevation and distance"),
        ('{"elevation": 20}', "must have"),
        ('{"elevation": 20, "distance": 2, "roll": 1}', "must have"),
        ('{"elevation": "high", "distance": 2}', "elevation must be a number"),
        ('{"elevation": true, "distance": 2}', "elevation must be a number"),
        ('{"elevation": NaN, "distance": 2}', "finite"),
        ('{"elevation": 20, "distance": Infinity}', "finite"),
        ('{"elevation": 20, "distance": 1' + "0" * 400 + "}", "finite"),
        ('{"elevation": 91, "distance": 2}', "-90 to 90"),
        ('{"elevation": 20, "distance": 0.5}', "outside of the object"),
        ('{"elevation": 20, "distance": -2}', "outside of the object"),
        ('{"elevation": 20, "distance": 5000}', "at most 1000"),
        (text(R=[[1, 0, 0], [0, 1, 0]]), "three rows"),
        (text(R=[[1, 0], [0, 1], [0, 0]]), "R must be 3 numbers"),
        (text(R="front"), "three rows"),
        (text(R=[[2, 0, 0], [0, 1, 0], [0, 0, 1]]), "rotation"),
        (text(R=[[1, 0, 0], [0, 1, 0], [0, 0, -1]]), "rotation"),  # a mirror
        (text(R=[[1, 0, 0], [0, 1, 0], [0, 0, math.nan]]), "finite"),
        (text(T=[0, 0]), "T must be 3"),
        (text(T=[0, 0, None]), "T must be a number"),
        (text(focal=0), "focal must be at least 0.01"),
        (text(focal=[3, -1]), "focal must be at least 0.01"),
        (text(focal=1e-50), "focal must be at least 0.01"),  # 0 in float32
        (text(focal=[3, 3, 3]), "focal must be 2"),
        (text(principal=3), "principal must be 2"),
        (text(T=[0, 0, -2]), "looks away"),
        (text(T=[5, 0, 2]), "looks away"),
        (text(principal=[-3, 0]), "looks away"),
        (text(T=[0, 0, 0.4]), "outside of the object"),
        (text(T=[2, 0, 0.3], focal=1), "behind the camera"),
    ],
)
def test_what_is_refused(given, reason):
    with pytest.raises(CameraError, match=reason):
        parse_camera(given)
