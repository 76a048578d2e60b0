"""The embedded video world: a textured object moves over a textured background, and everything about it is known.

`draw_script` decides, `render` paints. Both use whole numbers only, so a seed gives the same bytes on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from distillery.data.worlds.raster import (
    SUB,
    Bytes,
    Ints,
    Layer,
    Mask,
    Packed,
    Pose,
    composite,
    covered,
    inside,
    pack,
    place,
    smear,
    streak,
    tight,
    turned_window,
    window,
)
from distillery.data.worlds.textures import synthesise
from distillery.data.worlds.video_scene import Actor, Script, View
from distillery.data.worlds.video_script import draw_script
from distillery.data.worlds.video_sprites import pixels
from distillery.data.worlds.video_styles import PLAIN, Style
from distillery.engine.randomness import numpy_generator

GLIMPSE = 32
"""An object of which less than one part in so many is visible counts as absent where a benchmark labels that."""


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
    mask: Mask
    """The whole object (h, w), from the corner of `box`."""
    seen: Mask
    """What of `mask` is visible."""

    @property
    def away(self) -> bool:
        """Whether the object is out of the picture, but for a trace that nobody would notice."""
        return GLIMPSE * self.inside < self.area

    @property
    def buried(self) -> bool:
        """Whether it is in the picture, and hidden but for such a trace."""
        return not self.away and GLIMPSE * self.visible < self.area


class _Backdrop:
    """The background, a pixel larger than the script's extent, for interpolation."""

    def __init__(self, script: Script) -> None:
        width, height = script.extent
        self._ground = synthesise(script.ground, height + 1, width + 1).astype(np.int32)
        levels = [pixels(sprite) for sprite in script.props]
        for prop in script.scenery:
            composite(self._ground, place(levels[prop.sprite], prop.pose))
        self._packed: Packed | None = None

    def seen(self, view: View, height: int, width: int) -> Ints:
        """What a view shows, of shape (height, width, 3)."""
        if view.zoom == 256 and view.angle == 0:
            return window(self._ground, view.x - width * SUB // 2, view.y - height * SUB // 2, height, width)
        if self._packed is None:
            self._packed = pack(np.concatenate([self._ground, self._ground[..., :1]], axis=-1))
        return turned_window(self._packed, view.x, view.y, view.zoom, view.angle, height, width)


def _near(pose: Pose, shape: tuple[int, int]) -> bool:
    """Whether a sprite with this pose may touch the picture."""
    reach = pose.size + 2 * SUB
    return -reach < pose.x < shape[1] * SUB + reach and -reach < pose.y < shape[0] * SUB + reach


def _layers(actor: Actor, shape: tuple[int, int]) -> Iterator[Layer | None]:
    """The actor in every frame, without motion blur; None where it is surely outside."""
    levels = pixels(actor.sprite)
    for pose in actor.poses:
        yield place(levels, pose) if _near(pose, shape) else None


def _sensor_noise(script: Script) -> Ints:
    """Triangular noise (H, 2 W, 1) of the script's amplitude; every frame shows another part of it."""
    rng = np.random.Generator(np.random.PCG64(script.seed))
    size = (2, script.height, 2 * script.width, 1)
    draws = rng.integers(-script.noise, script.noise + 1, size=size, dtype=np.int32)
    return np.asarray(draws.sum(axis=0, dtype=np.int32) // 2)


def render(script: Script) -> Iterator[Frame]:
    """Paints a clip frame by frame: background, look-alikes, target, occluders, camera's blur, light, noise."""
    backdrop, noise = _Backdrop(script), _sensor_noise(script)
    shape = (script.height, script.width)
    levels = pixels(script.target.sprite)
    distractors = [_layers(actor, shape) for actor in script.distractors]
    occluders = [_layers(actor, shape) for actor in script.occluders]
    for t, view in enumerate(script.camera):
        picture = backdrop.seen(view, *shape)
        for actor in distractors:
            if (behind := next(actor)) is not None:
                composite(picture, behind)
        layer = place(levels, script.target.poses[t])
        dx, dy = script.target.blur[t] if script.target.blur else (0, 0)
        composite(picture, smear(layer, dx, dy))
        seen = inside(layer, shape)
        in_picture = int(seen.sum())
        for actor in occluders:
            if (front := next(actor)) is not None:
                composite(picture, front)
                seen &= ~covered(layer, front)
        if script.streaks:
            dx, dy = script.streaks[t]
            picture = streak(picture, dx, dy)
        picture = picture * np.array(script.light[t], dtype=np.int32) >> 8
        shift = t * 53 % script.width
        picture += noise[:, shift : shift + script.width]
        image = np.clip(picture, 0, 255).astype(np.uint8)
        mask = layer.mask
        x, y, w, h = box = tight(mask, layer.left, layer.top)
        part = slice(y - layer.top, y - layer.top + h), slice(x - layer.left, x - layer.left + w)
        yield Frame(
            image=image,
            box=box,
            area=int(mask.sum()),
            inside=in_picture,
            visible=int(seen.sum()),
            blur=max(abs(dx), abs(dy)),
            mask=mask[part],
            seen=seen[part],
        )


def play(
    seed: int, split: str, index: int, size: tuple[int, int], frames: int, style: Style = PLAIN
) -> tuple[Script, list[Frame]]:
    """Draws and renders one clip.

    Args:
        seed: Seed of the dataset.
        split: Name of the dataset and its part; every split has its own random streams, so no two share an object.
        index: Number of the clip in its split.
        size: Width and height in pixels.
        frames: Number of frames.
        style: What may happen.
    """
    script = draw_script(numpy_generator(seed, "video", split, index), *size, frames, style)
    return script, list(render(script))
