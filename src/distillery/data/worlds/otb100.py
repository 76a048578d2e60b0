"""Writes the embedded video world as OTB-100: Wu, Lim and Yang, "Object Tracking Benchmark", TPAMI 2015.

A folder a sequence with `img/0001.jpg` … and `groundtruth_rect.txt` (1-based integers x,y,w,h), the attributes in
`anno/att/NAME.txt` as in the benchmark's own toolkit, and `sequences.txt` with the names, which tells readers that
these are not the official hundred.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distillery.config.data import EmbeddedOTB100
from distillery.data.worlds import video_attributes as facts
from distillery.data.worlds.output import Progress, run_jobs, write_lines
from distillery.data.worlds.video import Frame
from distillery.data.worlds.video_scene import Script
from distillery.data.worlds.video_writer import Clip, clips, comma, object_name, one_based, write_images

ATTRIBUTES: dict[str, facts.Fact] = {
    "IV": facts.illumination,
    "OPR": facts.out_of_plane_rotation,
    "SV": facts.scale,
    "OCC": facts.occlusion,
    "DEF": facts.deformation,
    "MB": facts.motion_blur,
    "FM": facts.fast_motion,
    "IPR": facts.in_plane_rotation,
    "OV": facts.out_of_view,
    "BC": facts.clutter,
    "LR": facts.low_resolution,
}
"""The eleven attributes of table 2 of the paper, in the order of the toolkit's `anno/att` files (`perfPlot.m`)."""


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
    jobs = clips(root, spec, "otb100/test", [spec.frames] * spec.sequences)
    write_lines(root / "sequences.txt", run_jobs(_write_sequence, jobs, workers, progress))


def attributes(script: Script, frames: Sequence[Frame]) -> dict[str, bool]:
    """Which of `ATTRIBUTES` a clip has."""
    return facts.judge(ATTRIBUTES, script, frames)


def _write_sequence(clip: Clip) -> str:
    """Writes one sequence and returns its name."""
    script, frames = clip.play()
    name = object_name(script, clip)
    write_images(clip.root / name / "img", frames, digits=4)
    boxes = [comma(one_based(frame.box)) for frame in frames]
    write_lines(clip.root / name / "groundtruth_rect.txt", boxes)
    write_lines(clip.root / "anno" / "att" / f"{name}.txt", [facts.row(attributes(script, frames))])
    return name
