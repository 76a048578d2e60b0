"""What the writers of the embedded video benchmarks share: a clip to write, its images and its boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from distillery.config.data import VideoFrames
from distillery.data.worlds.output import write_jpeg
from distillery.data.worlds.video import Frame, play
from distillery.data.worlds.video_scene import Script
from distillery.data.worlds.video_styles import PLAIN, Style


@dataclass(frozen=True)
class Clip:
    """One clip to render and write: all that a process of its own needs to know."""

    root: Path
    """Folder of the benchmark or of its part."""
    seed: int
    split: str
    index: int
    size: tuple[int, int]
    frames: int
    style: Style

    def play(self) -> tuple[Script, list[Frame]]:
        """Draws and renders the clip."""
        return play(self.seed, self.split, self.index, self.size, self.frames, self.style)


def clips(root: Path, spec: VideoFrames, split: str, lengths: Sequence[int], style: Style = PLAIN) -> list[Clip]:
    """The clips of a benchmark or of its part.

    Args:
        root: Folder that the writer of a clip gets.
        spec: Seed and frame size.
        split: Name of the random streams; no other part of any benchmark may have it.
        lengths: Frames of each clip.
        style: What may happen in them.
    """
    size = (spec.width, spec.height)
    return [Clip(root, spec.seed, split, index, size, frames, style) for index, frames in enumerate(lengths)]


def object_name(script: Script, clip: Clip) -> str:
    """A sequence's name: the object's shape and the number of the clip (`Star007`)."""
    return f"{script.target.sprite.shape.kind.capitalize()}{clip.index + 1:03d}"


def write_images(folder: Path, frames: Sequence[Frame], *, digits: int, first: int = 1) -> None:
    """Writes `folder`/0001.jpg …, `digits` wide and counted from `first`; makes the folder."""
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames, start=first):
        write_jpeg(folder / f"{number:0{digits}d}.jpg", frame.image)


def one_based(box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """A box x, y, w, h with the first pixel called 1 instead of 0."""
    return box[0] + 1, box[1] + 1, box[2], box[3]


def comma(values: Sequence[object]) -> str:
    """`1,2,3`."""
    return ",".join(map(str, values))
