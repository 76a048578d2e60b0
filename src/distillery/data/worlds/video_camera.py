"""The camera of the embedded video world: it drifts a little, or it flies, zooms and rolls and everything moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from distillery.data.worlds.raster import SUB, TURN, cos, sin
from distillery.data.worlds.video_motion import bump, ramp, swing, wander
from distillery.data.worlds.video_scene import Actor, View
from distillery.data.worlds.video_styles import Flight

MARGIN = 24
"""Pixels of background around the frame that a drifting camera may reach."""

EXPOSURE = 3
"""A frame is exposed for one in so many parts of the time between two."""
STREAK = 8
"""Longest blur of the whole picture, in pixels of a frame of 240 x 180."""


@dataclass(frozen=True)
class Lens:
    """What the camera does to the size and the direction of everything, in every frame."""

    zoom: tuple[int, ...]
    """Magnification, 1/256; 256 in the first frame."""
    roll: tuple[int, ...]
    """Rotation, 1/4096 turn; 0 in the first frame."""


def draw_lens(rng: np.random.Generator, frames: int, staged: frozenset[str]) -> Lens:
    """Draws magnification and rotation; nothing is drawn where neither `zoom` nor `roll` is staged."""
    zoom, roll = [256] * frames, [0] * frames
    if "zoom" in staged:
        last = int(rng.integers(*((160, 200) if rng.integers(2) else (325, 400))))
        if rng.integers(2):
            zoom = ramp(frames, 256, last)
        else:
            zoom = [256 + change for change in bump(frames, last - 256, frames * 2 // 3, max(frames * 2 // 3, 1))]
    if "roll" in staged:
        roll = swing(rng, frames, int(rng.integers(TURN // 20, TURN // 7)), (1, 4))
    return Lens(tuple(zoom), tuple(roll))


def drift(rng: np.random.Generator, width: int, height: int, frames: int) -> tuple[View, ...]:
    """A camera that wanders in a background which is `MARGIN` larger than the frame on every side."""
    reach = 2 * MARGIN * SUB
    path = wander(rng, frames, (reach // 2,) * 2, (0, 0, reach, reach), int(rng.integers(1, 20)))
    return tuple(View(x + width * SUB // 2, y + height * SUB // 2) for x, y in path)


def fly(
    rng: np.random.Generator, flight: Flight, target: Actor, lens: Lens, size: tuple[int, int], unit: int, jerky: bool
) -> tuple[Actor, tuple[View, ...]]:
    """A camera that moves by its own and keeps the target where its poses say.

    Args:
        rng: Source of randomness.
        flight: How the camera moves.
        target: The target as the camera sees it.
        lens: What the camera does to sizes and directions.
        size: Width and height of the frame in pixels.
        unit: 1/16 pixels of this frame for a pixel of 240 x 180.
        jerky: Whether the target's sudden displacements in the frame are the camera's; else they are its own.

    Returns:
        The target as the first frame's camera would see it if it stood still for ever, and what the camera sees of
        that world in every frame. In the first frame the two agree.
    """
    frames, reach = len(target.poses), flight.reach * unit
    speed = int(rng.integers(flight.pan[0], flight.pan[1] + 1)) * unit // SUB
    middle = (size[0] * SUB // 2, size[1] * SUB // 2)
    # From the middle of the picture to the target, in the world.
    offsets = [
        _turn((pose.x - middle[0]) * 256 // zoom, (pose.y - middle[1]) * 256 // zoom, -roll)
        for pose, zoom, roll in zip(target.poses, lens.zoom, lens.roll, strict=True)
    ]
    x, y = (target.poses[0].x, target.poses[0].y) if jerky else middle
    path = wander(rng, frames, (x, y), (x - reach, y - reach, x + reach, y + reach), speed)
    # The target goes smoothly and the camera follows as it can, or the other way round.
    world = path if jerky else [(x + dx, y + dy) for (x, y), (dx, dy) in zip(path, offsets, strict=True)]
    poses, views = [], []
    for pose, zoom, roll, (x, y), (dx, dy) in zip(target.poses, lens.zoom, lens.roll, world, offsets, strict=True):
        poses.append(replace(pose, x=x, y=y, size=pose.size * 256 // zoom, angle=(pose.angle - roll) % TURN))
        views.append(View(x - dx, y - dy, zoom, roll))
    return replace(target, poses=tuple(poses), blur=()), tuple(views)


def _turn(x: int, y: int, angle: int) -> tuple[int, int]:
    """A vector turned by an angle (1/4096 turn), as `raster.place` turns sprites."""
    return (x * cos(angle) - y * sin(angle)) >> 14, (x * sin(angle) + y * cos(angle)) >> 14


def film(actor: Actor, views: Sequence[View], size: tuple[int, int]) -> Actor:
    """An actor of the world as a moving camera sees it."""
    poses = []
    for pose, view in zip(actor.poses, views, strict=True):
        x, y = _turn((pose.x - view.x) * view.zoom >> 8, (pose.y - view.y) * view.zoom >> 8, view.angle)
        poses.append(
            replace(
                pose,
                x=x + size[0] * SUB // 2,
                y=y + size[1] * SUB // 2,
                size=max(pose.size * view.zoom >> 8, SUB),
                angle=(pose.angle + view.angle) % TURN,
            )
        )
    return replace(actor, poses=tuple(poses))


def cut_out(views: Sequence[View], size: tuple[int, int]) -> tuple[tuple[View, ...], tuple[int, int]]:
    """The views from the corner of the smallest background that they need, and its width and height in pixels."""
    corners = [
        _turn(u * 256 // view.zoom, v * 256 // view.zoom, -view.angle)
        for view in views
        for u in (-size[0] * SUB // 2, size[0] * SUB // 2)
        for v in (-size[1] * SUB // 2, size[1] * SUB // 2)
    ]
    places = [(views[k // 4].x + dx, views[k // 4].y + dy) for k, (dx, dy) in enumerate(corners)]
    left, top = (min(place[axis] for place in places) - 2 * SUB for axis in (0, 1))
    right, bottom = (max(place[axis] for place in places) + 2 * SUB for axis in (0, 1))
    moved = tuple(replace(view, x=view.x - left, y=view.y - top) for view in views)
    return moved, ((right - left >> 4) + 1, (bottom - top >> 4) + 1)


def shifts(views: Sequence[View]) -> list[tuple[int, int]]:
    """How far the middle of the picture moved in the frame since the frame before, 1/16 pixel; first (0, 0)."""
    moves = [
        _turn((before.x - view.x) * view.zoom >> 8, (before.y - view.y) * view.zoom >> 8, view.angle)
        for before, view in pairwise(views)
    ]
    return [(0, 0), *moves]


def streaks(views: Sequence[View], unit: int) -> tuple[tuple[int, int], ...]:
    """Blur of the whole picture in every frame: what the camera moves while a frame is exposed, in pixels."""
    limit = STREAK * unit // SUB
    lengths = []
    for dx, dy in shifts(views):
        reach = max(abs(dx), abs(dy), 1)
        length = min(reach // (EXPOSURE * SUB), limit)
        x, y = abs(dx) * length // reach, abs(dy) * length // reach
        lengths.append((x if dx > 0 else -x, y if dy > 0 else -y))
    return tuple(lengths)
