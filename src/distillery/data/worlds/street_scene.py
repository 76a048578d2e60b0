"""One image of the street world, with everyone in it annotated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distillery.data.worlds.street_background import draw_background
from distillery.data.worlds.street_camera import CAMERAS, photograph
from distillery.data.worlds.street_looks import Look
from distillery.data.worlds.street_placing import Ground, Placed, place_objects, place_people, visible_shares
from distillery.data.worlds.street_raster import Ints
from distillery.engine.randomness import numpy_generator


@dataclass(frozen=True)
class Walker:
    """A person in an image: `identity` is the index among the labelled people, -1 for somebody unlabelled."""

    identity: int
    look: Look


@dataclass(frozen=True)
class Scene:
    """Everything that determines an image: `seed` and `name` name its random stream, sizes are in pixels."""

    name: str
    seed: int
    width: int
    height: int
    walkers: tuple[Walker, ...]


@dataclass(frozen=True)
class Appearance:
    """A person as annotated: box (x, y, w, h), 1-based whole pixels inside the image; visible share in per cent.

    The box bounds the whole body, hidden parts included.
    """

    identity: int
    box: tuple[int, int, int, int]
    visible: int


def draw_scene(scene: Scene) -> tuple[npt.NDArray[np.uint8], list[Appearance]]:
    """Draws an image (height, width, 3) uint8 RGB and annotates everyone in it, in the order of `scene.walkers`."""
    generator = numpy_generator(scene.seed, "scene", scene.name)
    unit = min(scene.height, scene.width * 3 // 4)
    horizon = scene.height - unit + unit * int(generator.integers(18, 34)) // 100
    ground = Ground(scene.width, scene.height, horizon, light=int(generator.integers(-64, 65)))
    street = draw_background(generator, scene.width, scene.height, horizon)
    people = place_people(generator, ground, [walker.look for walker in scene.walkers])
    items = [*people, *place_objects(generator, ground, people)]
    for item in sorted(items, key=lambda item: item.foot):
        cast_shadow(street, ground, item)
        blend(street, ground, item, share=int(generator.integers(208, 288)))
    camera = CAMERAS[int(generator.integers(0, len(CAMERAS)))]
    exposure, slope = int(generator.integers(212, 304)), int(generator.integers(-70, 71))
    image = photograph(street, camera, exposure, slope, generator)
    shares = visible_shares(ground, items, len(people))
    return image, [
        Appearance(walker.identity, _box(ground, person), share)
        for walker, person, share in zip(scene.walkers, people, shares, strict=True)
    ]


def _box(ground: Ground, person: Placed) -> tuple[int, int, int, int]:
    (rows, columns), _ = person.windows(ground)
    return columns.start + 1, rows.start + 1, columns.stop - columns.start, rows.stop - rows.start


def blend(street: Ints, ground: Ground, item: Placed, share: int) -> None:
    """Lays a sprite over the street; `share` / 256 is the light that falls on it."""
    window, cut = item.windows(ground)
    alpha = item.sprite.alpha[cut][..., None]
    street[window] = (street[window] * (256 - alpha) + np.minimum(item.sprite.rgb[cut] * share >> 8, 255) * alpha) >> 8


def cast_shadow(street: Ints, ground: Ground, item: Placed) -> None:
    """A flat dark ellipse on the ground, thrown away from the light."""
    half = max(item.sprite.alpha.shape[1] * 3 // 5, 3)
    flat = max(half // 4, 2)
    x = item.left + item.sprite.alpha.shape[1] // 2 - half * ground.light // 96
    y0, y1 = max(item.foot - flat, 0), min(item.foot + flat + 1, ground.height)
    x0, x1 = max(x - half, 0), min(x + half + 1, ground.width)
    if y0 >= y1 or x0 >= x1:
        return
    across = (np.arange(x0, x1, dtype=np.int32)[None, :] - x) * 64 // half
    down = (np.arange(y0, y1, dtype=np.int32)[:, None] - item.foot) * 64 // flat
    depth = np.clip(4096 - across * across - down * down, 0, 4096)  # 4096 under the feet, 0 at the rim
    street[y0:y1, x0:x1] = street[y0:y1, x0:x1] * (256 - depth * 120 // 4096)[..., None] >> 8
