"""Intervals against the formula worked by hand and against scipy's own paired test."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from distillery.paper.measures import MEASURES
from distillery.paper.statistics import estimate, paired_difference
from distillery.paper.tables.differences import verdict

# With two degrees of freedom the quantile has a closed form: (2p - 1) / sqrt(2p (1 - p)); tables print 4.303.
T_975_2 = 0.95 / math.sqrt(2 * 0.975 * 0.025)


def test_interval_of_three_seeds_by_hand():
    value = estimate([1.0, 2.0, 3.0])  # s = 1, n = 3
    assert value.mean == 2.0
    assert value.seeds == 3
    assert value.half_width == pytest.approx(T_975_2 / math.sqrt(3), rel=1e-12)
    assert (value.low, value.high) == pytest.approx((2 - 2.484137, 2 + 2.484137), abs=1e-6)


def test_one_seed_has_no_interval():
    value = estimate([0.4])
    assert (value.mean, value.low, value.high, value.seeds) == (0.4, None, None, 1)
    assert value.half_width is None
    assert value.excludes_zero is None


@pytest.mark.parametrize("values", [[], [0.1, math.nan], [math.inf]])
def test_no_number_is_no_estimate(values):
    with pytest.raises(ValueError, match="finite"):
        estimate(values)


def test_paired_difference_by_hand_uses_the_shared_seeds_alone():
    value = paired_difference({0: 0.5, 1: 0.6, 2: 0.7, 9: 0.0}, {0: 0.4, 1: 0.4, 2: 0.4, 5: 1.0})
    assert value is not None
    assert value.seeds == 3
    assert value.mean == pytest.approx(0.2)
    assert value.half_width == pytest.approx(0.1 * T_975_2 / math.sqrt(3))
    assert value.excludes_zero is False
    assert paired_difference({0: 1.0}, {1: 1.0}) is None


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=8))
def test_paired_interval_equals_scipys(pairs):
    first, second = zip(*pairs, strict=True)
    mine = paired_difference(dict(enumerate(first)), dict(enumerate(second)))
    assert mine is not None
    differences = [a - b for a, b in pairs]
    if max(differences) - min(differences) < 1e-9:
        return  # scipy calls the test of constant differences undefined
    peer = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert (mine.low, mine.high) == pytest.approx((peer.low, peer.high), abs=1e-9)


AUC, ROBUSTNESS = MEASURES["auc"], MEASURES["robustness"]


@pytest.mark.parametrize(
    ("question", "values", "expected"),
    [
        ("gain", [0.1, 0.11, 0.12], "better"),
        ("gain", [-0.1, -0.11, -0.12], "worse"),
        ("gain", [0.1, -0.1, 0.2], "open"),
        ("gain", [0.001, 0.0011, 0.0012], "better"),  # a margin is no matter of gains
        ("gain", [0.1], "one seed"),
        ("gap", [0.1, 0.11, 0.12], "better"),
        ("gap", [-0.1, -0.11, -0.12], "worse"),
        ("gap", [0.1, -0.1, 0.2], "open"),
        ("gap", [-0.004, -0.005, -0.006], "equivalent"),  # worse, by less than the margin: both are in the interval
        ("gap", [0.0, 0.001, -0.001], "equivalent"),
        ("gap", [-0.019, -0.020, -0.021], "worse"),
        ("gap", [0.0], "one seed"),
        ("effect", [-0.004, -0.005, -0.006], "worse"),
        ("effect", [0.1, 0.11, 0.12], "better"),
        ("effect", [0.1, -0.1, 0.2], "open"),
    ],
)
def test_verdict_never_says_more_than_the_interval(question, values, expected):
    assert verdict(question, estimate(values), AUC, 0.02) == expected


def test_without_a_declared_margin_nothing_is_equivalent():
    assert verdict("gap", estimate([0.0, 0.001, -0.001]), AUC) == "open"


@pytest.mark.parametrize(("question", "expected"), [("gain", "better"), ("gap", "better"), ("effect", "better")])
def test_fewer_failures_are_the_better_robustness(question, expected):
    assert verdict(question, estimate([-0.1, -0.11, -0.12]), ROBUSTNESS) == expected


@given(st.lists(st.floats(-0.1, 0.1), min_size=2, max_size=6))
def test_equivalence_is_the_interval_within_the_margin(differences):
    value = estimate(differences)
    inside = value.low >= -0.02 and value.high <= 0.02
    assert (verdict("gap", value, AUC, 0.02) == "equivalent") == inside
