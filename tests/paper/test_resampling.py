"""Intervals over seeds and units, against a literal loop, enumeration, and what must hold of any of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from distillery.paper.resampling import sample
from distillery.paper.statistics import estimate

TABLE = np.array([[0.10, 0.02, -0.03, 0.07], [0.04, 0.05, 0.00, 0.01], [0.12, -0.02, 0.03, 0.09]])
SMALL = arrays.arrays(float, (3, 4), elements=st.floats(-1, 1, width=32))


def literal(blocks: list[np.ndarray], weights: list[float], count: int) -> np.ndarray:
    """The bootstrap as one would write it down: draw seeds, draw the columns of each block, take the mean."""
    random = np.random.default_rng(5)
    found = []
    for _ in range(count):
        rows = random.integers(0, len(blocks[0]), len(blocks[0]))
        total = 0.0
        for weight, block in zip(weights, blocks, strict=True):
            columns = random.integers(0, block.shape[1], block.shape[1])
            total += weight * sum(block[row, column] for row in rows for column in columns) / (len(rows) * len(columns))
        found.append(total)
    return np.array(found)


def test_the_mean_and_students_interval_by_hand() -> None:
    drawn = sample([TABLE], [1.0], 999, "x")
    rows = [0.04, 0.025, 0.055]
    assert drawn.mean == pytest.approx(0.04)
    assert drawn.rows == pytest.approx(rows)
    # s = .015, t(.975, 2) = 4.302653
    assert drawn.t(0.95) == pytest.approx((0.04 - 4.302653 * 0.015 / 3**0.5, 0.04 + 4.302653 * 0.015 / 3**0.5))
    known = estimate(rows)
    assert drawn.t(0.95) == pytest.approx((known.low, known.high))


@pytest.mark.parametrize(
    ("blocks", "weights"),
    [([TABLE], [1.0]), ([TABLE, TABLE[:, :2] * 3, TABLE[:, :1]], [0.5, 0.25, 0.25]), ([TABLE[:, :1]], [1.0])],
)
def test_the_bootstrap_is_that_of_a_literal_loop(blocks, weights) -> None:
    drawn, peer = sample(blocks, weights, 9999, "x"), literal(blocks, weights, 6000)
    assert drawn.resampled.size == 9999
    spread = peer.std()
    assert drawn.resampled.mean() == pytest.approx(peer.mean(), abs=0.05 * spread)
    assert drawn.resampled.std() == pytest.approx(spread, rel=0.05)
    for share in (0.025, 0.25, 0.5, 0.75, 0.975):
        assert np.quantile(drawn.resampled, share) == pytest.approx(np.quantile(peer, share), abs=0.12 * spread)


def test_the_bootstrap_draws_what_enumeration_lists() -> None:
    table = np.array([[0.0, 1.0], [10.0, 100.0]])
    drawn = sample([table], [1.0], 9999, "x").resampled
    listed = [
        table[np.ix_(rows, columns)].mean()
        for rows in itertools.product(range(2), repeat=2)
        for columns in itertools.product(range(2), repeat=2)
    ]
    assert set(np.round(drawn, 9)) == set(np.round(listed, 9))
    for value in set(listed):
        share = np.mean(np.isclose(drawn, value))
        assert share == pytest.approx(listed.count(value) / len(listed), abs=0.02)


def test_the_interval_reaches_from_the_lowest_to_the_highest_end() -> None:
    few_seeds_decide = np.repeat([[0.0], [0.1], [0.2]], 50, axis=1)
    units_decide = np.repeat(np.linspace(-1, 1, 8)[None], 3, axis=0) + 0.5
    for table, wider in ((few_seeds_decide, "t"), (units_decide, "bootstrap")):
        drawn = sample([table], [1.0], 1999, "x")
        low, high = drawn.interval(0.95)
        assert (low, high) == pytest.approx(getattr(drawn, wider)(0.95))
        assert low <= min(drawn.t(0.95)[0], drawn.bootstrap(0.95)[0])
        assert high >= max(drawn.t(0.95)[1], drawn.bootstrap(0.95)[1])


@settings(max_examples=25, deadline=None)
@given(SMALL)
def test_exchanging_the_arms_mirrors_the_interval(table) -> None:
    low, high = sample([table], [1.0], 999, "x").interval(0.95)
    assert sample([-table], [1.0], 999, "x").interval(0.95) == pytest.approx((-high, -low), abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(SMALL, st.floats(1, 10))
def test_more_noise_widens_the_interval(table, factor) -> None:
    mean = table.mean()
    low, high = sample([table], [1.0], 999, "x").interval(0.95)
    noisy_low, noisy_high = sample([mean + factor * (table - mean)], [1.0], 999, "x").interval(0.95)
    assert noisy_high - noisy_low >= (high - low) * (1 - 1e-9) - 1e-12
    assert noisy_low <= low + 1e-9
    assert noisy_high >= high - 1e-9


@settings(max_examples=10, deadline=None)
@given(SMALL)
def test_more_confidence_never_narrows(table) -> None:
    drawn = sample([table], [1.0], 999, "x")
    ends = [drawn.interval(confidence) for confidence in (0.8, 0.95, 0.995)]
    assert all(wide[0] <= narrow[0] and narrow[1] <= wide[1] for narrow, wide in itertools.pairwise(ends))


def test_equal_names_draw_alike_and_others_otherwise() -> None:
    one, same, other = (sample([TABLE], [1.0], 999, name).resampled for name in ("x", "x", "y"))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("blocks", [[TABLE[:1]], [TABLE, TABLE[:2]]])
def test_one_seed_or_unlike_seeds_are_no_sample(blocks) -> None:
    with pytest.raises(ValueError, match="two seeds or more"):
        sample(blocks, [1 / len(blocks)] * len(blocks), 999, "x")
