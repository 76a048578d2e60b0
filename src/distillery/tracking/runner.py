"""Runs a tracker over sequences, times it, and writes the result files with their index.

Most benchmarks run a tracker once from the first frame to the last; VOT starts it anew after each failure
(`tracking.supervised`).

Conventions, stated once for the whole project:

- Boxes: ground truth and result files count pixels as the benchmark does (most from 1); trackers get and give array
  indices (from 0). Only `run` and the supervised run convert.
- Speed: seconds are those inside `init` and `update`, image decoding excluded. A sequence's rate is the number of
  frames that the tracker saw over their sum, initialisation included (as pysot and DaSiamRPN count); a benchmark's rate
  is the median over its sequences.
- Repetitions: our trackers are deterministic, so one run is made. More can be asked for; three equal ones end them
  (VOT's rule, GOT-10k's number).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from distillery.data.images import read_image
from distillery.errors import UserError
from distillery.files import atomic_folder, sha256_of_file, write_json
from distillery.tracking.benchmarks.base import Sequence, require_start
from distillery.tracking.boxes import FloatArray, from_pixels, to_pixels
from distillery.tracking.results import format_boxes

Image = npt.NDArray[np.uint8]
SPEED_CONVENTION = "frames / seconds in init and update, image decoding excluded; median over sequences"
ENOUGH_EQUAL = 3
"""Equal repetitions after which a tracker counts as deterministic and no more are made."""


class Form(NamedTuple):
    """How a benchmark runs a tracker and what its result files are called."""

    file: str
    """Path in the results folder, with `name` and `repetition` (from 1) to fill in."""
    repetitions: int = 1
    """Most repetitions that the form of the results can hold."""
    supervised: bool = False
    """Whether the tracker is started anew after failures (VOT)."""


ONE_FILE = Form("{name}.txt")
REPEATED = Form("{name}/{name}_{repetition:03d}.txt", repetitions=3)
SUPERVISED = Form("baseline/{name}/{name}_{repetition:03d}.txt", repetitions=15, supervised=True)
FORMS = {"vot2018": SUPERVISED, "vot2019": SUPERVISED, "got10k": REPEATED, "got10k_test": REPEATED}
"""Benchmark -> form; the others have one file a sequence."""
_SKIPPED = "0"
"""Row of a frame that a supervised run passes over after a failure."""


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
        For N frames boxes (N, 4) in the benchmark's numbering, the first being the ground truth; seconds (N,) without
        decoding.

    Raises:
        UserError: If a frame is absent or damaged, or the first box is empty or outside the image.
    """
    if not sequence.frames:
        raise ValueError(f"{sequence.name} was loaded without its frames")
    start = to_pixels(sequence.truth[0], sequence.first_pixel)
    boxes = np.empty((len(sequence.frames), 4))
    seconds = np.empty(len(sequence.frames))
    for index, frame in enumerate(sequence.frames):
        image = read_image(frame)
        if index == 0:
            require_start(sequence, (image.shape[1], image.shape[0]))
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
    repetitions: int = 1,
    part: str | None = None,
    on_frame: Callable[[], None] | None = None,
    on_sequence: Callable[[str, float], None] | None = None,
) -> dict[str, Any]:
    """Runs all sequences; the folder of result files appears whole, then its index.

    Args:
        tracker_factory: Called for every run; may return the same tracker, since `init` starts afresh.
        sequences: With frames.
        folder: Gets the result files in the benchmark's form.
        index_path: JSON file that says what is in `folder`, how fast it came, and from which tracker.
        benchmark: Name of the benchmark, for the form and the index.
        identity: What identifies the tracker: model, variant, seed, checkpoint hash, test parameters (JSON-able).
        repetitions: Runs of a stochastic tracker, where the benchmark's form holds several.
        part: Which part of the benchmark these sequences are, for the index (`tracking.parts`).
        on_frame: Called after every frame.
        on_sequence: Called after every sequence with its name and frames per second.

    Returns:
        The index: benchmark, tracker, deterministic, repetitions, speed {frames_per_second, convention}, sequences
        {name: {frames, seconds, sha256}}; frames and seconds are those of all repetitions that the tracker saw, the
        hash is of the first one's file.
    """
    form = FORMS.get(benchmark, ONE_FILE)
    if not 1 <= repetitions <= form.repetitions:
        raise UserError(
            f"the results of {benchmark} hold 1 to {form.repetitions} repetitions, not {repetitions}",
            remedy="ask for fewer" if repetitions > form.repetitions else "ask for at least one",
        )
    entries: dict[str, dict[str, Any]] = {}
    deterministic = True
    with atomic_folder(folder) as temporary:
        for sequence in sequences:
            names = [form.file.format(name=sequence.name, repetition=number + 1) for number in range(repetitions)]
            runs = _repeat(tracker_factory, sequence, form, names, on_frame)
            for file, run_ in zip(names, runs, strict=False):
                (temporary / file).parent.mkdir(parents=True, exist_ok=True)
                (temporary / file).write_text(run_.text, encoding="ascii", newline="\n")
            deterministic &= len({run_.text for run_ in runs}) == 1
            frames = sum(run_.frames for run_ in runs)
            total = max(sum(run_.seconds for run_ in runs), 1e-9)  # no clock tick at all is no infinite speed
            digest = sha256_of_file(temporary / names[0])
            entries[sequence.name] = {"frames": frames, "seconds": total, "sha256": digest}
            if on_sequence:
                on_sequence(sequence.name, frames / total)
    index = index_with(benchmark, identity, repetitions, deterministic, entries)
    if part is not None:
        index["part"] = part
    write_json(index_path, index)
    return index


def index_with(
    benchmark: str,
    identity: Mapping[str, Any],
    repetitions: int,
    deterministic: bool,
    entries: Mapping[str, dict[str, Any]],
) -> dict[str, Any]:
    """The index of these sequences; a part of a benchmark may have none, and then no speed."""
    rates = [entry["frames"] / entry["seconds"] for entry in entries.values()]
    return {
        "benchmark": benchmark,
        "tracker": dict(identity),
        "deterministic": deterministic,
        "repetitions": repetitions,
        "speed": {
            "frames_per_second": statistics.median(rates) if rates else None,
            "convention": SPEED_CONVENTION,
        },
        "sequences": dict(entries),
    }


class _Run(NamedTuple):
    text: str
    frames: int
    """Frames that the tracker saw."""
    seconds: float


def _repeat(
    factory: Callable[[], Tracker],
    sequence: Sequence,
    form: Form,
    files: list[str],
    on_frame: Callable[[], None] | None,
) -> list[_Run]:
    """One run for each file, or fewer when the first ones are equal."""
    once = _supervised if form.supervised else _one_pass
    runs: list[_Run] = []
    for file in files:
        runs.append(once(factory(), sequence, file, on_frame))
        if len(runs) == ENOUGH_EQUAL and len({done.text for done in runs}) == 1:
            break
    return runs


def _one_pass(tracker: Tracker, sequence: Sequence, file: str, on_frame: Callable[[], None] | None) -> _Run:
    boxes, seconds = run(tracker, sequence, on_frame=on_frame)
    return _Run(format_boxes(boxes, file), len(boxes), float(seconds.sum()))


def _supervised(tracker: Tracker, sequence: Sequence, file: str, on_frame: Callable[[], None] | None) -> _Run:
    from distillery.tracking.supervised import run_supervised

    rows, seconds = run_supervised(tracker, sequence, on_frame=on_frame)
    seen = sum(row.strip() != _SKIPPED for row in rows)
    return _Run("".join(f"{row}\n" for row in rows), seen, float(np.nansum(seconds)))
