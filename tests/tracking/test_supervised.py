from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from distillery.errors import UserError
from distillery.tracking.benchmarks.base import Sequence
from distillery.tracking.supervised import run_supervised

SIZE = (64, 48)


class Scripted:
    """Answers what it is told to, and notes how it is started."""

    def __init__(self, *answers: object) -> None:
        self.answers: Iterator[object] = iter(answers)
        self.starts: list[list[float]] = []
        self.colours: list[int] = []

    def init(self, image: np.ndarray, box: np.ndarray) -> None:
        self.starts.append(box.tolist())
        self.colours.append(int(image[0, 0, 0]))

    def update(self, image: np.ndarray) -> object:
        self.colours.append(int(image[0, 0, 0]))
        return next(self.answers)


@pytest.fixture
def sequence(tmp_path: Path) -> Sequence:
    """Twelve frames, frame n of grey level 10 n, with a square that moves right by two pixels a frame."""
    frames = []
    for n in range(12):
        frames.append(tmp_path / f"{n + 1:08d}.png")
        cv2.imwrite(str(frames[-1]), np.full((SIZE[1], SIZE[0], 3), 10 * n, dtype=np.uint8))
    x = 5 + 2.0 * np.arange(12)
    y = np.full(12, 10.0)
    regions = np.stack([x, y, x + 10, y, x + 10, y + 10, x, y + 10], axis=1)
    truth = np.stack([x - 1, y - 1, np.full(12, 12.0), np.full(12, 12.0)], axis=1)
    return Sequence("one", tuple(frames), truth, tmp_path / "groundtruth.txt", first_pixel=0, regions=regions)


def test_failures_and_starts(sequence: Sequence) -> None:
    good, gone = (9.0, 10, 10, 10), (50.0, 30, 5, 5)
    tracker = Scripted(good, gone, good, good, good, good)
    seen: list[None] = []
    rows, seconds = run_supervised(tracker, sequence, on_frame=lambda: seen.append(None))
    box = "9.0000,10.0000,10.0000,10.0000"
    # Frame 3 fails; frames 4 to 7 are skipped; frame 8 is five frames after the failure. There, at x = 19, the
    # answer at 9 … 19 touches the truth for some frames, and then no longer.
    assert rows == ["1", box, "2", "0", "0", "0", "0", "1", "2", "0", "0", "0"]
    assert tracker.starts == [sequence.truth[0].tolist(), sequence.truth[7].tolist()]
    assert tracker.colours == [0, 10, 20, 70, 80]  # skipped frames are not shown
    assert (seconds > 0).tolist() == [row != "0" for row in rows]
    assert len(seen) == 12


def test_one_pixel_is_an_overlap(sequence: Sequence) -> None:
    touching, beside = (18.0, 21, 5, 5), (6.0, 8, 5, 1.4)
    assert run_supervised(Scripted(touching), _first(sequence, 2))[0][1] == "2"  # rows 21 … against 10 … 20
    assert run_supervised(Scripted((16.0, 19, 5, 5)), _first(sequence, 2))[0][1] == "16.0000,19.0000,5.0000,5.0000"
    assert run_supervised(Scripted(beside), _first(sequence, 2))[0][1] == "2"  # rows 8 and 9


def test_the_truths_box_is_the_region_where_there_is_no_other(sequence: Sequence) -> None:
    plain = Sequence("one", sequence.frames[:2], np.add(sequence.truth[:2], [1, 1, 0, 0]), sequence.truth_file)
    tracker = Scripted((6.0, 9, 12, 12))
    rows, _ = run_supervised(tracker, plain)
    assert rows == ["1", "7.0000,10.0000,12.0000,12.0000"]  # the file counts from 1, the tracker from 0
    assert tracker.starts == [sequence.truth[0].tolist()]


def test_another_pause(sequence: Sequence) -> None:
    gone = (50.0, 30, 5, 5)
    rows, _ = run_supervised(Scripted(*[gone] * 6), sequence, skip=2)
    assert rows == ["1", "2", "0"] * 4


def test_answers_that_are_no_boxes(sequence: Sequence) -> None:
    with pytest.raises(UserError, match=r"one, frame 2.*not finite"):
        run_supervised(Scripted((np.nan, 1, 2, 3)), sequence)
    assert run_supervised(Scripted((9.0, 10, -5, 0)), _first(sequence, 2))[0] == ["1", "2"]


def test_an_empty_truth_at_a_start(sequence: Sequence) -> None:
    sequence.truth[0, 2] = 0
    with pytest.raises(UserError, match=r"groundtruth\.txt, frame 1 of one: the box is empty"):
        run_supervised(Scripted(), sequence)


def test_a_missing_frame_is_named(sequence: Sequence) -> None:
    sequence.frames[1].unlink()
    with pytest.raises(UserError, match=r"00000002\.png"):
        run_supervised(Scripted(), sequence)
    with pytest.raises(ValueError, match="without its frames"):
        run_supervised(Scripted(), Sequence("one", (), sequence.truth, sequence.truth_file))


def _first(sequence: Sequence, count: int) -> Sequence:
    return Sequence(
        "one",
        sequence.frames[:count],
        sequence.truth[:count],
        sequence.truth_file,
        first_pixel=0,
        regions=None if sequence.regions is None else sequence.regions[:count],
    )
