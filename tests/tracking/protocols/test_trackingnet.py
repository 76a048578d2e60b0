from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillery.tracking.protocols import trackingnet

BOX = (10.0, 10.0, 10.0, 10.0)
FAR = (900.0, 900.0, 10.0, 10.0)


def boxes(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, dtype=float).reshape(-1, 4)


def numbers(found: np.ndarray | None, truth: np.ndarray) -> dict[str, float]:
    return trackingnet.numbers(trackingnet.evaluate(found, truth))


def test_a_perfect_tracker_has_everything() -> None:
    """Overlap 1 reaches threshold 1 here, unlike in OPE."""
    truth = boxes(BOX, (11, 12, 30, 40))
    assert numbers(truth, truth) == {
        "auc": pytest.approx(1.0),
        "precision": pytest.approx(1.0),
        "normalized_precision": pytest.approx(1.0),
        "coverage": 1.0,
    }


def test_by_hand() -> None:
    truth = boxes(BOX, BOX)
    # The second box: overlap 50 / 150, 5 px and half a width away.
    curves = trackingnet.evaluate(boxes(FAR, (15, 10, 10, 10)), truth)
    assert curves.success.tolist() == [1.0] * 7 + [0.5] * 14
    assert curves.precision.tolist() == [0.5] * 2 + [1.0] * 19
    assert curves.normalized_precision.tolist() == [0.5] * 20 + [1.0]
    values = trackingnet.numbers(curves)
    # Trapezoids of width 0.05: six of height 1, one from 1 to 1/2, thirteen of height 1/2.
    assert values["auc"] == pytest.approx(0.05 * (6 + 0.75 + 6.5))
    assert values["precision"] == pytest.approx(0.05 * (0.5 + 0.75 + 18))
    assert values["normalized_precision"] == pytest.approx(0.05 * (9.5 + 0.75))


def test_boxes_are_rounded() -> None:
    truth = boxes(BOX, BOX)
    assert trackingnet.evaluate(boxes(BOX, (10.4, 9.6, 10.4, 9.6)), truth).success[-1] == 1.0
    assert trackingnet.evaluate(boxes(BOX, (10.6, 10, 10, 10)), truth).success[-1] == 0.5


def test_what_is_missing() -> None:
    truth = boxes(*[BOX] * 4)
    nothing = trackingnet.evaluate(None, truth)
    assert nothing.success.tolist() == [1.0] + [0.25] * 20  # zeros overlap by 0, which reaches threshold 0
    assert trackingnet.numbers(nothing)["coverage"] == 0.25  # the first frame is the truth's
    short = trackingnet.evaluate(boxes(BOX, BOX), truth)
    assert short.success.tolist() == [0.5] * 21
    assert trackingnet.numbers(short)["coverage"] == 0.5
    assert trackingnet.evaluate(boxes(*[BOX] * 6), truth).success.tolist() == [1.0] * 21


def test_empty_truth_fails_quietly() -> None:
    curves = trackingnet.evaluate(boxes(BOX, BOX), boxes(BOX, (0, 0, 0, 0)))
    assert curves.success[1] == 0.5
    assert curves.normalized_precision[-1] == 0.5


def test_the_mean_is_over_sequences_and_coverage_over_frames() -> None:
    truth = boxes(*[BOX] * 4)
    mean = trackingnet.mean([trackingnet.evaluate(None, truth), trackingnet.evaluate(boxes(BOX), boxes(BOX))])
    assert mean.success[1] == pytest.approx((0.25 + 1) / 2)
    assert trackingnet.numbers(mean)["coverage"] == pytest.approx(2 / 5)


rows = st.tuples(*[st.integers(-20, 400).map(lambda tenths: tenths / 10)] * 4)


@given(st.lists(st.tuples(rows, rows), min_size=1, max_size=8))
def test_it_is_the_servers_arithmetic(frames: list[tuple[tuple[float, ...], tuple[float, ...]]]) -> None:
    """The formulas of `metrics.py`, one frame at a time."""
    success, precision, normalized = np.zeros(21), np.zeros(21), np.zeros(21)
    for index, (found, real) in enumerate(frames):
        a, b, c, d = np.round(real)
        x, y, w, h = np.round(found) if index else (a, b, c, d)
        inter = max(min(a + c - 1, x + w - 1) - max(a, x) + 1, 0) * max(min(b + d - 1, y + h - 1) - max(b, y) + 1, 0)
        across = (a + (c + 1) / 2) - (x + (w + 1) / 2)
        down = (b + (d + 1) / 2) - (y + (h + 1) / 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            overlap = np.float64(inter) / (c * d + w * h - inter)
            relative = np.sqrt((np.float64(across) / c) ** 2 + (np.float64(down) / d) ** 2)
        success += overlap >= np.linspace(0, 1, 21)
        precision += np.hypot(across, down) <= np.linspace(0, 50, 21)
        normalized += relative <= np.linspace(0, 0.5, 21)
    curves = trackingnet.evaluate(boxes(*(found for found, _ in frames)), boxes(*(real for _, real in frames)))
    assert curves.success == pytest.approx(success / len(frames))
    # A distance upon a threshold may round either way; those of 2.5 px and 0.025 hardly ever are.
    assert np.abs(curves.precision - precision / len(frames)).max() <= 1
    assert curves.precision[[3, 7]] == pytest.approx((precision / len(frames))[[3, 7]])
    assert curves.normalized_precision[[7, 19]] == pytest.approx((normalized / len(frames))[[7, 19]])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("far", [(1e200, 1, 10, 10), (1, 1, 1e200, 1e200), (1e308,) * 4])
def test_numbers_that_no_image_has_fail_in_silence(far: tuple[float, ...]) -> None:
    truth = np.array([(10.0, 10, 10, 10)] * 2)
    curves = trackingnet.evaluate(np.array([truth[0], far]), truth)
    assert (curves.success[1:] == 0.5).all()
    assert (curves.precision == 0.5).all()
    assert (curves.normalized_precision == 0.5).all()
