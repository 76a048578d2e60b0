"""Six fixed cameras over the street world, as in PRW: each has its own street, height, light, lens and resolution."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from distillery.data.worlds.street_background import draw_background
from distillery.data.worlds.street_camera import Camera
from distillery.data.worlds.street_clutter import KINDS, draw_clutter
from distillery.data.worlds.street_placing import Ground, Placed, stand
from distillery.data.worlds.street_raster import Ints
from distillery.engine.randomness import numpy_generator

_THINGS = 3
"""Things that stand in every street for good."""


@dataclass(frozen=True)
class View:
    """A fixed camera.

    Attributes:
        frames: Frames of this camera, in proportion to those of the others (PRW's training frames).
        camera: Colour, gamma, noise and blur.
        exposure: Brightness per 256.
        horizon: Row where the ground vanishes, per cent of the height; the higher the camera hangs, the smaller.
        smallest, tallest: Range of people's heights, per mille of the usable height.
        size: Width and height of the frames, per mille of the first camera's.
    """

    frames: int
    camera: Camera
    exposure: int
    horizon: int
    smallest: int
    tallest: int
    size: tuple[int, int] = (1000, 1000)


VIEWS: tuple[View, ...] = (
    View(891, Camera((256, 256, 256), 100, 6, 0), 268, 24, 240, 545),
    View(754, Camera((300, 250, 196), 94, 9, 24), 238, 30, 230, 480),
    View(996, Camera((206, 246, 300), 110, 8, 36), 250, 16, 200, 420),
    View(566, Camera((232, 278, 228), 126, 12, 16), 246, 26, 250, 520),
    View(1251, Camera((222, 222, 230), 66, 9, 72), 246, 20, 210, 400),
    View(1246, Camera((268, 232, 272), 114, 24, 60), 240, 28, 300, 620, (750, 800)),
)
"""Cameras 1 to 6. The last is of an older make, as PRW's, whose frames are 720x576 beside 1920x1080."""


def frame_size(view: View, width: int, height: int) -> tuple[int, int]:
    """(width, height) of a view's frames where the first camera's are `width` by `height` pixels."""
    return width * view.size[0] // 1000, height * view.size[1] // 1000


@dataclass(frozen=True)
class Stage:
    """What a camera sees when nobody is there: the ground, the street (height, width, 3; 0..255), things on it."""

    ground: Ground
    street: Ints
    things: tuple[Placed, ...]


@lru_cache(maxsize=2)
def stage(seed: int, camera: int, light: int, width: int, height: int) -> Stage:
    """The stage of camera 1..6 under light from `light`; always the same street for one seed, camera and size.

    Args:
        seed: Seed of the world.
        camera: Number of the camera, from 1.
        light: Direction of the light, -64 (from the left) to 64 (from the right).
        width: Width of this camera's frames in pixels.
        height: Height of this camera's frames in pixels.
    """
    view = VIEWS[camera - 1]
    generator = numpy_generator(seed, "prw", "street", camera)
    unit = min(height, width * 3 // 4)
    horizon = height - unit + unit * view.horizon // 100
    ground = Ground(width, height, horizon, light, view.tallest)
    street = draw_background(generator, width, height, horizon)
    street.setflags(write=False)
    things = []
    for place in range(_THINGS):
        kind = KINDS[int(generator.integers(0, len(KINDS)))]
        variant = int(generator.integers(0, 4096))
        size = max(unit * int(generator.integers(view.smallest, view.tallest)) // 1000, 8)
        x = (2 * place + 1) * width // (2 * _THINGS) + int(generator.integers(-width // 8, width // 8 + 1))
        things.append(stand(ground, draw_clutter(kind, variant, size, light), size, x))
    return Stage(ground, street, tuple(things))
