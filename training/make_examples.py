"""Draw the pictures of `examples/`: objects of the validation split, never trained on.

`python -m training.make_examples --out examples`
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.backgrounds import composite, random_background
from training.camera import Camera, frame_vertices, frame_window
from training.meshes import MeshPack, split
from training.render import Light, Scene, render_picture

_SIZE = 512


@dataclass(frozen=True, slots=True)
class Example:
    """One picture: angles in degrees; `color` [3] sRGB replaces an untinted object's white."""

    file: str
    path: str  # end of the object's path in the pack
    azimuth: float
    elevation: float
    distance: float
    # A kind of `random_background`, one sRGB tone, or None: keeps the alpha channel.
    background: str | tuple[int, int, int] | None
    color: tuple[int, int, int] | None = None


EXAMPLES = (
    Example("taxi.png", "kenney/vehicle/CarKit__Taxi.glb", -40, 22, 1.55, None),
    Example("duck.png", "basemesh/animal/DuckSculpture.glb", 35, 15, 1.45, None, (240, 190, 60)),
    Example("muffin.jpg", "kenney/food/FoodKit__Muffin.glb", 20, 25, 2.0, (232, 228, 220)),
    Example("chair.jpg", "quaternius/furniture/Furniture_Pack_March_2019__OfficeChair.glb",
            35, 20, 1.6, "gradient"),
    Example("robot.webp", "quaternius/monster/Animated_Robot_Oct_2018__Robot.glb",
            25, 10, 1.5, (196, 212, 222)),
    # Thin wings, dark colours and a busy background: this one is meant to be hard.
    Example("hard_dragon.jpg", "quaternius/monster/Monster_Pack_Animated_Aug_2018__Dragon.glb",
            -30, 15, 1.5, "blobs"),
)  # fmt: skip


def studio_light(camera: Camera) -> Light:
    """A key light from the upper left of the camera and a bright sky."""
    right, up, back = camera.axes
    aim = -0.6 * right + 0.8 * up + 0.7 * back
    return Light(
        direction=(aim / np.linalg.norm(aim)).astype(np.float32),
        key=0.75, ambient=0.3, sky=0.25, specular=0.05, shininess=20.0,
        tint=np.array([1.0, 0.98, 0.95], np.float32),
    )  # fmt: skip


def draw(example: Example, pack: MeshPack, index: int) -> NDArray[np.uint8]:
    """[512, 512, 4] with alpha, or [512, 512, 3] over a background."""
    mesh = pack.mesh(index)
    framed = frame_vertices(mesh.vertices, np.radians(example.azimuth))
    fov = np.radians(40.0)
    camera = Camera(0.0, np.radians(example.elevation), example.distance, fov)
    colors = mesh.face_colors
    if example.color is not None:
        colors = np.broadcast_to(np.array(example.color, np.uint8), colors.shape).copy()
    scene = Scene(framed, mesh.faces)
    light = studio_light(camera)
    rgba = render_picture(scene, colors, camera, frame_window(camera), light, _SIZE, supersample=4)
    if example.background is None:
        return rgba
    rng = np.random.default_rng(len(example.file))
    if isinstance(example.background, str):
        background = random_background(rng, _SIZE, example.background)
    else:
        background = np.full((_SIZE, _SIZE, 3), example.background, np.float32)
    rgb = composite(rgba, cv2.GaussianBlur(background, (0, 0), 1.0), soft=True)
    noisy = rgb + rng.normal(0, 1.5, rgb.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("examples"))
    parser.add_argument("--pack", type=Path, default=Path("../shared/data3d/train.npz.xz"))
    parser.add_argument("--manifest", type=Path, default=Path("../shared/data3d/manifest.csv"))
    args = parser.parse_args()
    pack = MeshPack.load(args.pack, args.manifest)
    held_out = {pack.mesh(int(k)).path: int(k) for k in split(pack).val}
    for example in EXAMPLES:
        [index] = [k for path, k in held_out.items() if path.endswith(example.path)]
        picture = Image.fromarray(draw(example, pack, index))
        picture.save(args.out / example.file, quality=92)
        print(example.file)


if __name__ == "__main__":
    main()
