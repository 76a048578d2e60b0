"""Writes the embedded video world as LaSOT: Fan et al., CVPR 2019 and IJCV 2021, and the layout of its download.

`CLASS/CLASS-k/` holds `img/00000001.jpg` …, `groundtruth.txt` (x,y,w,h, the first pixel is 1) and, each in one line,
`full_occlusion.txt` and `out_of_view.txt`. A box holds any visible part of the object, as the paper's annotators were
told; where nothing is visible it is 0,0,0,0, the most frequent form in the real files. `testing_set.txt` names the
sequences and `att/NAME.txt` has the fourteen attributes, both as in the official toolkit.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distillery.config.data import EmbeddedLaSOT
from distillery.data.worlds import video_attributes as facts
from distillery.data.worlds.output import Progress, run_jobs, write_lines
from distillery.data.worlds.raster import tight
from distillery.data.worlds.video import Frame
from distillery.data.worlds.video_scene import Script
from distillery.data.worlds.video_styles import LASOT
from distillery.data.worlds.video_writer import Clip, clips, comma, one_based, write_images

ATTRIBUTES: dict[str, facts.Fact] = {
    "IV": facts.illumination,
    "POC": facts.occlusion,
    "DEF": facts.deformation,
    "MB": facts.motion_blur,
    "CM": facts.camera_motion,
    "ROT": facts.in_plane_rotation,
    "BC": facts.clutter,
    "VC": facts.out_of_plane_rotation,
    "SV": facts.scale,
    "FOC": facts.full_occlusion,
    "FM": facts.large_motion,
    "OV": facts.completely_out_of_view,
    "LR": facts.low_resolution,
    "ARC": facts.aspect,
}
"""The fourteen attributes of table 2 of the paper, in the order of the toolkit
(`run_tracker_performance_evaluation.m`)."""


def write_lasot(root: Path, spec: EmbeddedLaSOT, workers: int = 1, progress: Progress | None = None) -> None:
    """Writes the test set below `root`; arguments and errors as for `otb100.write_otb100`."""
    (root / "att").mkdir(parents=True)
    jobs = clips(root, spec, "lasot/test", [spec.frames] * spec.sequences, LASOT)
    write_lines(root / "testing_set.txt", run_jobs(_write_sequence, jobs, workers, progress))


def attributes(script: Script, frames: Sequence[Frame]) -> dict[str, bool]:
    """Which of `ATTRIBUTES` a clip has."""
    return facts.judge(ATTRIBUTES, script, frames)


def visible_box(frame: Frame) -> tuple[int, int, int, int]:
    """Tight box of what is visible of the object, counted from 1; 0,0,0,0 where nothing is."""
    return one_based(tight(frame.seen, *frame.box[:2])) if not (frame.away or frame.buried) else (0, 0, 0, 0)


def _write_sequence(clip: Clip) -> str:
    """Writes one sequence and returns its name."""
    script, frames = clip.play()
    kind = script.target.sprite.shape.kind
    name = f"{kind}-{clip.index + 1}"
    folder = clip.root / kind / name
    write_images(folder / "img", frames, digits=8)
    write_lines(folder / "groundtruth.txt", [comma(visible_box(frame)) for frame in frames])
    for label, flags in (
        ("full_occlusion", [frame.buried for frame in frames]),
        ("out_of_view", [frame.away for frame in frames]),
    ):
        write_lines(folder / f"{label}.txt", [comma([int(flag) for flag in flags])])
    write_lines(clip.root / "att" / f"{name}.txt", [facts.row(attributes(script, frames))])
    return name
