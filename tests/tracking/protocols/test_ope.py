from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from distillery.tracking.protocols import ope

PLAIN = ope.VARIANTS["dasiam"]
every_variant = pytest.mark.parametrize("how", ope.VARIANTS.values(), ids=ope.VARIANTS)

whole = st.integers(1, 300).map(float)
truths = st.integers(1, 12).flatmap(lambda n: arrays(float, (n, 4), elements=whole))
pairs = st.integers(1, 12).flatmap(
    lambda n: st.tuples(arrays(float, (n, 4), elements=whole), arrays(float, (n, 4), elements=whole))
)


def boxes(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(rows, dtype=float)


def test_by_hand() -> None:
    truth = boxes((10, 10, 10, 10), (10, 10, 10, 10), (10, 10, 10, 10), (10, 10, 10, 10))
    # overlaps 1, 1/3 (50 of 150), 0, 0; centre distances 0, 5, 20, 20.1; in units of the size 0, 0.5, 2, 2.01
    found = boxes((10, 10, 10, 10), (15, 10, 10, 10), (30, 10, 10, 10), (10, 30.1, 10, 10))
    curves = ope.evaluate(found, truth, PLAIN)
    # success > t: t = 0 … 0.30 (7 thresholds) two frames of four, 0.35 … 0.95 (13) one, 1.0 none
    assert curves.success == pytest.approx([0.5] * 7 + [0.25] * 13 + [0.0])
    assert curves.precision == pytest.approx([0.25] * 5 + [0.5] * 15 + [0.75] + [1.0] * 30)
    assert curves.normalized_precision == pytest.approx([0.25] * 50 + [0.5])
    numbers = ope.numbers(curves, PLAIN)
    assert numbers["auc"] == pytest.approx((7 * 0.5 + 13 * 0.25) / 21)
    assert numbers["precision"] == 0.75  # 20 px is still a success
    assert numbers["success_rate_50"] == 0.25
    assert numbers["normalized_precision"] == 0.25  # at 0.20
    mean_rule = ope.numbers(curves, ope.VARIANTS["got10k"])["normalized_precision"]
    assert mean_rule == pytest.approx((50 * 0.25 + 0.5) / 51)


def test_overlap_must_exceed_the_threshold() -> None:
    # Half of the box is found: the overlap is exactly 0.5, which is not above the threshold 0.5.
    curves = ope.evaluate(boxes((1, 1, 10, 5)), boxes((1, 1, 10, 10)), PLAIN)
    assert curves.success.tolist() == [1.0] * 10 + [0.0] * 11


@every_variant
def test_a_perfect_tracker_reaches_20_of_21(how: ope.Variant) -> None:
    truth = boxes((3, 4, 50, 60), (5, 4, 52, 61), (9, 9, 40, 60))
    numbers = ope.numbers(ope.evaluate(truth, truth, how), how)
    assert numbers == {
        "auc": pytest.approx(20 / 21),
        "precision": 1.0,
        "normalized_precision": 1.0,
        "success_rate_50": 1.0,
    }


@pytest.mark.parametrize(
    ("name", "share"),
    [("got10k", 0.5), ("pytracking", 0.5), ("matlab", 0.5), ("pysot", 0), ("pysot_toolkit", 0), ("dasiam", 0)],
)
def test_the_first_frame(name: str, share: float) -> None:
    truth = boxes((10, 10, 10, 10), (10, 10, 10, 10))
    far = boxes((900, 900, 10, 10), (900, 900, 10, 10))
    curves = ope.evaluate(far, truth, ope.VARIANTS[name])
    assert curves.success[10] == curves.precision[20] == share


@pytest.mark.parametrize(
    ("name", "success", "precision"),
    [
        ("got10k", 1 / 3, 1 / 3),
        ("dasiam", 1 / 3, 1 / 3),
        ("pysot", 1 / 3, 2 / 3),
        ("pysot_toolkit", 1 / 3, 2 / 3),
        ("pytracking", 1 / 3, 1 / 3),
        ("matlab", 1 / 3, 2 / 3),
    ],
)
def test_invalid_truth(name: str, success: float, precision: float) -> None:
    truth = boxes((10, 10, 10, 10), (0, 0, 0, 0), (10, 10, 10, 10))
    found = boxes((10, 10, 10, 10), (90, 90, 10, 10), (90, 90, 10, 10))
    curves = ope.evaluate(found, truth, ope.VARIANTS[name])
    assert (curves.success[0], curves.precision[20]) == pytest.approx((success, precision))


def test_a_negative_coordinate_is_invalid_to_some_toolkits_only() -> None:
    truth = boxes((10, 10, 10, 10), (-2, 10, 10, 10))
    shares = {name: ope.evaluate(truth, truth, how).success[10] for name, how in ope.VARIANTS.items()}
    assert shares == {"got10k": 1, "dasiam": 1, "pysot": 1, "pysot_toolkit": 0.5, "pytracking": 0.5, "matlab": 0.5}


def test_matlab_repeats_the_row_before_an_invalid_result() -> None:
    truth = boxes(*[(10, 10, 10, 10)] * 4)
    found = boxes((10, 10, 10, 10), (np.nan,) * 4, (50, 50, 0, 10), (np.inf, 1, 1, 1))
    assert ope.evaluate(found, truth, ope.VARIANTS["matlab"]).success[10] == 1.0
    assert found[2, 0] == 50  # the caller's array is left alone


def test_matlab_drops_sequences_whose_curve_is_zero() -> None:
    truth = boxes((10, 10, 10, 10))
    good, bad = (ope.evaluate(found, truth, PLAIN) for found in (truth, boxes((900, 900, 10, 10))))
    assert ope.mean([good, bad], PLAIN).success[0] == 0.5
    assert ope.mean([good, bad], ope.VARIANTS["matlab"]).success[0] == 1.0
    assert ope.mean([bad], ope.VARIANTS["matlab"]).success.tolist() == [0.0] * 21


def test_the_mean_is_over_sequences_not_frames() -> None:
    right, wrong = boxes((10, 10, 10, 10)), boxes((900, 900, 10, 10))
    long = ope.evaluate(np.tile(wrong, (99, 1)), np.tile(right, (99, 1)), PLAIN)
    assert ope.mean([ope.evaluate(right, right, PLAIN), long], PLAIN).success[10] == 0.5


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="cannot be scored"):
        ope.evaluate(np.ones((3, 4)), np.ones((2, 4)), PLAIN)


