"""Writes the embedded video world as GOT-10k: Huang, Zhao and Huang, TPAMI 2021, and the layout of its download.

`train/` and `val/` hold `list.txt` and a folder a sequence: numbered frames, `groundtruth.txt`, `absence.label`,
`cover.label`, `cut_by_image.label` and `meta_info.ini`. Boxes are 1-based, which is how the trackers of the official
toolkit read them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

from distillery.config.data import EmbeddedGOT10k
from distillery.data.worlds.output import Progress, run_jobs, write_lines
from distillery.data.worlds.video import Frame
from distillery.data.worlds.video_scene import Script
from distillery.data.worlds.video_writer import Clip, clips, comma, one_based, write_images

COVER_LEVELS = (0, 15, 30, 45, 60, 75, 90)
"""Upper bounds, in percent of the object that is visible, of the levels 0 to 6; 7 is less than all of it, 8 is all."""

FRAME_RATE = 10
"""Annotated frames a second, as in GOT-10k."""


def write_got10k(root: Path, spec: EmbeddedGOT10k, workers: int = 1, progress: Progress | None = None) -> None:
    """Writes both splits below `root`; the bytes depend on `spec` alone, not on `workers`.

    Args:
        root: An existing folder; the caller sees to it that it is whole or absent (`files.atomic_folder`).
        spec: Seed, frame size, and numbers of sequences and frames.
        workers: Number of processes.
        progress: Called with the number of finished sequences and the number of all.

    Raises:
        UserError: A rendering process died.
        OSError: The disk is full or forbidden.
    """
    jobs: list[Clip] = []
    for split, sequences, frames in (
        ("train", spec.train_sequences, spec.train_frames),
        ("val", spec.val_sequences, spec.val_frames),
    ):
        (root / split).mkdir(parents=True)
        write_lines(root / split / "list.txt", [_name(split, index) for index in range(sequences)])
        jobs += clips(root / split, spec, f"got10k/{split}", [frames] * sequences)
    run_jobs(_write_sequence, jobs, workers, progress)


def _name(split: str, index: int) -> str:
    return f"GOT-10k_{split.capitalize()}_{index + 1:06d}"


def cover_level(visible: int, area: int) -> int:
    """Level 0..8 of `cover.label` for `visible` of `area` pixels: 0 %, ≤ 15 %, … ≤ 90 %, < 100 %, 100 %."""
    if visible == area:
        return 8
    return bisect_left(COVER_LEVELS, 100 * visible / area)


def meta_info(script: Script, frames: int, source: str) -> list[str]:
    """The lines of `meta_info.ini`: what moves, and how."""
    seconds = -(-frames // FRAME_RATE)
    textures = "-".join(part.kind for part in script.target.sprite.texture.components)
    fast = "fast" in script.staged
    return [
        "[METAINFO]",
        f"url: {source}",
        "begin: 00:00:00",
        f"end: {seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}",
        f"anno_fps: {FRAME_RATE}Hz",
        f"object_class: {textures} {script.target.sprite.shape.kind}",
        f"motion_class: {'leaping' if fast else 'wandering'}",
        f"major_class: {script.target.sprite.shape.kind}",
        "root_class: embedded",
        f"motion_adverb: {'quickly' if fast else 'slowly'}",
        f"resolution: ({script.width}, {script.height})",
    ]


def _labels(frames: Sequence[Frame]) -> dict[str, list[object]]:
    """The lines of the four annotation files by file name."""
    return {
        "groundtruth.txt": [
            comma([f"{value:.4f}" for value in box]) for box in (one_based(frame.box) for frame in frames)
        ],
        "absence.label": [int(frame.visible == 0) for frame in frames],
        "cover.label": [cover_level(frame.visible, frame.area) for frame in frames],
        "cut_by_image.label": [int(frame.inside < frame.area) for frame in frames],
    }


def _write_sequence(clip: Clip) -> None:
    script, frames = clip.play()
    split = clip.root.name
    folder = clip.root / _name(split, clip.index)
    write_images(folder, frames, digits=8)
    for name, lines in _labels(frames).items():
        write_lines(folder / name, lines)
    source = f"embedded video world, seed {clip.seed}, {split} {clip.index + 1}"
    write_lines(folder / "meta_info.ini", meta_info(script, clip.frames, source))
