"""What a clip of the embedded video world consists of: actors, background, camera, light; plain data."""

from __future__ import annotations

from dataclasses import dataclass

from distillery.data.worlds.raster import Pose
from distillery.data.worlds.textures import Texture
from distillery.data.worlds.video_sprites import Sprite


@dataclass(frozen=True)
class Actor:
    """A sprite and its pose in every frame, as the camera sees it."""

    sprite: Sprite
    poses: tuple[Pose, ...]
    blur: tuple[tuple[int, int], ...] = ()
    """Length of the motion blur (x, y) in pixels in every frame; empty for none."""


@dataclass(frozen=True)
class Prop:
    """A sprite painted into the background."""

    sprite: int
    """Index in `Script.props`."""
    pose: Pose


@dataclass(frozen=True)
class View:
    """What the camera sees of the background in one frame."""

    x: int
    """Point of the background in the middle of the frame, 1/16 pixel."""
    y: int
    """The same, downwards."""
    zoom: int = 256
    """Frame pixels a background pixel, 1/256."""
    angle: int = 0
    """How far the background is turned in the frame, 1/4096 turn."""


@dataclass(frozen=True)
class Script:
    """Everything that `video.render` needs; the same script gives the same bytes."""

    width: int
    height: int
    staged: frozenset[str]
    """Keys of the style's `challenges`."""
    target: Actor
    distractors: tuple[Actor, ...]
    occluders: tuple[Actor, ...]
    ground: Texture
    extent: tuple[int, int]
    """Width and height of the background in pixels."""
    props: tuple[Sprite, ...]
    scenery: tuple[Prop, ...]
    camera: tuple[View, ...]
    streaks: tuple[tuple[int, int], ...]
    """Length of the blur (x, y) of the whole picture in pixels in every frame; empty for none."""
    light: tuple[tuple[int, int, int], ...]
    """Gain of red, green and blue in every frame, 1/256."""
    noise: int
    """Amplitude of the sensor noise, in grey levels."""
    seed: int
    """Seed of the sensor noise."""
