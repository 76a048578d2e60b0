"""What happens in a clip of the embedded video world, drawn before anything is rendered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from distillery.data.worlds.raster import SUB, TURN, Pose
from distillery.data.worlds.textures import Colour, Texture, difference, draw_colour, draw_texture
from distillery.data.worlds.video_motion import Path, bump, crossing, leave, ramp, swing, wander
from distillery.data.worlds.video_sprites import Sprite, draw_shape, similar

CHALLENGES: dict[str, int] = {
    "illumination": 40,
    "scale": 50,
    "occlusion": 40,
    "deformation": 45,
    "blur": 25,
    "fast": 30,
    "rotation": 55,
    "turn": 35,
    "leave": 12,
    "clutter": 40,
    "small": 10,
}
"""Share of clips in which each challenge is staged, in percent."""

DISTRACTORS = (10, 50, 100)
"""Cumulative share of clips with at most 0, 1, 2 look-alikes, in percent."""

OBJECT_TEXTURES = ("sine", "stripes", "checker", "dots", "rings", "noise", "blotches")
GROUND_TEXTURES = ("sine", "checker", "rings", "noise", "blotches", "noise", "sine")

MARGIN = 24
"""Pixels of background around the frame that the camera may drift into."""


@dataclass(frozen=True)
class Actor:
    """A sprite and its pose in every frame."""

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
class Script:
    """Everything that `video.render` needs; the same script gives the same bytes."""

    width: int
    height: int
    staged: frozenset[str]
    """Keys of `CHALLENGES`."""
    target: Actor
    distractors: tuple[Actor, ...]
    occluder: Actor | None
    ground: Texture
    props: tuple[Sprite, ...]
    scenery: tuple[Prop, ...]
    camera: Path
    """Corner of the frame in the background, 1/16 pixel."""
    light: tuple[tuple[int, int, int], ...]
    """Gain of red, green and blue in every frame, 1/256."""
    noise: int
    """Amplitude of the sensor noise, in grey levels."""
    seed: int
    """Seed of the sensor noise."""


def _colours(rng: np.random.Generator) -> tuple[Colour, Colour]:
    """Two vivid colours that differ clearly."""
    first = draw_colour(rng, (50, 130), (50, 205))
    while True:
        second = draw_colour(rng, (30, 130), (30, 225))
        if difference(first, second) >= 230:
            return first, second


def _ground_colours(rng: np.random.Generator, target: tuple[Colour, Colour], near: bool) -> tuple[Colour, Colour]:
    """Two muted colours; like the target's where the background is to be cluttered."""
    if near:
        first, second = target
        dim = int(rng.integers(150, 215))
        darker = (first[0] * dim >> 8, first[1] * dim >> 8, first[2] * dim >> 8)
        return darker, (second[0] * dim >> 8, second[1] * dim >> 8, second[2] * dim >> 8)
    while True:
        first, second = draw_colour(rng, (5, 55), (60, 190)), draw_colour(rng, (5, 55), (60, 190))
        far = all(difference(a, b) >= 60 for a in (first, second) for b in target)
        if 40 <= difference(first, second) <= 210 and far:
            return first, second


