"""The rules as a table of cases, and what must hold of them whatever the numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillery.config.claims import Gain, Par, Ratio
from distillery.paper.verdicts import Says, Verdict, above_floor, at_most, best, every, judge, widened

YES, DIRECTION, OPEN, NO = Says.YES, Says.DIRECTION, Says.OPEN, Says.NO
GAIN, SIZED = Gain(kind="gain"), Gain(kind="gain", reaches=0.058, tolerance=0.01)
EQUAL, AT_LEAST = Par(kind="par", margin=0.02), Par(kind="par", margin=0.02, better_counts=True)
TIMES = Ratio(kind="ratio", of="bytes", reaches=18, tolerance=0.5)
INTERVALS = st.tuples(st.floats(-1, 1), st.floats(-1, 1)).map(sorted).map(tuple)


@pytest.mark.parametrize(
    ("test", "interval", "expected"),
    [
        (GAIN, (0.001, 0.2), YES),
        (GAIN, (0.0, 0.2), OPEN),
        (GAIN, (-0.1, 0.2), OPEN),
        (GAIN, (-0.2, 0.0), OPEN),
        (GAIN, (-0.2, -0.001), NO),
        (SIZED, (0.049, 0.2), YES),  # no lower than 5.8 points less 1
        (SIZED, (0.047, 0.2), DIRECTION),
        (SIZED, (-0.01, 0.2), OPEN),
        (SIZED, (-0.2, -0.1), NO),
        (EQUAL, (-0.02, 0.02), YES),
        (EQUAL, (-0.019, -0.001), YES),  # a difference, and within the margin all the same
        (EQUAL, (-0.01, 0.03), OPEN),
        (EQUAL, (-0.03, -0.01), OPEN),
        (EQUAL, (-0.03, -0.021), NO),
        (EQUAL, (0.021, 0.03), NO),
        (AT_LEAST, (-0.02, 0.5), YES),
        (AT_LEAST, (0.1, 0.5), YES),
        (AT_LEAST, (-0.03, 0.5), OPEN),
        (AT_LEAST, (-0.05, -0.021), NO),
        (TIMES, (17.5, 17.5), YES),
        (TIMES, (28.0, 29.0), YES),
        (TIMES, (13.0, 19.0), DIRECTION),
        (TIMES, (1.0, 1.0), OPEN),
        (TIMES, (0.9, 1.2), OPEN),
        (TIMES, (0.5, 0.9), NO),
    ],
)
def test_what_an_interval_says(test, interval, expected) -> None:
    assert judge(test, interval) is expected
    limited = judge(test, interval, "direction")
    assert limited is (DIRECTION if expected is YES else expected)


@given(INTERVALS)
def test_exchanging_the_arms_mirrors_what_a_gain_says(interval) -> None:
    mirror = {YES: NO, NO: YES, OPEN: OPEN}
    assert judge(GAIN, (-interval[1], -interval[0])) is mirror[judge(GAIN, interval)]


@given(st.sampled_from([GAIN, SIZED, EQUAL, AT_LEAST]), INTERVALS, st.floats(0, 1), st.floats(0, 1))
def test_a_wider_interval_never_says_more(test, interval, below, above) -> None:
    wide = judge(test, (interval[0] - below, interval[1] + above))
    narrow = judge(test, interval)
    if wide in (YES, NO):
        assert narrow is wide
    if wide is DIRECTION:
        assert narrow in (DIRECTION, YES)


@given(INTERVALS)
def test_equivalence_is_two_one_sided_tests(interval) -> None:
    low, high = interval
    assert (judge(EQUAL, interval) is YES) == (low >= -0.02 and -high >= -0.02)


@pytest.mark.parametrize(
    ("test", "said", "plus", "minus", "expected"),
    [
        (GAIN, YES, True, True, YES),
        (GAIN, YES, True, False, YES),  # it beats what its rival does not
        (GAIN, YES, False, False, DIRECTION),  # a gain among failures
        (GAIN, YES, None, None, YES),  # nothing to beat
        (GAIN, NO, False, True, NO),
        (GAIN, NO, False, False, OPEN),  # who fails refutes nobody
        (GAIN, OPEN, False, False, OPEN),
        (EQUAL, YES, False, False, OPEN),  # two failures are equal for free
        (EQUAL, NO, False, False, OPEN),
        (EQUAL, YES, True, True, YES),
    ],
)
def test_the_better_side_must_beat_the_trivial_method(test, said, plus, minus, expected) -> None:
    assert above_floor(test, said, plus, minus) is expected


@pytest.mark.parametrize(
    ("cells", "widened_cells", "mean", "whole", "expected"),
    [
        ([YES], [YES], YES, True, Verdict.SHOWN),
        ([OPEN], [OPEN], OPEN, True, Verdict.NOT_SHOWN),
        ([DIRECTION], [OPEN], DIRECTION, True, Verdict.IN_DIRECTION),
        ([NO], [NO], NO, True, Verdict.CONTRADICTED),
        ([YES, YES], [OPEN, OPEN], YES, True, Verdict.SHOWN),  # all of them: no correction is needed
        ([YES, YES], [YES, YES], YES, False, Verdict.IN_DIRECTION),  # a part was not tested
        ([YES, DIRECTION], [YES, OPEN], OPEN, True, Verdict.IN_DIRECTION),
        ([YES, OPEN], [YES, OPEN], YES, True, Verdict.IN_DIRECTION),
        ([YES, OPEN], [YES, OPEN], OPEN, True, Verdict.NOT_SHOWN),
        ([OPEN, OPEN], [OPEN, OPEN], YES, True, Verdict.IN_DIRECTION),
        ([YES, NO], [YES, OPEN], OPEN, True, Verdict.NOT_SHOWN),  # uncorrected, one of many refutes nothing
        ([YES, NO], [YES, NO], OPEN, True, Verdict.CONTRADICTED),
        ([YES, NO], [YES, NO], YES, True, Verdict.NOT_SHOWN),  # holds on the mean, and not everywhere
        ([OPEN, OPEN], [OPEN, OPEN], NO, True, Verdict.CONTRADICTED),
        ([], [], OPEN, True, Verdict.NOT_TESTED),
    ],
)
def test_the_verdict_on_every_quantity(cells, widened_cells, mean, whole, expected) -> None:
    assert every(cells, widened_cells, mean, whole=whole) is expected


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([YES, NO], Verdict.SHOWN),
        ([DIRECTION, OPEN], Verdict.IN_DIRECTION),
        ([OPEN, NO], Verdict.NOT_SHOWN),
        ([NO, NO], Verdict.CONTRADICTED),
        ([], Verdict.NOT_TESTED),
    ],
)
def test_the_verdict_on_the_best_quantity(cells, expected) -> None:
    assert best(cells) is expected


@given(st.lists(st.sampled_from(list(Says)), min_size=1, max_size=6), st.sampled_from(list(Says)), st.booleans())
def test_shown_needs_every_quantity(cells, mean, whole) -> None:
    verdict = every(cells, cells, mean, whole=whole)
    assert (verdict is Verdict.SHOWN) == (whole and set(cells) == {YES} and mean is not NO)
    if verdict is Verdict.IN_DIRECTION:
        assert NO not in cells


def test_confidence_grows_with_the_number_of_comparisons() -> None:
    assert widened(0.95, 1) == pytest.approx(0.95)
    assert widened(0.95, 10) == pytest.approx(0.995)


@pytest.mark.parametrize("limit", list(Says))
def test_a_limit_never_strengthens_and_never_hides_a_refutation(limit) -> None:
    order = [NO, OPEN, DIRECTION, YES]
    for said in order:
        assert order.index(at_most(said, limit)) <= order.index(said)
    assert at_most(NO, limit) is NO
