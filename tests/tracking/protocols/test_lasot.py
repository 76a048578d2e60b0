from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillery.tracking.protocols import lasot, ope

BOX = (10.0, 10.0, 10.0, 10.0)
FAR = (900.0, 900.0, 10.0, 10.0)


def boxes(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, dtype=float)


def shares(name: str, found: np.ndarray, truth: np.ndarray, absent: list[int]) -> tuple[float, float, float]:
    """Success at 0.5, precision at 20 px, normalised precision at 0.20."""
    curves = ope.evaluate(found, truth, lasot.VARIANTS[name], np.array(absent, dtype=bool))
    return float(curves.success[10]), float(curves.precision[20]), float(curves.normalized_precision[20])


@pytest.mark.parametrize(
    ("name", "share"), [("official", 3 / 4), ("pysot", 3 / 4), ("pytracking", 3 / 4), ("got10k", 1.0)]
)
def test_absent_frames_leave_the_sum_but_not_the_divisor(name: str, share: float) -> None:
    truth = boxes(*[BOX] * 4)
    assert shares(name, truth, truth, [0, 0, 1, 0]) == (share, share, share)


def test_frames_with_an_invalid_box_that_are_not_absent() -> None:
    truth = boxes(BOX, (0, 0, 0, 0))
    found = boxes(BOX, FAR)
    assert shares("official", found, truth, [0, 0]) == (1 / 2, 1, 1)  # a distance of -1 is a success
    assert shares("official", found, truth, [0, 1]) == (1 / 2, 1 / 2, 1 / 2)
    assert shares("pytracking", found, truth, [0, 0]) == (1 / 2, 1 / 2, 1)
    assert shares("got10k", found, truth, [0, 1]) == (1 / 2, 1 / 2, 1 / 2)


def test_invalid_results_repeat_the_row_before() -> None:
    truth = boxes(BOX, BOX, BOX)
    assert shares("official", boxes(FAR, BOX, (math.nan,) * 4), truth, [0] * 3) == (1, 1, 1)
    # The row before the second is the file's own first, even though the truth is scored in its place.
    assert shares("official", boxes(FAR, (9, 9, 0, 9), BOX), truth, [0] * 3) == (2 / 3, 2 / 3, 2 / 3)
    assert shares("official", boxes((math.nan,) * 4, (9, 9, 0, 9), BOX), truth, [0] * 3) == (2 / 3, 2 / 3, 2 / 3)
    assert shares("pytracking", boxes(BOX, (9, 9, 0, 9), BOX), truth, [0] * 3) == (1, 1, 1)


def test_normalized_precision_is_another_number_in_got10k() -> None:
    truth = boxes(BOX, BOX)
    curves = ope.evaluate(boxes(BOX, (13.05, 10, 10, 10)), truth, lasot.VARIANTS["official"])  # 0.305 widths away
    assert ope.numbers(curves, lasot.VARIANTS["official"])["normalized_precision"] == 1 / 2
    mean = ope.numbers(curves, lasot.VARIANTS["got10k"])["normalized_precision"]
    assert mean == pytest.approx((31 / 2 + 20) / 51)


rows = st.tuples(*[st.integers(-3, 40).map(float)] * 4)
frames = st.lists(st.tuples(rows, rows, st.booleans()), min_size=1, max_size=9)


@given(frames)
def test_official_is_the_toolkits_loop(frames: list[tuple[tuple[float, ...], tuple[float, ...], bool]]) -> None:
    """`calc_seq_err_robust.m` and `eval_tracker.m`, frame by frame."""
    results, annotations = [list(found) for found, _, _ in frames], [list(real) for _, real, _ in frames]
    for n in range(1, len(results)):
        if results[n][2] <= 0 or results[n][3] <= 0:
            results[n] = results[n - 1]
    results[0] = annotations[0]
    measured = []
    for (x, y, w, h), (a, b, c, d), (_, _, absent) in zip(results, annotations, frames, strict=True):
        overlap = distance = relative = -1.0
        if min(a, b, c, d) > 0:
            right = max(0, min(x + w - 1, a + c - 1) - max(x, a) + 1)
            shared = right * max(0, min(y + h - 1, b + d - 1) - max(y, b) + 1)
            overlap = shared / (w * h + c * d - shared) if shared else 0.0
            across, down = x + (w - 1) / 2 - a - (c - 1) / 2, y + (h - 1) / 2 - b - (d - 1) / 2
            distance, relative = math.hypot(across, down), math.hypot(across / c, down / d)
        if not absent:
            measured.append((overlap, distance, relative))
    curves = ope.evaluate(
        boxes(*(found for found, _, _ in frames)),
        boxes(*(real for _, real, _ in frames)),
        lasot.VARIANTS["official"],
        np.array([absent for _, _, absent in frames]),
    )
    for column, sign, thresholds, curve in (
        (0, 1, ope.SUCCESS_THRESHOLDS, curves.success),
        (1, -1, ope.PRECISION_THRESHOLDS, curves.precision),
        (2, -1, ope.NORMALIZED_THRESHOLDS, curves.normalized_precision),
    ):
        for threshold, share in zip(thresholds, curve, strict=True):
            gaps = [sign * (values[column] - threshold) for values in measured]
            if all(abs(gap) > 1e-9 for gap in gaps):  # a value upon a threshold may round either way
                assert share == pytest.approx(sum(gap > 0 for gap in gaps) / len(frames))
