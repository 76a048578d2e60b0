"""What happens in a clip of the embedded video world, drawn before anything is rendered."""

from __future__ import annotations

import numpy as np

from distillery.data.worlds.raster import SUB, TURN, Pose
from distillery.data.worlds.textures import Colour, difference, draw_colour, draw_texture
from distillery.data.worlds.video_camera import MARGIN, cut_out, draw_lens, drift, film, fly, streaks
from distillery.data.worlds.video_cast import (
    OBJECT_TEXTURES,
    draw_cover,
    draw_distractor,
    draw_occluder,
    draw_target,
    nominal,
)
from distillery.data.worlds.video_motion import bump, draw_absences
from distillery.data.worlds.video_scene import Actor, Prop, Script
from distillery.data.worlds.video_sprites import Sprite, draw_shape, similar
from distillery.data.worlds.video_styles import PLAIN, Style

GROUND_TEXTURES = ("sine", "checker", "rings", "noise", "blotches", "noise", "sine")


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


def _scenery(
    rng: np.random.Generator, target: Actor, extent: tuple[int, int], roomy: tuple[int, int], unit: int, near: bool
) -> tuple[tuple[Sprite, ...], tuple[Prop, ...]]:
    """Things painted into a background of size `extent`, 6 to 14 in the area of `roomy`, and their recipes.

    A quarter of them have the target's colours; in a cluttered background, half of them its colours and family of
    texture.
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
    scenery = []
    for _ in range(int(rng.integers(6, 15)) * extent[0] * extent[1] // (roomy[0] * roomy[1])):
        kind = int(rng.integers(4))
        mimic = near and kind % 2
        size = (int(rng.integers(16, 34)) if mimic else int(rng.integers(14, 70))) * unit
        x, y = (int(rng.integers(side * SUB)) for side in extent)
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


def draw_script(rng: np.random.Generator, width: int, height: int, frames: int, style: Style = PLAIN) -> Script:
    """Draws a clip: its challenges, objects, paths, camera and light."""
    staged = frozenset(name for name, percent in style.challenges.items() if rng.integers(100) < percent)
    size, unit = (width, height), nominal(width, height)
    lens, absences = draw_lens(rng, frames, staged), draw_absences(rng, frames, staged)
    target = draw_target(rng, width, height, style, staged, lens, absences)
    # The others are drawn as a camera at rest would see them; one that moves films them afterwards.
    jerky = "shake" in staged
    still, views = fly(rng, style.flight, target, lens, size, unit, jerky) if style.flight else (target, ())
    roomy = (width + 2 * MARGIN, height + 2 * MARGIN)
    camera, extent = cut_out(views, size) if views else ((), roomy)
    near = "clutter" in staged
    colours = _ground_colours(rng, target.sprite.texture.colours, near)
    ground = draw_texture(rng, (30, 120), colours, GROUND_TEXTURES)
    props, scenery = _scenery(rng, target, extent, roomy, unit, near)
    draw = int(rng.integers(100))
    look_alikes = sum(draw >= share for share in style.distractors)
    distractors = [draw_distractor(rng, still, width, height) for _ in range(look_alikes)]
    occluders = [draw_occluder(rng, still, colours)] if "occlusion" in staged else []
    occluders += [draw_cover(rng, still, colours, absence, unit) for absence in absences if absence.kind == "bury"]
    if views:
        distractors = [film(actor, views, size) for actor in distractors]
        occluders = [film(actor, views, size) for actor in occluders]
    return Script(
        width=width,
        height=height,
        staged=staged,
        target=target,
        distractors=tuple(distractors),
        occluders=tuple(occluders),
        ground=ground,
        extent=extent,
        props=props,
        scenery=scenery,
        camera=camera or drift(rng, width, height, frames),
        streaks=streaks(views, unit) if views and {"shake", "blur"} <= staged else (),
        light=_light(rng, frames, "illumination" in staged),
        noise=int(rng.integers(0, 9)),
        seed=int(rng.integers(2**31)),
    )
