"""The embedded video world: a textured object moves over a textured background, and everything about it is known.

`draw_script` decides, `render` paints. Both use whole numbers only, so a seed gives the same bytes on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from distillery.data.worlds.raster import (
    Bytes,
    Ints,
    Layer,
    composite,
    covered,
    inside,
    place,
    smear,
    window,
)
from distillery.data.worlds.textures import synthesise
from distillery.data.worlds.video_script import MARGIN, Actor, Script, draw_script
from distillery.data.worlds.video_sprites import pixels
from distillery.engine.randomness import numpy_generator


@dataclass(frozen=True)
class Frame:
    """A picture and what is true in it."""

    image: Bytes
    """RGB of shape (H, W, 3)."""
    box: tuple[int, int, int, int]
    """Tight x, y, w, h of the whole object, hidden parts included; 0-based pixels, may reach out of the picture."""
    area: int
    """Pixels of the object's mask, hidden and outside parts included."""
    inside: int
    """Pixels of the mask that lie in the picture."""
    visible: int
    """Pixels of the mask that lie in the picture and are not hidden by an occluder."""
    blur: int
    """Length of the motion blur in pixels."""


def _backdrop(script: Script) -> Ints:
    """The background, `MARGIN` (and a pixel for interpolation) larger than the frame on every side."""
    height, width = script.height + 2 * MARGIN + 1, script.width + 2 * MARGIN + 1
    ground = synthesise(script.ground, height, width).astype(np.int32)
    levels = [pixels(sprite) for sprite in script.props]
    for prop in script.scenery:
        composite(ground, place(levels[prop.sprite], prop.pose))
    return ground


def _layers(actor: Actor) -> Iterator[Layer]:
    """The actor in every frame, without motion blur."""
    levels = pixels(actor.sprite)
    for pose in actor.poses:
        yield place(levels, pose)


def _sensor_noise(script: Script) -> Ints:
    """Triangular noise (H, 2 W, 1) of the script's amplitude; every frame shows another part of it."""
    rng = np.random.Generator(np.random.PCG64(script.seed))
    size = (2, script.height, 2 * script.width, 1)
    draws = rng.integers(-script.noise, script.noise + 1, size=size, dtype=np.int32)
    return np.asarray(draws.sum(axis=0, dtype=np.int32) // 2)


def render(script: Script) -> Iterator[Frame]:
    """Paints a clip frame by frame: background, look-alikes, target, occluder, light, noise."""
    backdrop, noise = _backdrop(script), _sensor_noise(script)
    shape = (script.height, script.width)
    target = _layers(script.target)
    distractors = [_layers(actor) for actor in script.distractors]
    occluder = _layers(script.occluder) if script.occluder else None
    for t, (x, y) in enumerate(script.camera):
        picture = window(backdrop, x, y, *shape)
        for actor in distractors:
            composite(picture, next(actor))
        layer = next(target)
        dx, dy = script.target.blur[t] if script.target.blur else (0, 0)
        composite(picture, smear(layer, dx, dy))
        seen = inside(layer, shape)
        in_picture = int(seen.sum())
        if occluder:
            front = next(occluder)
            composite(picture, front)
            seen &= ~covered(layer, front)
        picture = picture * np.array(script.light[t], dtype=np.int32) >> 8
        shift = t * 53 % script.width
        picture += noise[:, shift : shift + script.width]
        image = np.clip(picture, 0, 255).astype(np.uint8)
        area = int(layer.mask.sum())
        yield Frame(image, layer.box(), area, in_picture, int(seen.sum()), max(abs(dx), abs(dy)))


def play(seed: int, split: str, index: int, size: tuple[int, int], frames: int) -> tuple[Script, list[Frame]]:
    """Draws and renders one clip.

    Args:
        seed: Seed of the dataset.
        split: Name of the dataset and its part; every split has its own random streams, so no two share an object.
        index: Number of the clip in its split.
        size: Width and height in pixels.
        frames: Number of frames.
    """
    script = draw_script(numpy_generator(seed, "video", split, index), *size, frames)
    return script, list(render(script))
