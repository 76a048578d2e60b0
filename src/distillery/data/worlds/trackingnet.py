"""Writes the embedded video world as TrackingNet: Müller et al., ECCV 2018, and the layout of its download.

`TEST/` and `TRAIN_11/` hold `frames/NAME/0.jpg` … and `anno/NAME.txt` (x,y,w,h, the first pixel is 0): all boxes in
TRAIN_11, the first alone in TEST, whose others only the evaluation server has. Names look like those of YouTube.
"""

from __future__ import annotations

from pathlib import Path

from distillery.config.data import EmbeddedTrackingNet
from distillery.data.worlds.output import Progress, run_jobs, write_lines
from distillery.data.worlds.video_styles import TRACKINGNET
from distillery.data.worlds.video_writer import Clip, clips, comma, write_images
from distillery.engine.randomness import numpy_generator

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
"""What the names of videos are made of."""


def write_trackingnet(
    root: Path, spec: EmbeddedTrackingNet, workers: int = 1, progress: Progress | None = None
) -> None:
    """Writes both parts below `root`; arguments and errors as for `otb100.write_otb100`."""
    jobs: list[Clip] = []
    for part, sequences, frames in (
        ("TRAIN_11", spec.train_sequences, spec.train_frames),
        ("TEST", spec.test_sequences, spec.test_frames),
    ):
        for kind in ("frames", "anno"):
            (root / part / kind).mkdir(parents=True)
        jobs += clips(root / part, spec, f"trackingnet/{part.lower()}", [frames] * sequences, TRACKINGNET)
    run_jobs(_write_sequence, jobs, workers, progress)


def video_name(seed: int, split: str, index: int) -> str:
    """Eleven letters like a video's on YouTube, and the number of the object in it."""
    rng = numpy_generator(seed, "video name", split, index)
    return "".join(LETTERS[int(rng.integers(len(LETTERS)))] for _ in range(11)) + f"_{int(rng.integers(3))}"


def _write_sequence(clip: Clip) -> None:
    _, frames = clip.play()
    name = video_name(clip.seed, clip.split, clip.index)
    write_images(clip.root / "frames" / name, frames, digits=1, first=0)
    known = frames[:1] if clip.root.name == "TEST" else frames
    boxes = [comma([f"{value}.00" for value in frame.box]) for frame in known]
    write_lines(clip.root / "anno" / f"{name}.txt", boxes)
