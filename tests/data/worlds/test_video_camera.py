"""The moving camera: actors and background move as one, and nothing outside the background is ever seen."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillery.data.worlds.raster import SUB, TURN, Pose
from distillery.data.worlds.video import play, render
from distillery.data.worlds.video_camera import cut_out, draw_lens, film, fly, shifts, streaks
from distillery.data.worlds.video_motion import wander
from distillery.data.worlds.video_scene import Actor, Prop, View
from distillery.data.worlds.video_styles import DTB70, LASOT, TRACKINGNET, VOT, Flight

SIZE = (240, 180)


def actor(poses: list[Pose]) -> Actor:
    sprite = play(1, "camera", 0, (64, 64), 2)[0].target.sprite
    return Actor(sprite, tuple(poses))


def seen(point: tuple[int, int], view: View) -> tuple[float, float]:
    """Where a point of the background (1/16 pixel) is in the frame, in pixels: with floating point."""
    turn = 2 * math.pi * view.angle / TURN
    x, y = (point[0] - view.x) / SUB * view.zoom / 256, (point[1] - view.y) / SUB * view.zoom / 256
    return (
        SIZE[0] / 2 + x * math.cos(turn) - y * math.sin(turn),
        SIZE[1] / 2 + x * math.sin(turn) + y * math.cos(turn),
    )


views = st.builds(
    View, st.integers(-9000, 9000), st.integers(-9000, 9000), st.integers(150, 420), st.integers(0, TURN - 1)
)


@given(st.lists(views, min_size=1, max_size=4), st.integers(-4000, 4000), st.integers(-4000, 4000))
@settings(max_examples=60, deadline=None)
def test_film_is_the_view_in_whole_numbers(path, x, y):
    filmed = film(actor([Pose(x, y, 640, angle=100)] * len(path)), path, SIZE)
    for pose, view in zip(filmed.poses, path, strict=True):
        assert (pose.x / SUB, pose.y / SUB) == pytest.approx(seen((x, y), view), abs=0.3)
        assert pose.size == 640 * view.zoom >> 8
        assert pose.angle == (100 + view.angle) % TURN


@pytest.mark.parametrize("jerky", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_a_flight_keeps_the_target_where_its_poses_say(seed, jerky):
    rng = np.random.default_rng(seed)
    frames = 20
    lens = draw_lens(rng, frames, frozenset({"zoom", "roll"}))
    path = wander(rng, frames, (1000, 900), (400, 400, 3000, 2400), 40, 150)
    target = actor(
        [Pose(x, y, 500 * z >> 8, angle=r % TURN) for (x, y), z, r in zip(path, lens.zoom, lens.roll, strict=True)]
    )
    still, camera = fly(rng, Flight((20, 60), 100), target, lens, SIZE, SUB, jerky)
    assert (camera[0].x, camera[0].y, camera[0].zoom, camera[0].angle) == (SIZE[0] * 8, SIZE[1] * 8, 256, 0)
    assert still.poses[0] == target.poses[0]
    assert {pose.size for pose in still.poses} <= {498, 499, 500}
    assert {pose.angle for pose in still.poses} == {0}
    for pose, again in zip(target.poses, film(still, camera, SIZE).poses, strict=True):
        assert (again.x, again.y) == (pytest.approx(pose.x, abs=6), pytest.approx(pose.y, abs=6))
        assert again.size == pytest.approx(pose.size, abs=4)
        assert again.angle == pose.angle
    # The picture jumps where the target does if the camera is jerky; else the camera goes smoothly.
    steps = [max(abs(b.x - a.x), abs(b.y - a.y)) for a, b in pairwise(camera)]
    assert (max(steps) > 62) == jerky


@given(st.lists(views, min_size=1, max_size=5))
@settings(max_examples=40, deadline=None)
def test_the_background_reaches_as_far_as_the_camera_sees(path):
    camera, (width, height) = cut_out(path, SIZE)
    for view in camera:
        turn = 2 * math.pi * view.angle / TURN
        for u, v in ((-120, -90), (120, -90), (120, 90), (-120, 90)):
            x = view.x / SUB + (u * math.cos(turn) + v * math.sin(turn)) * 256 / view.zoom
            y = view.y / SUB + (v * math.cos(turn) - u * math.sin(turn)) * 256 / view.zoom
            assert 1 <= x <= width - 1
            assert 1 <= y <= height - 1
    # It is no larger than that, but for the rounding and a pixel or two.
    assert width < 240 * 256 / 150 * 1.5 + max(v.x for v in camera) / SUB - min(v.x for v in camera) / SUB + 8


@pytest.mark.parametrize("style", [DTB70, VOT, LASOT, TRACKINGNET], ids=["dtb70", "vot", "lasot", "trackingnet"])
def test_actors_and_background_move_as_one(style):
    """A thing painted into the background and a like actor at the same place cover each other in every frame."""
    moving = 0
    for index in range(12):
        script, _ = play(2, "as one", index, SIZE, 8, style)
        moving += len({(view.zoom, view.angle) for view in script.camera}) > 1
        black = replace(script.target.sprite.texture, colours=((0, 0, 0), (0, 0, 0)))
        marker = replace(script.target.sprite, texture=black, rim=0)
        x, y = script.camera[3].x, script.camera[3].y
        pose = Pose(x, y, 30 * SUB, angle=77)
        plain = replace(
            script,
            ground=replace(script.ground, colours=((255, 255, 255), (255, 255, 255))),
            props=(marker,),
            distractors=(),
            occluders=(),
            streaks=(),
            light=((256, 256, 256),) * 8,
            noise=0,
            target=Actor(marker, (Pose(-(10**5), 0, 160),) * 8),
        )
        painted = list(render(replace(plain, scenery=(Prop(0, pose),))))
        acted = list(
            render(replace(plain, scenery=(), distractors=(film(Actor(marker, (pose,) * 8), script.camera, SIZE),)))
        )
        for one, other in zip(painted, acted, strict=True):
            dark, dark_too = (frame.image[..., 0] < 128 for frame in (one, other))
            if min(dark.sum(), dark_too.sum()) > 100 and not (dark | dark_too)[[0, -1]].any():
                overlap = (dark & dark_too).sum() / (dark | dark_too).sum()
                assert overlap > 0.8
    assert moving > 0


def test_streaks_are_a_third_of_the_shift_and_bounded():
    camera = [View(0, 0), View(48 * 3, -48 * 3), View(48 * 3, -48 * 3), View(48 * 300, 0)]
    assert [(int(x), int(y)) for x, y in shifts(camera)[:2]] == [(0, 0), (-144, 144)]
    got = streaks(camera, SUB)
    assert got[0] == (0, 0)
    assert got[1] == (-3, 3)
    assert got[2] == (0, 0)
    assert max(map(abs, got[3])) == 8
    assert streaks(camera, SUB // 2)[3][0] == -4
