"""The embedded video world: what the labels say is what the pixels show, and the bytes are the same everywhere."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from distillery.data.worlds.video import Frame, play, render
from distillery.data.worlds.video_scene import Script
from distillery.data.worlds.video_styles import DTB70, LASOT, PLAIN, TRACKINGNET, VOT

SIZE = (240, 180)


def bare(script: Script) -> Script:
    """The clip without anything that hides the target or changes the light."""
    light = ((256, 256, 256),) * len(script.camera)
    target = replace(script.target, blur=())
    return replace(script, distractors=(), occluders=(), streaks=(), light=light, noise=0, target=target)


def digest(frames: list[Frame]) -> str:
    sha = hashlib.sha256()
    for frame in frames:
        sha.update(frame.image.tobytes())
        sha.update(str((frame.box, frame.area, frame.inside, frame.visible)).encode())
    return sha.hexdigest()


STYLES = {"plain": PLAIN, "dtb70": DTB70, "vot": VOT, "lasot": LASOT, "trackingnet": TRACKINGNET}


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES.keys())
@pytest.mark.parametrize("index", range(4))
def test_box_is_where_the_target_changes_the_picture(index, style):
    script, _ = play(5, "boxes", index, SIZE, 6, style)
    script = bare(script)
    # The same clip with the target's poses moved far away: what differs is the target.
    gone = tuple(replace(pose, x=-(10**4), y=-(10**4)) for pose in script.target.poses)
    without = replace(script, target=replace(script.target, poses=gone))
    for with_target, empty in zip(render(script), render(without), strict=True):
        changed = (with_target.image != empty.image).any(axis=-1)
        x, y, w, h = with_target.box
        left, top, right, bottom = max(x, 0), max(y, 0), min(x + w, SIZE[0]), min(y + h, SIZE[1])
        assert changed[top:bottom, left:right].sum() >= 0.95 * with_target.inside
        whole = np.zeros((SIZE[1] + 400, SIZE[0] + 400), dtype=bool)  # the mask may reach out of the picture
        whole[y + 200 : y + h + 200, x + 200 : x + w + 200] = with_target.mask
        assert changed[whole[200:-200, 200:-200]].sum() >= 0.95 * with_target.inside
        changed[max(top - 2, 0) : max(bottom + 2, 0), max(left - 2, 0) : max(right + 2, 0)] = False  # the soft edge
        assert not changed.any()


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES.keys())
@pytest.mark.parametrize("index", range(6))
def test_counts_are_ordered_and_the_first_frame_is_clear(index, style):
    script, frames = play(6, "counts", index, SIZE, 10, style)
    for frame in frames:
        assert frame.mask.shape == (frame.box[3], frame.box[2])
        assert frame.mask.sum() == frame.area
        assert (frame.seen <= frame.mask).all()
        assert frame.seen.sum() == frame.visible
        assert frame.mask[[0, -1]].any(axis=1).all()
        assert frame.mask[:, [0, -1]].any(axis=0).all()
        assert frame.image.shape == (180, 240, 3)
        assert frame.image.dtype == np.uint8
        assert 0 <= frame.visible <= frame.inside <= frame.area <= frame.box[2] * frame.box[3]
    assert frames[0].visible == frames[0].area
    assert len(script.distractors) < len(style.distractors)


def test_staged_occlusion_and_leaving_happen():
    hidden, out = [], []
    for index in range(60):
        script, frames = play(7, "staged", index, (120, 90), 12)
        if "occlusion" in script.staged:
            hidden.append(max(1 - f.visible / max(f.inside, 1) for f in frames))
        if "leave" in script.staged:
            out.append(max(1 - f.inside / f.area for f in frames))
        else:
            assert all(f.inside > 0.9 * f.area for f in frames)
    assert len(hidden) > 10
    assert np.mean(np.array(hidden) > 0.1) > 0.9
    assert len(out) > 3
    assert min(out) > 0.15


def test_staged_absences_happen_and_end():
    away, buried = [], []
    for index in range(14):
        script, frames = play(8, "absent", index, (120, 90), 100, LASOT)
        flags = [frame.away or frame.buried for frame in frames]
        assert not any(flags[:5])
        assert np.mean(flags) < 0.5
        if any(flags):
            assert not all(flags[flags.index(True) :])  # it comes back
        away.append(("vanish" in script.staged, any(frame.away for frame in frames)))
        buried.append(("bury" in script.staged, any(frame.buried for frame in frames)))
    assert sum(staged for staged, _ in away) > 3
    assert sum(staged for staged, _ in buried) > 3
    assert all(happens for staged, happens in away if staged)
    assert all(happens for staged, happens in buried if staged)
    assert not any(happens for staged, happens in away if not staged)


def test_splits_and_clips_share_no_object():
    sprites = [
        play(9, split, index, (64, 64), 2)[0].target.sprite
        for split in (
            "got10k/train",
            "got10k/val",
            "otb100/test",
            "dtb70/test",
            "vot2018/test",
            "vot2019/test",
            "lasot/test",
            "trackingnet/test",
            "trackingnet/train_11",
        )
        for index in range(10)
    ]
    assert len({sprite.shape for sprite in sprites}) == len(sprites)
    parts = [part for sprite in sprites for part in sprite.texture.components]
    assert len(set(parts)) == len(parts)


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES.keys())
@pytest.mark.parametrize(("size", "frames"), [((64, 64), 2), ((64, 400), 3), ((1280, 720), 2)])
def test_other_frame_sizes_and_shortest_clips(size, frames, style):
    for index in range(3):
        _, clip = play(1, "sizes", index, size, frames, style)
        assert len(clip) == frames
        assert clip[0].image.shape == (size[1], size[0], 3)
        assert min(frame.area for frame in clip) >= 9


GOLDEN = "b7ab1845b1a27b20f2cd64c9d1ac7eff9a5d0233e6c56e662e1d4df1902d8e9d"
"""Hash of two clips; a change means that every embedded benchmark, and so every published number, changes."""


GOLDEN_STYLES = {
    "dtb70": "39ed2054553c8d957a34b5c5d219e705bdddddb8f451560212df2963f97a5609",
    "vot": "3014c7489ee6ebc0a71b46c31b3d06eb554aefbeef242bdf17732aa54c146100",
    "lasot": "6e014064af3e840a4ee282583db1c2107bb004a4fbedd1a4f0757f51ff1d86ed",
    "trackingnet": "b8f97f3ae9b1f8561b34fa5917e011a946a80fd957c6c269e05ffd48604412ce",
}
"""Hashes of some clips in each of the other styles, which between them have all that only these can have."""


def test_the_pixels_are_the_published_ones():
    assert digest([frame for index in range(2) for frame in play(0, "golden", index, (120, 90), 6)[1]]) == GOLDEN


@pytest.mark.parametrize("style", GOLDEN_STYLES)
def test_the_pixels_of_the_other_styles_are_the_published_ones(style):
    clips = [play(0, "golden", index, (96, 72), 5, STYLES[style]) for index in range(24)]
    assert digest([frame for _, frames in clips for frame in frames]) == GOLDEN_STYLES[style]
    staged = frozenset().union(*(script.staged for script, _ in clips))
    assert STYLES[style].challenges.keys() - PLAIN.challenges.keys() <= staged
