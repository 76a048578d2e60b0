from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillery.tracking.protocols import vot, vot_interval
from distillery.tracking.protocols.raster import TRAX, overlaps
from distillery.tracking.protocols.vot_interval import Interval
from distillery.tracking.protocols.vot_runs import FAILED, SKIP, SKIPPED, STARTED, TRACKED, Case, Run
from tracking.protocols import vot_reference as reference

PYSOT, TOOLKIT = vot.VARIANTS["pysot"], vot.VARIANTS["vottoolkit"]
BOX = (20.0, 20.0, 19.0, 19.0)
"""20 x 20 pixels to TraX, which draws both ends, and 19 x 19 to the toolkit."""
HALF = (20.0, 20.0, 19.0, 9.0)
"""The upper half of `BOX`: overlap 1/2 to TraX, 9/19 to the toolkit."""


def run(*frames: tuple[float, ...] | int) -> Run:
    codes = np.array([frame if isinstance(frame, int) else TRACKED for frame in frames], dtype=np.int8)
    regions = np.full((len(frames), 8), math.nan)
    for row, frame in zip(regions, frames, strict=True):
        if not isinstance(frame, int):
            row[: len(frame)] = frame
    return Run(codes, regions)


def case(*runs: Run, name: str = "one", tags: dict[str, list[int]] | None = None) -> Case:
    frames = len(runs[0].codes)
    masks = {tag: np.array(flags, dtype=bool) for tag, flags in (tags or {}).items()}
    return Case(name, np.array([BOX] * frames), (100, 80), runs, masks)


def interval(low: int, high: int) -> Interval:
    return Interval(low, high, "argument")


LOST = run(STARTED, BOX, HALF, FAILED, SKIPPED, SKIPPED, SKIPPED, SKIPPED, STARTED, BOX)
"""Ten frames: two tracked, a failure in the fourth, a new start in the ninth."""
KEPT = run(STARTED, HALF, HALF, HALF)


def test_expected_overlap_by_hand() -> None:
    """Three pieces. The failed one holds frames 1 … 9 and goes on with zeros; the others count up to their own ends.

    LOST from its start: overlaps -, 1, 1/2 and zeros; from its second start: -, 1. KEPT: -, 1/2, 1/2, 1/2.
    """
    scores = vot.evaluate([case(LOST), case(KEPT, name="two")], PYSOT, interval(2, 4))
    two = (1 + 1 + 1 / 2) / 3
    three = ((1 + 1 / 2) / 2 + 1 / 2) / 2  # the piece of two frames has ended
    four = ((1 + 1 / 2) / 3 + 1 / 2) / 2
    rest = [(1 + 1 / 2) / (length - 1) for length in range(5, 11)]  # the failed piece alone
    assert scores.curve == pytest.approx([1, two, three, four, *rest])
    assert scores.numbers["eao"] == pytest.approx((two + three + four) / 3)
    assert scores.numbers["lost"] == 1
    assert scores.numbers["robustness"] == pytest.approx(100 / 14)
    assert scores.per_sequence["two"] == {"accuracy": None, "lost": 0.0, "frames": 4}  # all within the burn-in


def test_expected_overlap_of_the_toolkit_by_hand() -> None:
    """Its failed piece ends before the failure (-, 1, 9/19), and its interval is one frame further on."""
    scores = vot.evaluate([case(LOST), case(KEPT, name="two")], TOOLKIT, interval(2, 3))
    half = 9 / 19
    three = ((1 + half) / 2 + half) / 2
    four = ((1 + half) / 3 + half) / 2
    assert scores.curve[1:4] == pytest.approx([(1 + 1 + half) / 3, three, four])
    assert scores.numbers["eao"] == pytest.approx((three + four) / 2)
    assert scores.numbers["robustness"] == pytest.approx((1 * 10 + 0 * 4) / 14)  # failures weighted by length


