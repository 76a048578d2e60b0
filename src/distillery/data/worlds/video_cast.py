"""The actors of a clip of the embedded video world: the target, its look-alikes, and what hides it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from distillery.data.worlds.raster import SUB, TURN, Pose
from distillery.data.worlds.textures import Colour, difference, draw_colour, draw_texture
from distillery.data.worlds.video_camera import Lens
from distillery.data.worlds.video_motion import (
    Absence,
    bump,
    crossing,
    escort,
    leave,
    ramp,
    swing,
    vanish,
    wander,
)
from distillery.data.worlds.video_scene import Actor
from distillery.data.worlds.video_sprites import Sprite, draw_shape, draw_shield, similar
from distillery.data.worlds.video_styles import Style

OBJECT_TEXTURES = ("sine", "stripes", "checker", "dots", "rings", "noise", "blotches")


def nominal(width: int, height: int) -> int:
    """1/16 pixels of this frame for a pixel of the nominal 240 x 180; small frames keep objects of some pixels."""
    return max(SUB * min(height, width * 3 // 4) // 180, SUB // 2)


def _colours(rng: np.random.Generator) -> tuple[Colour, Colour]:
    """Two vivid colours that differ clearly."""
    first = draw_colour(rng, (50, 130), (50, 205))
    while True:
        second = draw_colour(rng, (30, 130), (30, 225))
        if difference(first, second) >= 230:
            return first, second


def _sizes(rng: np.random.Generator, frames: int, unit: int, style: Style, staged: frozenset[str]) -> list[int]:
    """Diameter of the target in every frame, 1/16 pixel; `unit` is 1/16 pixel at the nominal frame height of 180."""
    first = int(rng.integers(*(style.small if "small" in staged else style.size)))
    low, high = (62, 74) if rng.integers(2) and first > 36 else (136, 160)
    if "scale" not in staged:
        low, high = 92, 109
    last = first * int(rng.integers(low, high)) // 100
    first, last = first * unit, min(last, 70) * unit
    if rng.integers(2):
        return ramp(frames, first, last)
    return [first + change for change in bump(frames, last - first, frames * 2 // 3, max(frames * 2 // 3, 1))]


def draw_target(
    rng: np.random.Generator,
    width: int,
    height: int,
    style: Style,
    staged: frozenset[str],
    lens: Lens,
    absences: Sequence[Absence],
) -> Actor:
    """The tracked object, as the camera sees it."""
    frames = len(lens.zoom)
    unit = nominal(width, height)
    sizes = [size * zoom >> 8 for size, zoom in zip(_sizes(rng, frames, unit, style, staged), lens.zoom, strict=True)]
    sprite = Sprite(
        draw_shape(rng), draw_texture(rng, (11, 30), _colours(rng), OBJECT_TEXTURES), int(rng.integers(40, 150))
    )
    margin = max(sizes) * 5 // 8
    bounds = (margin, margin, width * SUB - margin, height * SUB - margin)
    start = tuple(int(rng.integers(bounds[axis], max(bounds[axis + 2], bounds[axis] + 1))) for axis in (0, 1))
    path = wander(
        rng,
        frames,
        (start[0], start[1]),
        bounds,
        speed=int(rng.integers(unit * style.speed[0] // SUB, unit * style.speed[1] // SUB)),
        bursts=int(rng.integers(*style.burst)) * unit if staged & {"fast", "shake"} else 0,
    )
    if "leave" in staged:
        third = max(frames // 3, 2)
        away = min(int(rng.integers(third, max(frames, third + 1))), frames - 1)
        path = leave(path, sizes[away], width, height, away)
    for absence in absences:
        if absence.kind == "vanish":
            path = vanish(path, sizes[absence.when], width, height, absence)
    spin = int(rng.integers(TURN // 9, TURN // 3)) if "rotation" in staged else int(rng.integers(TURN // 60))
    start_angle = int(rng.integers(TURN))
    angles = swing(rng, frames, spin, (1, 6)) if rng.integers(2) else ramp(frames, 0, spin)
    thin = int(rng.integers(90, 140)) if "turn" in staged else 0
    turns = bump(frames, thin, max(frames * 2 // 3, 1), max(frames * 2 // 3, 1))
    bend = int(rng.integers(700, 1100)) if "deformation" in staged else 0
    tempo = TURN * int(rng.integers(2, 5)) // frames
    tall = int(rng.integers(185, 257))
    poses = tuple(
        Pose(
            x,
            y,
            sizes[t],
            angle=(start_angle + angles[t] + lens.roll[t]) % TURN,
            width=256 - turns[t],
            height=tall,
            bend=bend,
            phase=tempo * t,
        )
        for t, (x, y) in enumerate(path)
    )
    blur: tuple[tuple[int, int], ...] = ()
    if "blur" in staged and "shake" not in staged:  # a jerk blurs the whole picture
        heading = [(path[t][0] - path[max(t - 1, 0)][0], path[t][1] - path[max(t - 1, 0)][1]) for t in range(frames)]
        length = int(rng.integers(5, 9)) * unit // SUB
        blur = tuple(_along(step, length) if t and (t * 5 // frames) % 2 else (0, 0) for t, step in enumerate(heading))
    return Actor(sprite, poses, blur)


def _along(step: tuple[int, int], length: int) -> tuple[int, int]:
    """A vector of about `length` pixels in the direction of `step`."""
    reach = max(abs(step[0]), abs(step[1]), 1)
    return step[0] * length // reach, step[1] * length // reach


def draw_distractor(rng: np.random.Generator, target: Actor, width: int, height: int) -> Actor:
    """A look-alike that starts beside the target, may pass behind it, and in half of the cases keeps it company."""
    frames, first = len(target.poses), target.poses[0]
    size = first.size * int(rng.integers(210, 290)) // 256
    for _ in range(20):
        dx, dy = int(rng.integers(-3 * size, 3 * size)), int(rng.integers(-3 * size, 3 * size))
        x, y = first.x + dx, first.y + dy
        if max(abs(dx), abs(dy)) > size * 5 // 4 and 0 < x < width * SUB and 0 < y < height * SUB:
            break
    speed = int(rng.integers(SUB, 5 * SUB // 2))
    if rng.integers(2):
        path = wander(rng, frames, (x, y), (0, 0, width * SUB, height * SUB), speed)
    else:
        reach = 2 * size
        offsets = wander(rng, frames, (dx, dy), (-reach, -reach, reach, reach), speed)
        path = [(pose.x + dx, pose.y + dy) for pose, (dx, dy) in zip(target.poses, offsets, strict=True)]
    angle, tall = int(rng.integers(TURN)), int(rng.integers(185, 257))
    turn = swing(rng, frames, int(rng.integers(TURN // 8)), (1, 5))
    poses = tuple(Pose(x, y, size, angle=(angle + a) % TURN, height=tall) for (x, y), a in zip(path, turn, strict=True))
    return Actor(similar(rng, target.sprite), poses)


def draw_occluder(rng: np.random.Generator, target: Actor, ground: tuple[Colour, Colour]) -> Actor:
    """Something that passes in front of the target."""
    frames = len(target.poses)
    when = int(rng.integers(max(frames // 3, 1), max(frames * 4 // 5, 2)))
    size = target.poses[when].size * int(rng.integers(190, 300)) // 256
    clear = (size + target.poses[0].size) * 3 // 4
    path = crossing(
        rng, [(pose.x, pose.y) for pose in target.poses], when, clear, size * int(rng.integers(-70, 71)) // 256
    )
    colours = (draw_colour(rng, (10, 120), (40, 210)), ground[int(rng.integers(2))])
    sprite = Sprite(draw_shape(rng), draw_texture(rng, (14, 40), colours, OBJECT_TEXTURES), int(rng.integers(100)))
    angle = int(rng.integers(TURN))
    return Actor(sprite, tuple(Pose(x, y, size, angle=angle) for x, y in path))


def draw_cover(
    rng: np.random.Generator, target: Actor, ground: tuple[Colour, Colour], absence: Absence, unit: int
) -> Actor:
    """Something larger than the target that hides it altogether for a while."""
    size = target.poses[absence.when].size * int(rng.integers(560, 680)) // 256
    clear = (size + target.poses[0].size) * 3 // 4
    speed = int(rng.integers(6, 11)) * unit
    path = escort(rng, [(pose.x, pose.y) for pose in target.poses], absence, clear, speed)
    colours = (draw_colour(rng, (10, 120), (40, 210)), ground[int(rng.integers(2))])
    texture = draw_texture(rng, (14, 40), colours, OBJECT_TEXTURES)
    sprite = Sprite(draw_shield(rng), texture, int(rng.integers(100)))
    angle = int(rng.integers(TURN))
    return Actor(sprite, tuple(Pose(x, y, size, angle=angle) for x, y in path))