def _unit(width: int, height: int) -> int:
    """1/16 pixels of this frame for a pixel of the nominal 240 x 180; small frames keep objects of some pixels."""
    return max(SUB * min(height, width * 3 // 4) // 180, SUB // 2)


def _sizes(rng: np.random.Generator, frames: int, unit: int, staged: frozenset[str]) -> list[int]:
    """Diameter of the target in every frame, 1/16 pixel; `unit` is 1/16 pixel at the nominal frame height of 180."""
    first = int(rng.integers(19, 25)) if "small" in staged else int(rng.integers(32, 54))
    low, high = (62, 74) if rng.integers(2) and first > 36 else (136, 160)
    if "scale" not in staged:
        low, high = 92, 109
    last = first * int(rng.integers(low, high)) // 100
    first, last = first * unit, min(last, 70) * unit
    if rng.integers(2):
        return ramp(frames, first, last)
    return [first + change for change in bump(frames, last - first, frames * 2 // 3, max(frames * 2 // 3, 1))]


def _target(rng: np.random.Generator, width: int, height: int, frames: int, staged: frozenset[str]) -> Actor:
    """The tracked object."""
    unit = _unit(width, height)
    sizes = _sizes(rng, frames, unit, staged)
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
        speed=int(rng.integers(unit * 3 // 4, 2 * unit)),
        bursts=int(rng.integers(9, 14)) * unit if "fast" in staged else 0,
    )
    if "leave" in staged:
        third = max(frames // 3, 2)
        away = min(int(rng.integers(third, max(frames, third + 1))), frames - 1)
        path = leave(path, sizes[away], width, height, away)
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
            angle=(start_angle + angles[t]) % TURN,
            width=256 - turns[t],
            height=tall,
            bend=bend,
            phase=tempo * t,
        )
        for t, (x, y) in enumerate(path)
    )
    blur: tuple[tuple[int, int], ...] = ()
    if "blur" in staged:
        heading = [(path[t][0] - path[max(t - 1, 0)][0], path[t][1] - path[max(t - 1, 0)][1]) for t in range(frames)]
        length = int(rng.integers(5, 9)) * unit // SUB
        blur = tuple(_along(step, length) if t and (t * 5 // frames) % 2 else (0, 0) for t, step in enumerate(heading))
    return Actor(sprite, poses, blur)


def _along(step: tuple[int, int], length: int) -> tuple[int, int]:
    """A vector of about `length` pixels in the direction of `step`."""
    reach = max(abs(step[0]), abs(step[1]), 1)
    return step[0] * length // reach, step[1] * length // reach


def _distractor(rng: np.random.Generator, target: Actor, width: int, height: int) -> Actor:
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


def _occluder(rng: np.random.Generator, target: Actor, ground: tuple[Colour, Colour]) -> Actor:
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


def _scenery(
    rng: np.random.Generator, target: Actor, width: int, height: int, near: bool
) -> tuple[tuple[Sprite, ...], tuple[Prop, ...]]:
    """Things painted into the background: a quarter of them in the target's colours.

    In a cluttered background half of them share the target's colours and family of texture.
    """
    props = []
    for index in range(4):
        if near and index % 2:
            props.append(similar(rng, target.sprite))
            continue
        colours = (draw_colour(rng, (5, 90), (50, 200)), draw_colour(rng, (5, 90), (50, 200)))
        if index == 1:  # colour alone never tells the target from the scene
            colours = target.sprite.texture.colours
        props.append(Sprite(draw_shape(rng), draw_texture(rng, (12, 40), colours, OBJECT_TEXTURES), 30))
    unit = _unit(width, height)
    scenery = []
    for _ in range(int(rng.integers(6, 15))):
        kind = int(rng.integers(4))
        mimic = near and kind % 2
        size = (int(rng.integers(16, 34)) if mimic else int(rng.integers(14, 70))) * unit
        x, y = (int(rng.integers((side + 2 * MARGIN) * SUB)) for side in (width, height))
        pose = Pose(x, y, size, angle=int(rng.integers(TURN)), height=int(rng.integers(120, 257)))
        scenery.append(Prop(kind, pose))
    return tuple(props), tuple(scenery)


def _light(rng: np.random.Generator, frames: int, staged: bool) -> tuple[tuple[int, int, int], ...]:
    """Gains of the three channels: a slow change of brightness with a tint."""
    if not staged:
        return ((256, 256, 256),) * frames
    depth = int(rng.integers(90, 130)) * (1 if rng.integers(3) == 0 else -1)
    half = int(rng.integers(max(frames // 4, 1), max(frames // 2, 2)))
    change = bump(frames, depth, int(rng.integers(frames // 3, max(frames * 4 // 5, 1))), half)
    tint = [int(rng.integers(200, 290)) for _ in range(3)]
    return tuple((256 + (c * tint[0] >> 8), 256 + (c * tint[1] >> 8), 256 + (c * tint[2] >> 8)) for c in change)


def draw_script(rng: np.random.Generator, width: int, height: int, frames: int) -> Script:
    """Draws a clip: its challenges, objects, paths and light."""
    staged = frozenset(name for name, percent in CHALLENGES.items() if rng.integers(100) < percent)
    target = _target(rng, width, height, frames, staged)
    near = "clutter" in staged
    colours = _ground_colours(rng, target.sprite.texture.colours, near)
    ground = draw_texture(rng, (30, 120), colours, GROUND_TEXTURES)
    props, scenery = _scenery(rng, target, width, height, near)
    draw = int(rng.integers(100))
    look_alikes = sum(draw >= share for share in DISTRACTORS)
    return Script(
        width=width,
        height=height,
        staged=staged,
        target=target,
        distractors=tuple(_distractor(rng, target, width, height) for _ in range(look_alikes)),
        occluder=_occluder(rng, target, colours) if "occlusion" in staged else None,
        ground=ground,
        props=props,
        scenery=scenery,
        camera=wander(
            rng, frames, (MARGIN * SUB,) * 2, (0, 0, 2 * MARGIN * SUB, 2 * MARGIN * SUB), int(rng.integers(1, 20))
        ),
        light=_light(rng, frames, "illumination" in staged),
        noise=int(rng.integers(0, 9)),
        seed=int(rng.integers(2**31)),
    )
