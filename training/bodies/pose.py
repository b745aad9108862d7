"""Random but possible poses: which way each bone of a body is turned.

In the rest pose a body stands upright and looks along +Z, its left is +X, the arms hang half way
out. Angles are in degrees.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from training.bodies.anatomy import BONES

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

_LEFT, _UP, _FRONT = np.eye(3)
_SIDES = (("L", 1.0), ("R", -1.0))
_LEGS = {
    "stand": 0.32, "walk": 0.2, "run": 0.12, "sit": 0.14, "squat": 0.08, "lunge": 0.08, "kick": 0.06
}  # fmt: skip
_ARMS = {"hang": 0.36, "hips": 0.08, "out": 0.12, "raised": 0.12, "forward": 0.14, "free": 0.18}


class Pose:
    """World rotations [J, 3, 3] of BONES, built from the trunk outwards over joints at `heads`
    [J, 3]."""

    def __init__(self, heads: NDArray[np.float32]) -> None:
        self._heads = dict(zip(BONES, heads.astype(np.float64), strict=True))
        self.rotations = np.tile(np.eye(3), (len(BONES), 1, 1))

    def turn(self, rotation: Matrix, *bones: str) -> None:
        for bone in bones:
            self.rotations[BONES.index(bone)] = rotation

    def of(self, bone: str) -> Matrix:
        rotation: Matrix = self.rotations[BONES.index(bone)]
        return rotation

    def limb(
        self, upper: str, lower: str, end: str, side: str, base: Matrix, aim: Vector, bend: Vector,
        flex: float,
    ) -> None:  # fmt: skip
        """Point the upper bone along `aim` and bend the joint by `flex` towards `bend`; both are
        directions [3] in the frame of `base`."""
        first, second, third = (self._heads[f"{bone}.{side}"] for bone in (upper, lower, end))
        aim, rest = base @ _unit(aim), _unit(second - first)
        rotation = _align(base @ rest, aim) @ base
        bend = base @ bend
        across = _unit(bend - aim * (bend @ aim))
        shank = rotation @ _unit(third - second)
        twist = np.clip(_angle_about(aim, shank, across), -80, 80)
        stem = upper[:-2]
        self.turn(_about(aim, twist / 2) @ rotation, f"{stem}01.{side}")
        rotation = _about(aim, twist) @ rotation
        self.turn(rotation, f"{stem}02.{side}")
        goal = np.cos(np.radians(flex)) * aim + np.sin(np.radians(flex)) * across
        shank = rotation @ _unit(third - second)
        rotation = _align(shank, goal) @ rotation
        stem = lower[:-2]
        self.turn(rotation, f"{stem}01.{side}", f"{stem}02.{side}", f"{end}.{side}")


def random_pose(rng: np.random.Generator, heads: NDArray[np.float32]) -> NDArray[np.float32]:
    """World rotations [J, 3, 3] of BONES for a body whose joints rest at `heads` [J, 3]."""
    pose = Pose(heads)
    stance = str(rng.choice(list(_LEGS), p=list(_LEGS.values())))
    _trunk(pose, rng, stance)
    swing = _legs(pose, rng, stance)
    _arms(pose, rng, stance, swing)
    return pose.rotations.astype(np.float32)


def _trunk(pose: Pose, rng: np.random.Generator, stance: str) -> None:
    lean = {"run": rng.uniform(2, 18), "squat": rng.uniform(0, 35), "sit": rng.uniform(-12, 20)}
    forward = lean.get(stance, rng.normal(0, 5)) + (rng.random() < 0.06) * rng.uniform(0, 50)
    side, twist = rng.normal(0, 4), rng.normal(0, 8)
    # The hips take part of the lean where the feet can give way.
    hips = _turned(rng.normal(0, 3), forward * 0.3, 0)
    pose.turn(hips, "root", "pelvis.L", "pelvis.R")
    spine = ("spine05", "spine04", "spine03", "spine02", "spine01")
    for k, bone in enumerate(spine, 1):
        share = k / len(spine)
        pose.turn(_turned(twist * share, forward * 0.7 * share, side * share) @ hips, bone)
    chest = pose.of("spine01")
    pose.turn(chest, "neck01", *(f"{bone}.{side}" for side in "LR" for bone in _SHOULDER))
    around, down, aside = rng.normal(0, 18), rng.normal(0, 9) - forward * 0.5, rng.normal(0, 6)
    for share, bone in ((0.3, "neck02"), (0.6, "neck03"), (1.0, "head")):
        pose.turn(chest @ _turned(around * share, down * share, aside * share), bone)


_SHOULDER = ("clavicle", "shoulder01")


def _legs(pose: Pose, rng: np.random.Generator, stance: str) -> float:
    """Pose both legs; returns how far the left one is ahead, -1..1."""
    swing = float(rng.choice([-1, 1]) * rng.uniform(0.4, 1))
    spread = abs(rng.normal(0, 5)) + (rng.random() < 0.15) * rng.uniform(5, 25)
    for side, sign in _SIDES:
        lift, flex, flat = _leg_angles(rng, stance, swing * sign)
        out = np.radians(spread + rng.uniform(0, 4))
        lift = np.radians(lift)
        aim = np.array([
            sign * np.sin(out), -np.cos(out) * np.cos(lift), np.cos(out) * np.sin(lift)
        ])  # fmt: skip
        bend = np.array([0.0, -np.sin(lift), -np.cos(lift)])
        pose.limb("upperleg01", "lowerleg01", "foot", side, np.eye(3), aim, bend, max(flex, 1))
        toes = _turned(sign * rng.uniform(-2, 18), 0, 0)
        pose.turn(_part(pose.of(f"foot.{side}"), 1 - flat) @ toes, f"foot.{side}")
    return swing if stance in ("walk", "run") else 0.0


def _leg_angles(rng: np.random.Generator, stance: str, ahead: float) -> tuple[float, float, float]:
    """How far a thigh is lifted forward, how far the knee is bent, and how flat the foot stays."""
    if stance == "walk":
        lift = ahead * rng.uniform(15, 30)
        return lift, (8 if ahead > 0 else rng.uniform(10, 40)), rng.uniform(0.3, 0.8)
    if stance == "run":
        lift = rng.uniform(35, 75) if ahead > 0 else -rng.uniform(5, 25)
        return lift, rng.uniform(40, 100), rng.uniform(0, 0.5)
    if stance == "sit":
        lift = rng.uniform(75, 95)
        return lift, lift + rng.uniform(-45, 25), rng.uniform(0.6, 1)
    if stance == "squat":
        lift = rng.uniform(50, 110)
        return lift, lift + rng.uniform(15, 30), rng.uniform(0.7, 1)
    if stance == "lunge":
        forward = ahead > 0
        lift = rng.uniform(50, 85) if forward else -rng.uniform(5, 25)
        return lift, lift + rng.uniform(-10, 15) if forward else rng.uniform(15, 80), 0.6
    if stance == "kick" and ahead > 0:
        return rng.uniform(30, 100), rng.uniform(0, 50), rng.uniform(0, 0.5)
    return rng.normal(0, 4), abs(rng.normal(0, 5)), 0.9


def _arms(pose: Pose, rng: np.random.Generator, stance: str, swing: float) -> None:
    alike = rng.random() < 0.5
    kind, seed = "", 0
    for side, sign in _SIDES:
        if not (alike and kind):
            kind = str(rng.choice(list(_ARMS), p=list(_ARMS.values())))
            seed = int(rng.integers(2**31))
        if swing and rng.random() < 0.75:
            ahead = -swing * sign
            bent = rng.uniform(70, 110) if stance == "run" else rng.uniform(10, 45)
            raised, around = rng.uniform(5, 15), ahead * rng.uniform(20, 45)
            _arm(pose, side, sign, _swung(sign, raised, around), _inwards(sign, 0.2), bent)
            continue
        _POSES[kind](pose, side, sign, np.random.default_rng(seed))
        pose.turn(pose.of(f"wrist.{side}") @ _turned(*rng.normal(0, 8, 3)), f"wrist.{side}")


def _arm(pose: Pose, side: str, sign: float, aim: Vector, bend: Vector, flex: float) -> None:
    chest = pose.of("spine01")
    raised = np.degrees(np.arccos(np.clip(-_unit(aim)[1], -1, 1)))
    shrug = _about(_FRONT, sign * 0.3 * max(raised - 50, 0))
    pose.turn(chest @ shrug, *(f"{bone}.{side}" for bone in _SHOULDER))
    pose.limb("upperarm01", "lowerarm01", "wrist", side, chest, aim, bend, max(flex, 1))


def _raised(sign: float, raised: float, forward: float) -> Vector:
    """A direction `raised` from hanging down (90: level), turned `forward` about the trunk."""
    up, turn = np.radians(raised), np.radians(forward)
    return np.array([sign * np.sin(up) * np.cos(turn), -np.cos(up), np.sin(up) * np.sin(turn)])


def _swung(sign: float, raised: float, around: float) -> Vector:
    """A direction `raised` to the side, then swung forward by `around`."""
    out, ahead = np.radians(raised), np.radians(around)
    return np.array([
        sign * np.sin(out), -np.cos(out) * np.cos(ahead), np.cos(out) * np.sin(ahead)
    ])  # fmt: skip


def _inwards(sign: float, share: float) -> Vector:
    return np.array([-sign * share, 0.0, 1 - share])


def _hang(pose: Pose, side: str, sign: float, rng: np.random.Generator) -> None:
    aim = _swung(sign, rng.uniform(6, 25), rng.normal(0, 6))
    _arm(pose, side, sign, aim, _inwards(sign, 0.3), rng.uniform(3, 35))


def _hips(pose: Pose, side: str, sign: float, rng: np.random.Generator) -> None:
    aim = _swung(sign, rng.uniform(38, 52), rng.uniform(-25, -5))
    _arm(pose, side, sign, aim, np.array([-sign, -0.3, 0.35]), rng.uniform(85, 105))


def _out(pose: Pose, side: str, sign: float, rng: np.random.Generator) -> None:
    aim = _raised(sign, rng.uniform(40, 100), rng.normal(0, 12))
    _arm(pose, side, sign, aim, np.array([0, 0.3 * rng.normal(), 1.0]), rng.uniform(2, 40))


def _up(pose: Pose, side: str, sign: float, rng: np.random.Generator) -> None:
    aim = _raised(sign, rng.uniform(100, 165), rng.uniform(-10, 50))
    _arm(pose, side, sign, aim, np.array([-sign * 0.6, 1, 0.4]), rng.uniform(2, 80))


def _forward(pose: Pose, side: str, sign: float, rng: np.random.Generator) -> None:
    aim = _raised(sign, rng.uniform(15, 95), rng.uniform(60, 100))
    _arm(pose, side, sign, aim, np.array([-sign * 0.3, 0.8, 0.6]), rng.uniform(5, 95))


def _free(pose: Pose, side: str, sign: float, rng: np.random.Generator) -> None:
    aim = _raised(sign, rng.uniform(10, 150), rng.uniform(-20, 100))
    bend = np.array([-sign * rng.uniform(0, 0.6), rng.uniform(-0.2, 1), rng.uniform(0.3, 1)])
    _arm(pose, side, sign, aim, bend, rng.uniform(5, 120))


_POSES: dict[str, Callable[[Pose, str, float, np.random.Generator], None]] = {
    "hang": _hang, "hips": _hips, "out": _out, "raised": _up, "forward": _forward, "free": _free
}  # fmt: skip


def _unit(vector: Vector) -> Vector:
    unit: Vector = vector / max(float(np.linalg.norm(vector)), 1e-9)
    return unit


def _cross(a: Vector, b: Vector) -> Vector:
    # Several times faster than np.cross on single vectors.
    return np.array([
        a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]
    ])  # fmt: skip


def _about(axis: Vector, angle: float) -> Matrix:
    """The rotation by `angle` about a unit vector (Rodrigues)."""
    x, y, z = axis
    sine, cosine = np.sin(np.radians(angle)), np.cos(np.radians(angle))
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + sine * cross + (1 - cosine) * (cross @ cross))


def _turned(around: float, down: float, aside: float) -> Matrix:
    """Turned to the left about +Y, after a nod down, after a tilt to the right shoulder."""
    return _about(_UP, around) @ _about(_LEFT, down) @ _about(_FRONT, aside)


def _part(rotation: Matrix, share: float) -> Matrix:
    """A share of a rotation of less than half a turn."""
    axis = np.array([
        rotation[2, 1] - rotation[1, 2],
        rotation[0, 2] - rotation[2, 0],
        rotation[1, 0] - rotation[0, 1],
    ])  # fmt: skip
    sine, cosine = float(np.linalg.norm(axis)) / 2, (float(np.trace(rotation)) - 1) / 2
    return _about(_unit(axis), share * float(np.degrees(np.arctan2(sine, cosine))))


def _align(start: Vector, end: Vector) -> Matrix:
    """The smallest rotation from one unit vector to another."""
    axis = _cross(start, end)
    sine, cosine = float(np.linalg.norm(axis)), float(start @ end)
    if sine < 1e-6:
        return np.eye(3)  # poses never ask for the opposite direction
    return _about(axis / sine, float(np.degrees(np.arctan2(sine, cosine))))


def _angle_about(axis: Vector, start: Vector, end: Vector) -> float:
    """The signed angle about `axis` from `start` to `end`, as seen along it."""
    a, b = start - axis * (start @ axis), end - axis * (end @ axis)
    return float(np.degrees(np.arctan2(axis @ _cross(a, b), a @ b)))