def test_burn_in() -> None:
    frames = [STARTED] + [HALF] * 9 + [BOX, BOX, HALF, FAILED] + [SKIPPED] * 4 + [STARTED] + [BOX] * 9 + [HALF]
    scores = vot.evaluate([case(run(*frames))], PYSOT, interval(2, 2))
    assert scores.numbers["accuracy"] == pytest.approx((1 + 1 + 1 / 2 + 1 / 2) / 4)
    weighted = vot.evaluate(
        [case(run(*frames)), case(run(STARTED, *[BOX] * 20), name="two")], TOOLKIT, interval(2, 2)
    ).numbers["accuracy"]
    assert weighted == pytest.approx(((2 + 2 * 9 / 19) / 4 * 29 + 1 * 21) / 50)


def test_repetitions_are_averaged() -> None:
    once = vot.evaluate([case(LOST)], PYSOT, interval(2, 5))
    assert vot.evaluate([case(LOST, LOST, LOST)], PYSOT, interval(2, 5)).numbers == pytest.approx(
        once.numbers, nan_ok=True
    )
    frames = [STARTED] + [HALF] * 9
    both = vot.evaluate([case(run(*frames, BOX, BOX), run(*frames, HALF, FAILED))], PYSOT, interval(2, 5))
    assert both.numbers["lost"] == 0.5
    assert both.numbers["accuracy"] == pytest.approx(
        ((1 + 1 / 2) / 2 + 1) / 2
    )  # per frame, over the runs that track it


def test_a_failure_near_the_end() -> None:
    """With fewer than five frames left there is no further start: the piece counts as one that lasted to the end."""
    short = vot.evaluate([case(run(STARTED, BOX, FAILED, SKIPPED, SKIPPED))], PYSOT, interval(2, 5))
    assert short.curve == pytest.approx([1, 1, 1 / 2, 1 / 3, 1 / 4])
    exact = vot.evaluate([case(run(STARTED, BOX, FAILED, *[SKIPPED] * 4))], PYSOT, interval(2, 7))
    assert exact.curve == pytest.approx([1, 1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6])


def test_tags() -> None:
    frames = [STARTED] + [BOX] * 10 + [HALF, BOX, FAILED] + [SKIPPED] * 4 + [STARTED, BOX]
    marked = [0] * 11 + [1, 0, 1] + [0] * 6
    scores = vot.evaluate(
        [case(run(*frames), tags={"occlusion": marked, "size_change": [0] * 20})], PYSOT, interval(2, 3)
    )
    tag = scores.by_tag["occlusion"]
    assert tag["accuracy"] == pytest.approx(1 / 2)
    assert (tag["lost"], tag["frames"], tag["sequences"]) == (1, 2, 1)
    assert tag["robustness"] == pytest.approx(50)
    assert tag["eao"] == pytest.approx(1)  # only the first piece has the tag, and tracks well at first
    assert scores.by_tag["size_change"] == {
        "accuracy": None,
        "robustness": None,
        "lost": 0.0,
        "frames": 0,
        "sequences": 0,
        "eao": None,
    }


def test_polygons_in_results_and_truth() -> None:
    corners = np.array([[20.0, 20, 39, 20, 39, 39, 20, 39]] * 12)
    polygon = tuple(corners[0])
    found = run(STARTED, *[polygon] * 10, BOX)
    scores = vot.evaluate([Case("one", corners, (100, 80), (found,))], PYSOT, interval(2, 9))
    assert scores.numbers["accuracy"] == 1


def test_the_last_column_counts_for_accuracy_alone() -> None:
    """pysot cuts regions at the width for accuracy, and one pixel before for expected overlap."""
    truth = np.array([[90.0, 10, 10, 10]] * 12)
    wide = (90.0, 10.0, 9.0, 10.0)
    cases = [Case("one", truth, (100, 80), (run(STARTED, *[wide] * 11),))]
    scores = vot.evaluate(cases, PYSOT, interval(2, 2))
    assert scores.numbers["accuracy"] == pytest.approx(10 / 11)
    assert scores.numbers["eao"] == 1


