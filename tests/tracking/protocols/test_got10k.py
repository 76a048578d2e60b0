from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillery.tracking.boxes import iou
from distillery.tracking.protocols import got10k

BOX = (10.0, 10.0, 10.0, 10.0)


def boxes(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, dtype=float).reshape(-1, 4)


def test_by_hand() -> None:
    truth = boxes(BOX, BOX, BOX, BOX, BOX)
    # Half of the box, three quarters of it, something else while it is hidden, all of it.
    found = boxes((90, 90, 5, 5), (10, 10, 10, 5), (10, 10, 10, 7.5), (90, 90, 5, 5), BOX)
    overlap = got10k.overlaps(found, truth, np.array([8, 8, 3, 0, 1]), (100, 100))
    assert overlap == pytest.approx([1 / 2, 3 / 4, 1])  # neither the first frame nor the hidden one
    values = got10k.numbers(overlap)
    assert values == {"ao": pytest.approx(2.25 / 3), "sr_50": pytest.approx(2 / 3), "sr_75": pytest.approx(1 / 3)}
    curve = got10k.curve(overlap)
    assert curve.shape == (101,)
    assert (curve[50], curve[49], curve[-1]) == (pytest.approx(2 / 3), 1, 0)


def test_boxes_are_cut_to_the_image() -> None:
    truth = boxes(BOX, (-10, 10, 20, 10))
    found = boxes(BOX, (0, 10, 10, 10))
    cover = np.array([8, 8])
    # Both begin at 0, but the truth keeps its width of 20: the toolkit moves the corner and leaves the size.
    assert got10k.overlaps(found, truth, cover, (100, 100)) == pytest.approx([0.5])
    assert got10k.overlaps(found, truth, cover, (12, 100)) == pytest.approx([10 / 12])
    assert got10k.overlaps(found, truth, cover, None) == pytest.approx([0.5])


def test_nothing_to_score() -> None:
    only = boxes(BOX)
    overlap = got10k.overlaps(only, only, np.array([8]), None)
    assert got10k.numbers(overlap) == {"ao": None, "sr_50": None, "sr_75": None}
    assert got10k.curve(overlap).tolist() == [0.0] * 101


rows = st.tuples(*[st.integers(0, 60).map(float)] * 2, *[st.integers(1, 30).map(float)] * 2)


@given(st.lists(st.tuples(rows, rows, st.integers(0, 8)), min_size=1, max_size=9))
def test_in_a_large_image_it_is_plain_overlap(frames: list[tuple[tuple[float, ...], tuple[float, ...], int]]) -> None:
    found, truth = boxes(*(one for one, _, _ in frames)), boxes(*(other for _, other, _ in frames))
    cover = np.array([level for _, _, level in frames])
    overlap = got10k.overlaps(found, truth, cover, (1000, 1000))
    assert overlap.tolist() == [value for value, level in zip(iou(found, truth)[1:], cover[1:], strict=True) if level]
    if len(overlap):
        curve = got10k.curve(overlap)
        assert curve == pytest.approx([(overlap > t).mean() for t in np.linspace(0, 1, 101)])
        assert got10k.numbers(overlap)["ao"] == pytest.approx(curve.mean(), abs=0.02)  # the curve's area, in 101 steps


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [None, (100, 80)])
def test_numbers_that_no_image_has_fail_in_silence(size: tuple[int, int] | None) -> None:
    truth = np.array([(10.0, 10, 10, 10)] * 3)
    found = np.array([(10.0, 10, 10, 10), (1e200, 1, 10, 10), (-1e308, 1, 1e308, 1e308)])
    # The toolkit cuts the second box to the whole image under its row 1: 100 of 100 x 79 pixels.
    covering = 100 / 7900 if size else 0.0
    assert got10k.overlaps(found, truth, np.full(3, 8), size) == pytest.approx([0.0, covering])
