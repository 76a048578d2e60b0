"""Runs a tracker over sequences, times it, and writes the result files with their index.

Conventions, stated once for the whole project:

- Boxes: ground truth and result files count pixels as the benchmark does (from 1); trackers get and give array
  indices (from 0). `run` is the only place that converts.
- Speed: seconds are those inside `init` and `update`, image decoding excluded. A sequence's rate is its number of
  frames over their sum, initialisation included (as pysot and DaSiamRPN count); a benchmark's rate is the median over
  its sequences.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from distillery.data.images import read_image
from distillery.errors import UserError
from distillery.files import atomic_folder, sha256_of_file, write_json
from distillery.tracking.benchmarks.base import Sequence
from distillery.tracking.boxes import FloatArray, from_pixels, to_pixels
from distillery.tracking.results import write_boxes

Image = npt.NDArray[np.uint8]
SPEED_CONVENTION = "frames / seconds in init and update, image decoding excluded; median over sequences"


class Tracker(Protocol):
    """The whole contract of a tracker."""

    def init(self, image: Image, box: FloatArray) -> None:
        """Starts afresh on a target.

        Args:
            image: (H, W, 3) uint8 RGB.
            box: (4,) left, top, width, height in array indices (the first pixel is 0).
        """

    def update(self, image: Image) -> npt.ArrayLike:
        """Finds the target in the next frame: (4,) left, top, width, height in array indices."""


def run(
    tracker: Tracker, sequence: Sequence, *, on_frame: Callable[[], None] | None = None
) -> tuple[FloatArray, FloatArray]:
    """One pass over a sequence.

    Args:
        tracker: Initialised with the first frame's ground truth, then never told anything.
        sequence: Loaded with its frames.
        on_frame: Called after every frame (a progress bar's `update`).

    Returns:
        Boxes (N, 4) in the benchmark's numbering, the first being the ground truth; seconds (N,) without decoding.
    """
    if len(sequence.frames) != len(sequence):
        raise ValueError(f"{sequence.name} was loaded without its frames")
    start = to_pixels(sequence.truth[0], sequence.first_pixel)
    if not (start[2] > 0 and start[3] > 0):
        raise UserError(
            "the first box is empty, no tracker can start from it",
            file=sequence.truth_file,
            remedy="correct the ground truth",
        )
    boxes = np.empty((len(sequence), 4))
    seconds = np.empty(len(sequence))
    for index, frame in enumerate(sequence.frames):
        image = read_image(frame)
        began = time.perf_counter()
        if index == 0:
            tracker.init(image, start.copy())
            box: npt.ArrayLike = start
        else:
            box = tracker.update(image)
        seconds[index] = time.perf_counter() - began
        boxes[index] = box
        if on_frame:
            on_frame()
    return from_pixels(boxes, sequence.first_pixel), seconds


def run_benchmark(
    tracker_factory: Callable[[], Tracker],
    sequences: Iterable[Sequence],
    folder: Path,
    index_path: Path,
    *,
    benchmark: str,
    identity: Mapping[str, Any],
    on_frame: Callable[[], None] | None = None,
    on_sequence: Callable[[str, float], None] | None = None,
) -> dict[str, Any]:
    """Runs all sequences; the folder of result files appears whole, then its index.

    Args:
        tracker_factory: Called for every sequence; may return the same tracker, since `init` starts afresh.
        sequences: With frames.
        folder: Gets one `NAME.txt` a sequence.
        index_path: JSON file that says what is in `folder`, how fast it came, and from which tracker.
        benchmark: Name of the benchmark, for the index.
        identity: What identifies the tracker: model, variant, seed, checkpoint hash, test parameters (JSON-able).
        on_frame: Called after every frame.
        on_sequence: Called after every sequence with its name and frames per second.

    Returns:
        The index: benchmark, tracker, speed {frames_per_second, convention}, sequences {name: {frames, seconds,
        sha256}}.
    """
    entries: dict[str, dict[str, Any]] = {}
    with atomic_folder(folder) as temporary:
        for sequence in sequences:
            boxes, seconds = run(tracker_factory(), sequence, on_frame=on_frame)
            file = temporary / f"{sequence.name}.txt"
            write_boxes(file, boxes)
            total = max(float(seconds.sum()), 1e-9)  # no clock tick at all is no infinite speed
            entries[sequence.name] = {"frames": len(boxes), "seconds": total, "sha256": sha256_of_file(file)}
            if on_sequence:
                on_sequence(sequence.name, len(boxes) / total)
    index = {
        "benchmark": benchmark,
        "tracker": dict(identity),
        "speed": {
            "frames_per_second": statistics.median(entry["frames"] / entry["seconds"] for entry in entries.values()),
            "convention": SPEED_CONVENTION,
        },
        "sequences": entries,
    }
    write_json(index_path, index)
    return index
