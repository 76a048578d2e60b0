"""The embedded video world: what the labels say is what the pixels show, and the bytes are the same everywhere."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from distillery.data.worlds.video import Frame, play, render
from distillery.data.worlds.video_script import Script

SIZE = (240, 180)


def bare(script: Script) -> Script:
    """The clip without anything that hides the target or changes the light."""
    light = ((256, 256, 256),) * len(script.camera)
    target = replace(script.target, blur=())
    return replace(script, distractors=(), occluder=None, light=light, noise=0, target=target)


def digest(frames: list[Frame]) -> str:
    sha = hashlib.sha256()
    for frame in frames:
        sha.update(frame.image.tobytes())
        sha.update(str((frame.box, frame.area, frame.inside, frame.visible)).encode())
    return sha.hexdigest()


@pytest.mark.parametrize("index", range(8))
def test_box_is_where_the_target_changes_the_picture(index):
    script, _ = play(5, "boxes", index, SIZE, 6)
    script = bare(script)
    # The same clip with the target's poses moved far away: what differs is the target.
    gone = tuple(replace(pose, x=-(10**4), y=-(10**4)) for pose in script.target.poses)
    without = replace(script, target=replace(script.target, poses=gone))
    for with_target, empty in zip(render(script), render(without), strict=True):
        changed = (with_target.image != empty.image).any(axis=-1)
        x, y, w, h = with_target.box
        left, top, right, bottom = max(x, 0), max(y, 0), min(x + w, SIZE[0]), min(y + h, SIZE[1])
        assert changed[top:bottom, left:right].sum() >= 0.95 * with_target.inside
        changed[max(top - 2, 0) : bottom + 2, max(left - 2, 0) : right + 2] = False  # the soft edge
        assert not changed.any()


@pytest.mark.parametrize("index", range(12))
def test_counts_are_ordered_and_the_first_frame_is_clear(index):
    script, frames = play(6, "counts", index, SIZE, 10)
    for frame in frames:
        assert frame.image.shape == (180, 240, 3)
        assert frame.image.dtype == np.uint8
        assert 0 <= frame.visible <= frame.inside <= frame.area <= frame.box[2] * frame.box[3]
    assert frames[0].visible == frames[0].area
    assert len(script.distractors) <= 2


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


def test_splits_and_clips_share_no_object():
    sprites = [
        play(9, split, index, (64, 64), 2)[0].target.sprite
        for split in ("got10k/train", "got10k/val", "otb100/test")
        for index in range(20)
    ]
    assert len({sprite.shape for sprite in sprites}) == len(sprites)
    parts = [part for sprite in sprites for part in sprite.texture.components]
    assert len(set(parts)) == len(parts)


@pytest.mark.parametrize(("size", "frames"), [((64, 64), 2), ((64, 400), 3), ((1280, 720), 2)])
def test_other_frame_sizes_and_shortest_clips(size, frames):
    for index in range(3):
        _, clip = play(1, "sizes", index, size, frames)
        assert len(clip) == frames
        assert clip[0].image.shape == (size[1], size[0], 3)
        assert min(frame.area for frame in clip) >= 9


GOLDEN = "b7ab1845b1a27b20f2cd64c9d1ac7eff9a5d0233e6c56e662e1d4df1902d8e9d"
"""Hash of two clips; a change means that every embedded benchmark, and so every published number, changes."""


def golden() -> str:
    return digest([frame for index in range(2) for frame in play(0, "golden", index, (120, 90), 6)[1]])


def test_the_pixels_are_the_published_ones():
    assert golden() == GOLDEN
