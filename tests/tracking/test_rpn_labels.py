from __future__ import annotations

import math

import numpy as np
import pytest

from distillery.config.siamrpn import RPNLabels, SiamRPNGeometry
from distillery.engine.randomness import numpy_generator
from distillery.tracking.rpn_labels import Assigner, Targets

GEOMETRY = SiamRPNGeometry()
CELLS = 17


def assign(
    boxes: list[list[float]], positive: list[bool] | None = None, step: int = 0, labels: RPNLabels | None = None
) -> Targets:
    assigner = Assigner(GEOMETRY, labels or RPNLabels())
    flags = np.array([True] * len(boxes) if positive is None else positive)
    return assigner(np.array(boxes, np.float32), flags, numpy_generator(3, "anchors", step))


def around(x: float, y: float, width: float, height: float) -> list[float]:
    """Corners of a box whose centre lies x, y pixels off the middle of the 255 px crop."""
    return [127 + x - width / 2, 127 + y - height / 2, 127 + x + width / 2, 127 + y + height / 2]


def literal(box: list[float]) -> tuple[set[int], set[int]]:
    """Positive and negative anchors, one at a time."""
    x1, y1, x2, y2 = box
    positive, negative, index = set(), set(), 0
    for ratio in (0.33, 0.5, 1, 2, 3):
        width = int(math.sqrt(64 / ratio))
        height = int(width * ratio) * 8
        width *= 8
        for row in range(CELLS):
            for column in range(CELLS):
                cx, cy = 127 + 8 * (column - 8), 127 + 8 * (row - 8)
                wide = min(x2, cx + width / 2) - max(x1, cx - width / 2)
                high = min(y2, cy + height / 2) - max(y1, cy - height / 2)
                shared = max(wide, 0) * max(high, 0)
                overlap = shared / ((x2 - x1) * (y2 - y1) + width * height - shared)
                if overlap > 0.6:
                    positive.add(index)
                if overlap < 0.3:
                    negative.add(index)
                index += 1
    return positive, negative


BOXES = [around(0, 0, 64, 64), around(-30, 41, 100, 40), around(64, -64, 37, 90), around(3, 5, 88, 70)]


def test_against_a_literal_loop() -> None:
    targets = assign(BOXES)
    for row, box in enumerate(BOXES):
        positive, negative = literal(box)
        assert set(np.flatnonzero(targets.covering[row])) == positive
        chosen = set(np.flatnonzero(targets.positive[row]))
        assert chosen <= positive
        assert len(chosen) == min(16, len(positive)) > 0
        rejected = set(np.flatnonzero(targets.negative[row]))
        assert rejected <= negative
        assert len(rejected) == 48


def test_offsets_lead_to_the_target() -> None:
    targets = assign(BOXES)
    centre = 2 * CELLS * CELLS + 8 * CELLS + 8  # the square anchor in the middle
    assert targets.offsets[0, centre].tolist() == [0, 0, 0, 0]
    right = centre + 3
    assert targets.offsets[0, right].tolist() == [-24 / 64, 0, 0, 0]


def test_few_positives_are_all_taken() -> None:
    labels = RPNLabels(positive=0.95)
    assert assign([around(0, 0, 64, 64)], labels=labels).positive.sum() == 1
    # Larger than any anchor: nothing overlaps enough, and the pair trains negatives alone.
    lost = assign([around(0, 0, 250, 250)])
    assert lost.positive.sum() == lost.covering.sum() == 0
    assert lost.negative.sum() == 48


class TestNegativePairs:
    def test_nothing_is_positive_and_negatives_surround_the_object(self) -> None:
        x, y = 24.0, -40.0  # three cells right, five up
        targets = assign([around(x, y, 64, 64)], [False])
        assert targets.positive.sum() == targets.covering.sum() == 0
        assert targets.negative.sum() == 16
        _, rows, columns = np.unravel_index(np.flatnonzero(targets.negative[0]), (5, CELLS, CELLS))
        assert set(rows) <= set(range(3 - 3, 3 + 4))
        assert set(columns) <= set(range(11 - 3, 11 + 4))

    def test_all_anchors_of_the_window_may_be_chosen(self) -> None:
        labels = RPNLabels(distractors=10_000)
        assert assign([around(0, 0, 64, 64)], [False], labels=labels).negative.sum() == 5 * 7 * 7
        # At the response's corner a quarter of the window remains.
        assert assign([around(64, 64, 64, 64)], [False], labels=labels).negative.sum() == 5 * 4 * 4

    def test_beside_positive_ones(self) -> None:
        targets = assign([BOXES[0], BOXES[0]], [True, False])
        assert targets.positive.sum(1).tolist() == [len(literal(BOXES[0])[0]), 0] == [9, 0]
        assert targets.negative.sum(1).tolist() == [48, 16]


class TestSelection:
    def test_depends_on_the_draw_alone(self) -> None:
        first, again, other = assign(BOXES, step=1), assign(BOXES, step=1), assign(BOXES, step=2)
        assert np.array_equal(first.positive, again.positive)
        assert np.array_equal(first.negative, again.negative)
        assert not np.array_equal(first.negative, other.negative)

    def test_is_uniform(self) -> None:
        """Each of the n candidates is taken with probability 4 / n."""
        labels, rounds = RPNLabels(positives=4), 400
        drawn = [assign([BOXES[0]], step=step, labels=labels) for step in range(rounds)]
        counts, covering = np.sum([targets.positive[0] for targets in drawn], 0), drawn[0].covering[0]
        expected = rounds * 4 / covering.sum()
        assert counts.sum() == 4 * rounds
        assert counts[~covering].sum() == 0
        sd = math.sqrt(expected * (1 - 4 / covering.sum()))
        assert np.abs(counts[covering] - expected).max() < 4.5 * sd

    def test_more_asked_for_than_anchors_exist(self) -> None:
        targets = assign([BOXES[0]], labels=RPNLabels(positives=5000, selected=10_000))
        assert np.array_equal(targets.positive, targets.covering)
        assert targets.negative.sum() == len(literal(BOXES[0])[1])


def test_an_object_without_extent_is_refused() -> None:
    with pytest.raises(ValueError, match="without extent"):
        assign([[10, 10, 10, 30]])