def _random_run(noise: np.random.Generator, truth: np.ndarray) -> list[list[float]]:
    rows: list[list[float]] = []
    start = 0
    for index, real in enumerate(truth):
        if index <= start:
            rows.append([STARTED] if index == start else [SKIPPED])
        elif noise.random() < 0.06:
            rows.append([FAILED])
            start = index + SKIP
        elif noise.random() < 0.5:
            low, high = real.reshape(4, 2).min(axis=0), real.reshape(4, 2).max(axis=0)
            rows.append([*(low + noise.uniform(-4, 4, 2)).tolist(), *(high - low).tolist()])
        else:
            rows.append((real + noise.uniform(-3, 3, 8)).tolist())
    return rows


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), repetitions=st.integers(1, 3))
def test_pysot_is_what_its_steps_say(seed: int, repetitions: int) -> None:
    noise = np.random.default_rng(seed)
    sizes = [(60, 50), (40, 60)]
    truths = [np.add(noise.uniform(0, 10, (n, 8)), [10, 5, 30, 10, 28, 30, 8, 25]) for n in (34, 21)]
    results = [[_random_run(noise, truth) for _ in range(repetitions)] for truth in truths]
    cases = [
        Case(
            str(n), truth, size, tuple(run(*(row[0] if len(row) == 1 else tuple(row) for row in rows)) for rows in runs)
        )
        for n, (truth, size, runs) in enumerate(zip(truths, sizes, results, strict=True))
    ]
    expected = reference.scores([truth.tolist() for truth in truths], results, sizes, 4, 17)
    numbers = vot.evaluate(cases, PYSOT, interval(4, 17)).numbers
    defined = {name: math.nan if value is None else value for name, value in numbers.items()}
    assert defined == pytest.approx(expected, rel=1e-9, nan_ok=True)


def test_overlaps_that_are_nothing_do_not_spoil_the_numbers() -> None:
    """Two regions without a pixel: 0 / 0 in region.c, of which pysot makes NaN for all longer clips."""
    truth = np.array([[20.2, 20.2, 0.1, 9.0]] * 14)
    assert np.isnan(overlaps(TRAX.box_corners(truth[:1]), truth[:1], (99, 99), TRAX)).all()
    scores = vot.evaluate(
        [Case("one", truth, (100, 80), (run(STARTED, *[tuple(truth[0])] * 13),))], PYSOT, interval(2, 5)
    )
    assert scores.numbers == {"eao": 0.0, "accuracy": None, "robustness": 0.0, "lost": 0.0}


class TestInterval:
    def test_official(self) -> None:
        lengths = [50, 1500]
        assert vot_interval.interval_for("vot2018", lengths) == Interval(100, 356, "official")
        assert vot_interval.interval_for("vot2019", lengths) == Interval(46, 291, "official")

    def test_short_sequences_have_their_own(self) -> None:
        short = vot_interval.interval_for("vot2019", [30, 40, 40, 40, 50, 60])
        assert short.source == "derived"
        assert 30 <= short.low < 40 < short.high <= 55
        assert vot_interval.derived([60, 60, 60]) == (60, 60)
        assert vot_interval.derived([60]) == (60, 60)

    def test_half_of_the_mass(self) -> None:
        noise = np.random.default_rng(1)
        low, high = vot_interval.derived(np.round(noise.normal(500, 80, 4000)).astype(int).tolist())
        # Half of a normal distribution lies within 0.674 deviations; the kernel widens it a little.
        assert (low, high) == (pytest.approx(500 - 0.69 * 80, abs=8), pytest.approx(500 + 0.69 * 80, abs=8))

    @given(st.lists(st.integers(2, 300), min_size=1, max_size=12))
    def test_it_lies_within_the_lengths(self, lengths: list[int]) -> None:
        low, high = vot_interval.derived(lengths)
        assert 1 <= low <= high <= max(lengths)
