"""Cameras that a caller gives with the picture. Standard library only: the gateway checks them.

Lengths are in diameters of the object, whose sphere is at the origin, +Y up; a picture is the
square crop that the model sees. Conventions are PyTorch3D's: v = X R + T of row vectors, in the
view +x is left, +y up and +z forwards, and so in the picture, whose sides are at -1 and 1.
"""

import json
import math
from dataclasses import dataclass

from models.errors import CameraError

Vector = tuple[float, float, float]
_ROTATION = 1e-3  # how far R R^T may be from the identity, and its determinant from 1
_RADIUS = 0.5
_SHORTEST = 0.01  # focal length: a picture that is 179 degrees wide


@dataclass(frozen=True, slots=True)
class PerspectiveCamera:
    """Attributes:
    R: three rows.
    focal, principal: of x and y, in half sides of the picture.
    """

    R: tuple[Vector, Vector, Vector]
    T: Vector
    focal: tuple[float, float]
    principal: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class OrbitCamera:
    """One that looks at the object; which part of its view the crop is, the model sees itself.

    `elevation` is in degrees above the horizontal.
    """

    elevation: float
    distance: float


def parse_camera(text: str) -> PerspectiveCamera | OrbitCamera | None:
    """A caller's camera: "auto" (None), `{"elevation": 20, "distance": 2.5}`, or
    `{"R": [[...], [...], [...]], "T": [...], "focal": f or [fx, fy], "principal": [px, py]}`.

    Raises:
        CameraError: no such text; a number that is none or not finite; R is no rotation, a focal
            length below 0.01; or the camera does not see the object: it looks away, stands inside
            the object's sphere, or has part of that behind it.
    """
    if text.strip() == "auto":
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise CameraError('must be "auto" or a JSON object') from None
    if not isinstance(value, dict):
        raise CameraError('must be "auto" or a JSON object')
    if value.keys() == {"elevation", "distance"}:
        return _orbit(value)
    if {"R", "T", "focal"} <= value.keys() <= {"R", "T", "focal", "principal"}:
        return _perspective(value)
    raise CameraError("must have elevation and distance, or R, T, focal and perhaps principal")


def _orbit(value: dict[str, object]) -> OrbitCamera:
    elevation, distance = (_number(name, value[name]) for name in ("elevation", "distance"))
    if not -90 <= elevation <= 90:
        raise CameraError(f"elevation must be -90 to 90 degrees, got {elevation}")
    _check_outside(distance)
    if distance > 1e3:
        raise CameraError(f"distance must be at most 1000 object diameters, got {distance}")
    return OrbitCamera(elevation, distance)


def _perspective(value: dict[str, object]) -> PerspectiveCamera:
    rows = value["R"]
    if not isinstance(rows, list) or len(rows) != 3:
        raise CameraError("R must be three rows of three numbers")
    a, b, c = (_vector("R", row, 3) for row in rows)
    _check_rotation((a, b, c))
    focal = value["focal"]
    f = _vector("focal", focal if isinstance(focal, list) else [focal, focal], 2)
    if min(f) < _SHORTEST:
        raise CameraError(f"focal must be at least {_SHORTEST}, got {min(f)}")
    t, p = _vector("T", value["T"], 3), _vector("principal", value.get("principal", [0, 0]), 2)
    _check_sees(t, f, p)
    R = ((a[0], a[1], a[2]), (b[0], b[1], b[2]), (c[0], c[1], c[2]))
    return PerspectiveCamera(R, (t[0], t[1], t[2]), (f[0], f[1]), (p[0], p[1]))


def _number(name: str, value: object) -> float:
    """Raises CameraError. Python reads NaN, infinity and whole numbers of any length as JSON."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CameraError(f"{name} must be a number")
    if not abs(value) <= 1e6:  # NaN too
        raise CameraError(f"{name} must be finite, and at most a million")
    return float(value)


def _vector(name: str, value: object, length: int) -> tuple[float, ...]:
    if not isinstance(value, list) or len(value) != length:
        raise CameraError(f"{name} must be {length} numbers")
    return tuple(_number(name, item) for item in value)


def _check_rotation(R: tuple[tuple[float, ...], ...]) -> None:
    products = [
        sum(p * q for p, q in zip(R[i], R[j], strict=True)) - (i == j)
        for i in range(3)
        for j in range(3)
    ]
    (a, b, c), (d, e, f), (g, h, i) = R
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    if max(abs(value) for value in products) > _ROTATION or abs(determinant - 1) > _ROTATION:
        raise CameraError("R must be a rotation: orthogonal rows of length 1, determinant 1")


def _check_outside(distance: float) -> None:
    if not distance > _RADIUS:
        raise CameraError(
            f"the camera must stand outside of the object's sphere, at more than {_RADIUS} "
            f"object diameters from its centre; got {distance:.4g}"
        )


def _check_sees(
    T: tuple[float, ...], focal: tuple[float, ...], principal: tuple[float, ...]
) -> None:
    """T is where the view has the object's centre."""
    _check_outside(math.hypot(*T))
    depth = T[2]
    if depth <= 0:
        raise CameraError("the camera looks away: the object's centre lies behind it")
    if depth <= _RADIUS:
        raise CameraError("part of the object's sphere lies behind the camera")
    for at, f, p in zip(T, focal, principal, strict=False):
        reach = f * _RADIUS / (depth - _RADIUS)  # of the sphere's outline, at most
        if abs(f * at / depth + p) > 1 + reach:
            raise CameraError("the camera looks away: the object is outside of the picture")
