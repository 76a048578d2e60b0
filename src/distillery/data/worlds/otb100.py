"""Writes the embedded video world as OTB-100: Wu, Lim and Yang, "Object Tracking Benchmark", TPAMI 2015.

A folder a sequence with `img/0001.jpg` … and `groundtruth_rect.txt` (1-based integers x,y,w,h), the attributes in
`anno/att/NAME.txt` as in the benchmark's own toolkit, and `sequences.txt` with the names, which tells readers that
these are not the official hundred.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from distillery.config.data import EmbeddedOTB100
from distillery.data.worlds.output import Progress, run_jobs, write_jpeg, write_lines
from distillery.data.worlds.raster import TURN
from distillery.data.worlds.video import Frame, play
from distillery.data.worlds.video_script import Script

ATTRIBUTES = ("IV", "OPR", "SV", "OCC", "DEF", "MB", "FM", "IPR", "OV", "BC", "LR")
"""The eleven attributes of table 2 of the paper, in the order of the toolkit's `anno/att` files (`perfPlot.m`)."""

SCALE_RATIO = 2
"""SV: the box's area leaves [1/2, 2] times that of the first frame, as in the paper."""
LOW_RESOLUTION = 400
"""LR: a box holds fewer pixels than this, as in the paper."""
FAST_SHARE = 1 / 22
"""FM: the centre moves more than this share of the frame height; the paper's 20 pixels at 440 lines."""
LIGHT_CHANGE = 38
"""IV: some channel's gain differs by this much from the first frame's, 1/256."""
MISSING_SHARE = 0.05
"""OCC and OV: more than this share of the object is hidden, or out of the picture."""
BLUR_LENGTH = 4
"""MB: the blur is at least this long, in pixels."""
BEND = 500
"""DEF: the deformation is at least this wide, 1/256 sprite pixel."""
SPIN = TURN // 24
"""IPR: the object turns by at least this much (15 degrees)."""
SLIM = 205
"""OPR: foreshortening to at most this share of the width, 1/256."""


@dataclass(frozen=True)
class _Job:
    """One sequence to write."""

    root: Path
    seed: int
    index: int
    size: tuple[int, int]
    frames: int


def write_otb100(root: Path, spec: EmbeddedOTB100, workers: int = 1, progress: Progress | None = None) -> None:
    """Writes the test set below `root`; the bytes depend on `spec` alone, not on `workers`.

    Args:
        root: An existing folder; the caller sees to it that it is whole or absent (`files.atomic_folder`).
        spec: Seed, frame size, and numbers of sequences and frames.
        workers: Number of processes.
        progress: Called with the number of finished sequences and the number of all.

    Raises:
        UserError: A rendering process died.
        OSError: The disk is full or forbidden.
    """
    (root / "anno" / "att").mkdir(parents=True)
    size = (spec.width, spec.height)
    jobs = [_Job(root, spec.seed, index, size, spec.frames) for index in range(spec.sequences)]
    write_lines(root / "sequences.txt", run_jobs(_write_sequence, jobs, workers, progress))


def attributes(script: Script, frames: Sequence[Frame]) -> dict[str, bool]:
    """Which of `ATTRIBUTES` a clip has, judged by what was drawn, with the thresholds of this module."""
    first, poses = frames[0], script.target.poses
    areas = [frame.box[2] * frame.box[3] for frame in frames]
    centres = [(2 * frame.box[0] + frame.box[2], 2 * frame.box[1] + frame.box[3]) for frame in frames]  # doubled
    moves = [
        (bx - ax) ** 2 + (by - ay) ** 2 for (ax, ay), (bx, by) in pairwise(centres)
    ]  # squares of twice the displacement
    gains = [abs(gain - start) for light in script.light for gain, start in zip(light, script.light[0], strict=True)]
    spins = [(pose.angle - poses[0].angle + TURN // 2) % TURN - TURN // 2 for pose in poses]
    found = {
        "IV": max(gains) >= LIGHT_CHANGE,
        "SV": any(area > SCALE_RATIO * areas[0] or SCALE_RATIO * area < areas[0] for area in areas),
        "OCC": any(frame.inside - frame.visible > MISSING_SHARE * frame.area for frame in frames),
        "DEF": max(pose.bend for pose in poses) >= BEND,
        "MB": max(frame.blur for frame in frames) >= BLUR_LENGTH,
        "FM": max(moves) > (2 * FAST_SHARE * first.image.shape[0]) ** 2,
        "IPR": max(spins) - min(spins) >= SPIN,
        "OPR": min(pose.width for pose in poses) <= SLIM,
        "OV": any(frame.area - frame.inside > MISSING_SHARE * frame.area for frame in frames),
        "BC": "clutter" in script.staged,
        "LR": min(areas) < LOW_RESOLUTION,
    }
    return {name: found[name] for name in ATTRIBUTES}


def _write_sequence(job: _Job) -> str:
    """Writes one sequence and returns its name: the object's shape and the number of the sequence."""
    script, frames = play(job.seed, "otb100/test", job.index, job.size, job.frames)
    name = f"{script.target.sprite.shape.kind.capitalize()}{job.index + 1:03d}"
    images = job.root / name / "img"
    images.mkdir(parents=True)
    for number, frame in enumerate(frames, start=1):
        write_jpeg(images / f"{number:04d}.jpg", frame.image)
    boxes = [(x + 1, y + 1, w, h) for x, y, w, h in (frame.box for frame in frames)]
    write_lines(job.root / name / "groundtruth_rect.txt", [",".join(map(str, box)) for box in boxes])
    flags = [str(int(flag)) for flag in attributes(script, frames).values()]
    write_lines(job.root / "anno" / "att" / f"{name}.txt", [",".join(flags)])
    return name