@every_variant
@given(pair=pairs)
def test_curves_are_shares_and_monotone(how: ope.Variant, pair: tuple[np.ndarray, np.ndarray]) -> None:
    curves = ope.evaluate(*pair, how)
    assert (curves.success.shape, curves.precision.shape, curves.normalized_precision.shape) == ((21,), (51,), (51,))
    for curve in (curves.success, curves.precision, curves.normalized_precision):
        assert ((curve >= 0) & (curve <= 1)).all()
    assert (np.diff(curves.success) <= 0).all()
    assert (np.diff(curves.precision) >= 0).all()
    assert (np.diff(curves.normalized_precision) >= 0).all()
    assert curves.success[-1] == 0


@given(pair=pairs)
def test_counting_equals_comparing(pair: tuple[np.ndarray, np.ndarray]) -> None:
    """The sorted search gives what the definition, one comparison a frame and threshold, gives."""
    found, truth = pair
    curves = ope.evaluate(found, truth, PLAIN)
    overlap = ope.iou(found, truth)
    distance = np.hypot(*(found[:, :2] + found[:, 2:] / 2 - truth[:, :2] - truth[:, 2:] / 2).T)
    assert curves.success == pytest.approx([(overlap > t).mean() for t in np.linspace(0, 1, 21)])
    off_grid = np.abs(distance - np.round(distance)) > 1e-9  # a distance on a threshold may round either way
    if off_grid.all():
        assert curves.precision == pytest.approx([(distance <= t).mean() for t in range(51)])


@given(truth=truths)
def test_the_truth_scores_best(truth: np.ndarray) -> None:
    numbers = ope.numbers(ope.evaluate(truth, truth, PLAIN), PLAIN)
    assert numbers["auc"] == pytest.approx(20 / 21)


def test_pytracking_refuses_negative_sizes_and_takes_zeros() -> None:
    how, truth = ope.VARIANTS["pytracking"], boxes(*[(10, 10, 10, 10)] * 3)
    negative = boxes((10, 10, 10, 10), (10, 10, 0, 5), (10, 10, 5, -5))
    assert ope.first_refused(negative, how) == 2
    assert ope.first_refused(negative[:2], how) is None  # a zero takes the row before it
    assert ope.first_refused(-negative, how) == 0  # in the first frame too, though the truth takes its place
    with pytest.raises(ValueError, match="pytracking refuses the negative size of box 2"):
        ope.evaluate(negative, truth, how)
    for name, other in ope.VARIANTS.items():
        if name != "pytracking":
            assert ope.first_refused(negative, other) is None
            ope.evaluate(negative, truth, other)


@every_variant
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("far", [(1e200, 1, 10, 10), (1, 1, 1e200, 1e200), (-1e308,) * 2 + (1e308,) * 2, (1e308,) * 4])
def test_numbers_that_no_image_has_fail_in_silence(how: ope.Variant, far: tuple[float, ...]) -> None:
    truth = boxes((10, 10, 10, 10), (10, 10, 10, 10))
    curves = ope.evaluate(boxes((10, 10, 10, 10), far), truth, how)
    # Mathematically a huge box round the target overlaps it by more than 0: the threshold 0 alone may count it.
    assert (curves.success[1:-1] == 0.5).all()
    assert (curves.precision == 0.5).all()
    assert (curves.normalized_precision == 0.5).all()
    ope.evaluate(truth, boxes((10, 10, 10, 10), far), how)


@every_variant
def test_the_bound_changes_no_box_near_an_image(how: ope.Variant) -> None:
    truth = boxes(*[(10, 10, 10, 10)] * 2)
    wide = ope.evaluate(boxes((10, 10, 10, 10), (-3e4, 10, 1e5, 10)), truth, how)
    assert wide.success[0] == 1.0
    assert wide.success[1] == 0.5
