"""Writes the embedded video world as DTB70: Li and Yeung, "Visual Object Tracking for UAVs", AAAI 2017.

A folder a sequence with `img/00001.jpg` … and `groundtruth_rect.txt` (x,y,w,h, the first pixel is 1), the attributes
in `att/NAME.txt`, and `sequences.txt` with the names, which tells readers that these are not the official seventy.
As in the real set the boxes end at the picture's edges, and are 0,0,0,0 where nothing is in view.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distillery.config.data import EmbeddedDTB70
from distillery.data.worlds import video_attributes as facts
from distillery.data.worlds.output import Progress, run_jobs, write_lines
from distillery.data.worlds.video import Frame
from distillery.data.worlds.video_scene import Script
from distillery.data.worlds.video_styles import DTB70
from distillery.data.worlds.video_writer import Clip, clips, comma, object_name, one_based, write_images

ATTRIBUTES: dict[str, facts.Fact] = {
    "SV": facts.scale,
    "ARV": facts.aspect,
    "OCC": facts.occlusion,
    "DEF": facts.deformation,
    "FCM": facts.camera_motion,
    "IPR": facts.in_plane_rotation,
    "OPR": facts.out_of_plane_rotation,
    "OV": facts.out_of_view,
    "BC": facts.clutter,
    "SOA": facts.similar_objects,
    "MB": facts.motion_blur,
}
"""The eleven attributes in the order of the real `att` files (the toolkit's `perfPlot.m` names the first ten)."""


def write_dtb70(root: Path, spec: EmbeddedDTB70, workers: int = 1, progress: Progress | None = None) -> None:
    """Writes the test set below `root`; arguments and errors as for `otb100.write_otb100`."""
    (root / "att").mkdir(parents=True)
    jobs = clips(root, spec, "dtb70/test", [spec.frames] * spec.sequences, DTB70)
    write_lines(root / "sequences.txt", run_jobs(_write_sequence, jobs, workers, progress))


def attributes(script: Script, frames: Sequence[Frame]) -> dict[str, bool]:
    """Which of `ATTRIBUTES` a clip has."""
    return facts.judge(ATTRIBUTES, script, frames)


def clipped(box: tuple[int, int, int, int], width: int, height: int) -> tuple[int, int, int, int]:
    """The part of a 0-based box in the picture, counted from 1; 0,0,0,0 where there is none."""
    x, y, right, bottom = max(box[0], 0), max(box[1], 0), min(box[0] + box[2], width), min(box[1] + box[3], height)
    return one_based((x, y, right - x, bottom - y)) if right > x and bottom > y else (0, 0, 0, 0)


def _write_sequence(clip: Clip) -> str:
    """Writes one sequence and returns its name."""
    script, frames = clip.play()
    name = object_name(script, clip)
    write_images(clip.root / name / "img", frames, digits=5)
    boxes = [comma(clipped(frame.box, *clip.size)) for frame in frames]
    write_lines(clip.root / name / "groundtruth_rect.txt", boxes)
    write_lines(clip.root / "att" / f"{name}.txt", [facts.row(attributes(script, frames))])
    return name
