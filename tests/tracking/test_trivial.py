from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distillery.tracking import runner
from distillery.tracking.benchmarks import otb100
from distillery.tracking.boxes import iou
from distillery.tracking.trivial import NCCTracker, StaticTracker


def test_static_never_moves(video: list) -> None:
    tracker = StaticTracker()
    box = np.array(video[0][1])
    tracker.init(video[0][0], box)
    answer = tracker.update(video[1][0])
    answer += 100  # neither the caller's box nor an answer is the tracker's own state
    box += 100
    assert tracker.update(video[2][0]).tolist() == video[0][1]


def test_ncc_follows_a_rigid_target_to_the_pixel(video: list) -> None:
    tracker = NCCTracker()
    tracker.init(video[0][0], np.array(video[0][1]))
    for frame, box in video[1:]:
        assert tracker.update(frame).tolist() == box


def test_ncc_ignores_gain_and_offset_of_light(video: list) -> None:
    tracker = NCCTracker()
    tracker.init(video[0][0], np.array(video[0][1]))
    dim = (video[1][0] * 0.5 + 20).astype(np.uint8)
    assert tracker.update(dim).tolist() == video[1][1]


def test_ncc_keeps_the_fraction_of_its_first_box(video: list) -> None:
    tracker = NCCTracker()
    fraction = np.array([0.25, -0.25, 0, 0])
    tracker.init(video[0][0], np.array(video[0][1]) + fraction)
    assert tracker.update(video[1][0]) == pytest.approx(np.array(video[1][1]) + fraction)


def test_ncc_looks_no_further_than_its_window(video: list) -> None:
    tracker = NCCTracker(search_factor=1.5)
    tracker.init(video[0][0], np.array(video[0][1]))
    moved = tracker.update(video[-1][0])
    assert np.abs(moved[:2] - video[0][1][:2]).max() <= 5  # a quarter of the box's side on each side


@pytest.mark.parametrize(
    "box",
    [(-8, -8, 20, 20), (120, 90, 40, 40), (-30, 40, 10, 10), (500, 500, 5, 5), (0, 0, 128, 96), (3.4, 3.4, 0.2, 0.2)],
)
def test_ncc_survives_boxes_at_and_beyond_the_edge(video: list, box: tuple[float, ...]) -> None:
    tracker = NCCTracker()
    tracker.init(video[0][0], np.array(box, dtype=float))
    for frame, _ in video[1:]:
        answer = tracker.update(frame)
        assert np.isfinite(answer).all()
        assert answer[2:].tolist() == list(box[2:])


def test_ncc_survives_frames_without_texture_and_smaller_frames(video: list) -> None:
    tracker = NCCTracker()
    tracker.init(video[0][0], np.array(video[0][1]))
    assert np.isfinite(tracker.update(np.zeros((96, 128, 3), np.uint8))).all()
    assert np.isfinite(tracker.update(np.zeros((8, 8, 3), np.uint8))).all()
    tracker.init(np.zeros((96, 128, 3), np.uint8), np.array([5.0, 5, 10, 10]))
    assert np.isfinite(tracker.update(video[1][0])).all()


def test_on_a_real_sequence(real_data: Path) -> None:
    crossing = otb100.load(real_data / "OTB", allow_partial=True)[0]
    scores = {}
    for tracker in (StaticTracker(), NCCTracker()):
        boxes, _ = runner.run(tracker, crossing)
        scores[type(tracker).__name__] = iou(boxes, crossing.truth).mean()
    assert scores["NCCTracker"] > scores["StaticTracker"] + 0.1
