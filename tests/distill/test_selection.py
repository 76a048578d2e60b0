"""The search for students: rewards worked by hand, the strategies' draws, and what the search asks and concludes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillery.distill import selection
from distillery.distill.selection import (
    ACTIONS,
    DEGENERATE,
    Fixed,
    LayerCode,
    RandomSearch,
    Ratios,
    Space,
    Visit,
    best,
    excess,
    reward,
    search,
    uniform_shrink,
)

CHANNELS = (10, 20)


def channels(ratios: Ratios) -> tuple[int, ...]:
    return tuple(max(1, round(c * r)) for c, r in zip(CHANNELS, ratios, strict=True))


def size(ratios: Ratios) -> int:
    a, b = channels(ratios)
    return a * b


def space(*, budget: float = 4.0, size: Callable[[Ratios], int | None] = size) -> Space:
    """Two layers of 10 and 20 channels, size 200 = 10 * 20; within a budget of 4 lie sizes up to 50."""
    layers = tuple(LayerCode(0, 3, 1, c) for c in CHANNELS)
    return Space(layers, channels, size, 200, budget)


class Given:
    """Proposes what it is given and notes the rewards."""

    def __init__(self, *rounds: Sequence[Ratios]) -> None:
        self.rounds, self.told = rounds, []

    def propose(self, update: int) -> list[Ratios]:
        return list(self.rounds[update])

    def learn(self, ratios: Sequence[Ratios], rewards: Sequence[float]) -> None:
        self.told.append((list(ratios), list(rewards)))


def run(strategy: Given, accuracies: dict[Ratios, float | None], **changes: object) -> tuple[list[Visit], list]:
    asked: list[Ratios] = []

    def evaluate(children: Sequence[Ratios]) -> list[float | None]:
        asked.extend(children)
        return [accuracies[child] for child in children]

    made = space(**changes)  # type: ignore[arg-type]
    rounds = search(made, strategy, evaluate, teacher_accuracy=0.8, updates=len(strategy.rounds))
    return [visit for seen in rounds for visit in seen], asked


class TestReward:
    def test_by_hand(self) -> None:
        # C = 1 - 20/100 = 0.8; C (2 - C) = 0.8 * 1.2 = 0.96; 0.6 / 0.8 = 0.75; product 0.72.
        assert reward(0.6, 0.8, 20, 100) == pytest.approx(0.72)
        # Half the size: C (2 - C) = 0.5 * 1.5 = 0.75.
        assert reward(0.8, 0.8, 50, 100) == pytest.approx(0.75)

    def test_the_teacher_itself_earns_nothing(self) -> None:
        assert reward(0.8, 0.8, 100, 100) == 0

    def test_thirteen_times_smaller_costs_little(self) -> None:
        assert reward(1.0, 1.0, 100, 1300) == pytest.approx(1 - 1 / 169)  # C(2-C) = 1 - (1-C)^2

    @given(st.floats(0.01, 1), st.integers(1, 999), st.integers(1, 999))
    def test_smaller_is_never_worse_at_equal_accuracy(self, accuracy: float, one: int, other: int) -> None:
        small, large = sorted((one, other))
        assert reward(accuracy, 1.0, small, 1000) >= reward(accuracy, 1.0, large, 1000)

    def test_excess_by_hand(self) -> None:
        made = space()  # limit 50 of 200
        assert excess(50, made) == 0
        assert excess(100, made) == pytest.approx(-0.5)  # log 2 / log 4
        assert excess(200, made) == pytest.approx(-1)
        assert excess(900, made) == DEGENERATE  # cannot be worse than a child that does not exist

    @given(st.integers(51, 200), st.floats(0, 1))
    def test_over_the_budget_is_below_everything_within(self, parameters: int, accuracy: float) -> None:
        assert excess(parameters, space()) < 0 <= reward(accuracy, 1.0, 50, 200)


class TestSpace:
    def test_budget_is_a_limit_on_parameters(self) -> None:
        assert space().limit == 50
        assert space().fits((0.5, 0.5))  # 5 * 10 = 50, the limit itself
        assert not space().fits((0.6, 0.5))

    def test_what_cannot_be_built_does_not_fit(self) -> None:
        assert not space(size=lambda ratios: None).fits((0.1, 0.1))


class TestUniformShrink:
    def test_is_the_largest_ratio_in_thousandths(self) -> None:
        found = uniform_shrink(space())
        assert found == (0.525, 0.525)  # 5 * 10 = 50: 5.25 rounds to 5, and 10.5 to the even 10
        fitting = [n for n in range(1, 1001) if space().fits((n / 1000,) * 2)]
        assert found[0] == max(fitting) / 1000

    def test_none_where_nothing_fits(self) -> None:
        assert uniform_shrink(space(size=lambda ratios: 1000)) is None


class TestRandomSearch:
    def test_draws_fit_and_cover_what_fits_alike(self) -> None:
        made = space()
        fitting = [(a, b) for a in ACTIONS for b in ACTIONS if made.fits((a, b))]
        drawn = [r for update in range(1000) for r in RandomSearch(made, 0, 3).propose(update)]
        counts = {ratios: drawn.count(ratios) for ratios in fitting}
        assert sum(counts.values()) == len(drawn) == 3000
        expected = 3000 / len(fitting)
        chi = sum((count - expected) ** 2 / expected for count in counts.values())
        assert chi < len(fitting) + 4 * math.sqrt(2 * len(fitting))  # four deviations of a chi-squared variable

    def test_derives_from_seed_and_update_alone(self) -> None:
        one, other = RandomSearch(space(), 0, 3), RandomSearch(space(), 0, 3)
        one.propose(0)
        one.learn([(0.1, 0.1)], [1.0])
        assert one.propose(5) == other.propose(5)
        assert one.propose(5) != one.propose(6)
        assert RandomSearch(space(), 1, 3).propose(5) != one.propose(5)

    def test_a_hopeless_budget_ends_at_the_smallest_child(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(selection, "ATTEMPTS", 10)
        assert RandomSearch(space(size=lambda ratios: 1000), 0, 1).propose(0) == [(0.1, 0.1)]


class TestSearch:
    def test_rewards_by_hand(self) -> None:
        # Sizes 50 (C = 0.75, C(2-C) = 0.9375), 200 (over), 2 * 4 = 8 (C = 0.96, C(2-C) = 0.9984).
        strategy = Given([(0.5, 0.5), (1.0, 1.0), (0.2, 0.2)])
        visits, asked = run(strategy, {(0.5, 0.5): 0.6, (0.2, 0.2): 0.4})
        assert asked == [(0.5, 0.5), (0.2, 0.2)]  # the one over the budget is never trained
        assert [visit.reward for visit in visits] == pytest.approx([0.9375 * 0.75, -1.0, 0.9984 * 0.5])
        assert [visit.accuracy for visit in visits] == [0.6, None, 0.4]
        assert [visit.within for visit in visits] == [True, False, True]
        assert [visit.parameters for visit in visits] == [50, 200, 8]
        assert strategy.told == [([(0.5, 0.5), (1.0, 1.0), (0.2, 0.2)], [visit.reward for visit in visits])]

    def test_a_child_is_trained_once_however_it_is_spelt(self) -> None:
        # 20 * 0.5 and 20 * 0.51 are both 10 channels.
        visits, asked = run(Given([(0.5, 0.5), (0.5, 0.51)], [(0.5, 0.5)]), {(0.5, 0.5): 0.6, (0.5, 0.51): 0.1})
        assert len({visit.reward for visit in visits}) == 1
        assert len(asked) == 1
        assert [visit.update for visit in visits] == [0, 0, 1]

    @pytest.mark.parametrize("accuracy", [None, math.nan, math.inf])
    def test_failed_training_is_degenerate(self, accuracy: float | None) -> None:
        visits, _ = run(Given([(0.5, 0.5)]), {(0.5, 0.5): accuracy})
        assert visits[0].reward == DEGENERATE
        assert visits[0].accuracy is None
        assert best(visits) is None

    def test_what_cannot_be_built_is_degenerate_and_not_trained(self) -> None:
        visits, asked = run(Given([(0.5, 0.5)]), {}, size=lambda ratios: None)
        assert (visits[0].reward, visits[0].parameters, visits[0].within) == (DEGENERATE, None, False)
        assert asked == []

    def test_best_is_the_first_of_the_highest_rewards_within_the_budget(self) -> None:
        rounds = Given([(1.0, 1.0), (0.2, 0.2)], [(0.5, 0.5), (0.4, 0.4)])
        visits, _ = run(rounds, {(0.2, 0.2): 0.1, (0.5, 0.5): 0.8, (0.4, 0.4): 0.4})
        assert best(visits) == visits[2]
        assert best(visits[:1]) is None  # over the budget
        assert best([visits[2], visits[2]]) is visits[2]

    def test_fixed_children_are_measured_once(self) -> None:
        strategy = Fixed([(0.3, 0.3)])
        assert strategy.propose(0) == [(0.3, 0.3)]
        assert strategy.propose(1) == []
