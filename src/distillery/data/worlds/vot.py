"""Writes the embedded video world as VOT2018 or VOT2019: Kristan et al., the short-term challenges of these years.

`list.txt` names the sequences; each has `color/00000001.jpg` …, `groundtruth.txt` (a rotated box x1,y1,…,x4,y4 a
frame; the first pixel's centre is 0,0) and five tags a frame. The box has the direction of the object and holds the
centres of all its pixels, hidden ones too.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from distillery.config.data import EmbeddedVOT
from distillery.data.worlds.output import Progress, run_jobs, write_lines
from distillery.data.worlds.raster import ONE, SUB, TURN, cos, sin
from distillery.data.worlds.video import Frame
from distillery.data.worlds.video_attributes import FAST_SHARE, hidden
from distillery.data.worlds.video_camera import shifts
from distillery.data.worlds.video_scene import Script
from distillery.data.worlds.video_styles import VOT
from distillery.data.worlds.video_writer import Clip, clips, comma, write_images

Corners = tuple[int, int, int, int, int, int, int, int]

DIRECTIONS = 32
"""Directions that are tried for the rotated box in the first frame."""
CAMERA_SHARE = 1 / 120
"""camera_motion: the picture moves by this share of the frame height since the frame before."""
ZOOM = 3
"""camera_motion: the focal length changes by this much since the frame before, 1/256."""
ROLL = TURN // 240
"""camera_motion: the camera turns by this much since the frame before (1.5 degrees)."""
LIGHT = 4
"""illum_change: some channel's gain changes by this much since the frame before, 1/256."""
GROWTH = 100
"""size_change: the diameter changes by one part in so many since the frame before."""


def write_vot2018(root: Path, spec: EmbeddedVOT, workers: int = 1, progress: Progress | None = None) -> None:
    """Writes VOT2018's test set below `root`; arguments and errors as for `otb100.write_otb100`."""
    _write("vot2018/test", root, spec, workers, progress)


def write_vot2019(root: Path, spec: EmbeddedVOT, workers: int = 1, progress: Progress | None = None) -> None:
    """Writes VOT2019's test set below `root`; arguments and errors as for `otb100.write_otb100`."""
    _write("vot2019/test", root, spec, workers, progress)


def _write(split: str, root: Path, spec: EmbeddedVOT, workers: int, progress: Progress | None) -> None:
    jobs = clips(root, spec, split, lengths(spec), VOT)
    write_lines(root / "list.txt", run_jobs(_write_sequence, jobs, workers, progress))


def lengths(spec: EmbeddedVOT) -> list[int]:
    """Frames of each sequence: they differ, as VOT averages its expected overlap over the usual lengths."""
    thirds = 3 * spec.sequences
    doubled = [2 * spec.frames * (2 * spec.sequences + 2 * index + 1) for index in range(spec.sequences)]
    return [max((value + thirds) // (2 * thirds), 2) for value in doubled]


def direction(script: Script, first: Frame) -> int:
    """The angle in the object's own frame, 1/4096 turn, at which its box is smallest in the first frame."""
    angles = [script.target.poses[0].angle + k * TURN // (4 * DIRECTIONS) for k in range(DIRECTIONS)]
    return min(range(DIRECTIONS), key=lambda k: _area(_sides(first, angles[k]))) * TURN // (4 * DIRECTIONS)


def rotated_box(frame: Frame, angle: int) -> Corners:
    """The smallest box of a direction that holds the centres of the object's pixels.

    Args:
        frame: Whose object.
        angle: Direction of the box's first side, 1/4096 turn.

    Returns:
        x1, y1, …, x4, y4 in 1/1000 pixel, the centre of the first pixel is 0; clockwise on the screen.
    """
    left, right, top, bottom = _sides(frame, angle)
    cosine, sine = cos(angle), sin(angle)
    places = ((left, top), (right, top), (right, bottom), (left, bottom))
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = (
        (_thousandths(u * cosine - v * sine), _thousandths(u * sine + v * cosine)) for u, v in places
    )
    return ax, ay, bx, by, cx, cy, dx, dy


def _thousandths(value: int) -> int:
    """A length in 1/2^28 pixel, rounded to 1/1000."""
    return (1000 * value + ONE * ONE // 2) // (ONE * ONE)


def _sides(frame: Frame, angle: int) -> tuple[int, int, int, int]:
    """Extent of the object's pixel centres along an axis and across it, from 0, 1/2^14 pixel."""
    rows, columns = np.nonzero(frame.mask)
    x, y = columns.astype(np.int64) + frame.box[0], rows.astype(np.int64) + frame.box[1]
    along, across = x * cos(angle) + y * sin(angle), y * cos(angle) - x * sin(angle)
    return int(along.min()), int(along.max()), int(across.min()), int(across.max())


def _area(sides: tuple[int, int, int, int]) -> int:
    return (sides[1] - sides[0]) * (sides[3] - sides[2])


def _decimal(thousandths: int) -> str:
    """`-1234` as `-1.234`."""
    return f"{'-' if thousandths < 0 else ''}{abs(thousandths) // 1000}.{abs(thousandths) % 1000:03d}"


def tags(script: Script, frames: Sequence[Frame]) -> dict[str, list[bool]]:
    """The five tags of every frame by their files' names; what changes is compared with the frame before."""
    centres = [(2 * x + w, 2 * y + h) for x, y, w, h in (frame.box for frame in frames)]  # doubled
    steps = [(0, 0), *((bx - ax, by - ay) for (ax, ay), (bx, by) in pairwise(centres))]
    turns = [0, 0, *((bx - ax) ** 2 + (by - ay) ** 2 for (ax, ay), (bx, by) in pairwise(steps[1:]))]
    camera, light, poses = script.camera, script.light, script.target.poses
    moved = [dx * dx + dy * dy for dx, dy in shifts(camera)]
    far, jump = (SUB * CAMERA_SHARE * script.height) ** 2, (2 * FAST_SHARE * script.height) ** 2
    before = [max(t - 1, 0) for t in range(len(frames))]
    return {
        "camera_motion": [
            moved[t] >= far
            or abs(camera[t].zoom - camera[s].zoom) >= ZOOM
            or abs(camera[t].angle - camera[s].angle) >= ROLL
            for t, s in enumerate(before)
        ],
        "illum_change": [
            any(abs(a - b) >= LIGHT for a, b in zip(light[t], light[s], strict=True)) for t, s in enumerate(before)
        ],
        "motion_change": [turn >= jump for turn in turns[: len(frames)]],
        "occlusion": [hidden(frame) for frame in frames],
        "size_change": [GROWTH * abs(poses[t].size - poses[s].size) >= poses[s].size for t, s in enumerate(before)],
    }


def _write_sequence(clip: Clip) -> str:
    """Writes one sequence and returns its name: the object's shape and the number of the sequence."""
    script, frames = clip.play()
    name = f"{script.target.sprite.shape.kind}{clip.index + 1}"
    folder = clip.root / name
    write_images(folder / "color", frames, digits=8)
    tilt = direction(script, frames[0])
    boxes = [rotated_box(f, pose.angle + tilt) for f, pose in zip(frames, script.target.poses, strict=True)]
    write_lines(folder / "groundtruth.txt", [comma([_decimal(value) for value in box]) for box in boxes])
    for tag, flags in tags(script, frames).items():
        write_lines(folder / f"{tag}.tag", [int(flag) for flag in flags])
    return name
