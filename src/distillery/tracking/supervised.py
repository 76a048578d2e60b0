"""The supervised run of VOT: a tracker that has lost its target is started again (`tools/test.py` of pysot)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from distillery.data.images import read_image
from distillery.errors import UserError
from distillery.tracking.benchmarks.base import Sequence, require_start
from distillery.tracking.boxes import FloatArray, from_pixels, to_pixels
from distillery.tracking.protocols.raster import TRAX, box_overlap
from distillery.tracking.protocols.vot_runs import FAILED, SKIP, SKIPPED, STARTED
from distillery.tracking.results import format_boxes

if TYPE_CHECKING:  # the runner imports this module
    from distillery.tracking.runner import Tracker


def run_supervised(
    tracker: Tracker, sequence: Sequence, *, skip: int = SKIP, on_frame: Callable[[], None] | None = None
) -> tuple[list[str], FloatArray]:
    """Runs a tracker over a sequence with resets.

    The tracker starts from the box of `sequence.truth`. In a frame where its box shares no pixel with the region of the
    truth it has failed; `skip` frames after a failure it is started again.

    Args:
        tracker: Any tracker.
        sequence: Loaded with its frames; without `regions`, `truth` itself is the region.
        skip: Frames from a failure to the next start.
        on_frame: Called after every frame, skipped ones too.

    Returns:
        For N frames the rows of the result file: "1" a start, "2" a failure, "0" a skipped frame, else x,y,w,h in the
        benchmark's numbering; seconds (N,) in the tracker, 0 for skipped frames, which are not even decoded.

    Raises:
        UserError: If a frame is absent or damaged, the truth is empty where the tracker must start, or the tracker's
            box is not finite.
    """
    if len(sequence.frames) != len(sequence):
        raise ValueError(f"{sequence.name} was loaded without its frames")
    regions = sequence.truth if sequence.regions is None else sequence.regions
    rows: list[str] = []
    seconds = np.zeros(len(sequence))
    start = 0
    for index, frame in enumerate(sequence.frames):
        if index < start:
            rows.append(str(SKIPPED))
        elif index == start:
            box = _start_box(sequence, index)
            image = read_image(frame)
            if index == 0:
                require_start(sequence, (image.shape[1], image.shape[0]))
            began = time.perf_counter()
            tracker.init(image, box)
            seconds[index] = time.perf_counter() - began
            rows.append(str(STARTED))
        else:
            image = read_image(frame)
            began = time.perf_counter()
            answer = tracker.update(image)
            seconds[index] = time.perf_counter() - began
            found = from_pixels(answer, sequence.first_pixel)
            row = format_boxes(found, f"{sequence.name}, frame {index + 1}").rstrip()
            height, width = image.shape[:2]
            region = regions[index] if regions.shape[1] == 8 else TRAX.box_corners(regions[index : index + 1])[0]
            if box_overlap(found, region, (width, height), TRAX) > 0:
                rows.append(row)
            else:  # also where neither covers a pixel
                rows.append(str(FAILED))
                start = index + skip
        if on_frame:
            on_frame()
    return rows, seconds


def _start_box(sequence: Sequence, index: int) -> FloatArray:
    box = to_pixels(sequence.truth[index], sequence.first_pixel)
    if not (box[2] > 0 and box[3] > 0):
        raise UserError(
            "the box is empty, no tracker can start from it",
            file=sequence.truth_file,
            place=f"frame {index + 1} of {sequence.name}",
            remedy="correct the ground truth",
        )
    return box
