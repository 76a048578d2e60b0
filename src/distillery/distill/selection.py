"""Search for a student: layer-wise channel shrinking under a size budget (paper section on student selection).

The search is the shrinkage stage of N2N learning (Ashok et al., ICLR 2018): in each update a strategy proposes a few
children, each child gets a reward for its size and accuracy, and the strategy learns from the rewards. Nothing here
knows trackers or torch: what a child's size and accuracy are is handed in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from distillery.engine.randomness import numpy_generator

ACTIONS = tuple(tenth / 10 for tenth in range(1, 11))
"""Shrinkage ratios of a layer's channels, the actions of the paper: 0.1, 0.2 … 1."""
DEGENERATE = -1.0
"""Reward of a child that cannot be built or whose training fails (N2N)."""
ATTEMPTS = 1_000_000
"""Uniform draws after which random search gives up looking for a child within the budget."""

Ratios = tuple[float, ...]


class LayerCode(NamedTuple):
    """How the policy sees a layer of the teacher (N2N: type, kernel, stride, channels, padding)."""

    kind: int
    """0 for a convolution of the backbone, 1 for the head, whose branches take one action together."""
    kernel: int
    stride: int
    channels: int
    padding: int = 0


@dataclass(frozen=True)
class Space:
    """What is searched.

    Attributes:
        layers: The teacher's layers, one action each.
        channels: Ratios -> channel numbers; children with equal channels are the same child.
        size: Ratios -> parameters of the child, or None if it cannot be built.
        teacher_size: Parameters of the teacher.
        budget: How many times smaller than the teacher a child must be, > 1.
    """

    layers: tuple[LayerCode, ...]
    channels: Callable[[Ratios], tuple[int, ...]]
    size: Callable[[Ratios], int | None]
    teacher_size: int
    budget: float

    @property
    def limit(self) -> float:
        """Most parameters of a child."""
        return self.teacher_size / self.budget

    def fits(self, ratios: Ratios) -> bool:
        """Whether a child can be built and keeps the budget."""
        size = self.size(ratios)
        return size is not None and size <= self.limit


def reward(accuracy: float, teacher_accuracy: float, size: int, teacher_size: int) -> float:
    """R = C (2 - C) * accuracy / teacher's accuracy with the compression C = 1 - size / teacher's size (N2N).

    Args:
        accuracy: Of the child, >= 0.
        teacher_accuracy: Of the teacher on the same data, > 0.
        size: Parameters of the child.
        teacher_size: Parameters of the teacher.
    """
    compression = 1 - size / teacher_size
    return compression * (2 - compression) * accuracy / teacher_accuracy


def excess(size: int, space: Space) -> float:
    """Reward of a child over the budget: -log(size / limit) / log(budget), from 0 at the limit to -1 at the teacher.

    It needs no accuracy, so such a child is never trained; it is below every reward within the budget; and, unlike
    N2N's constraint, which ends at -1 for all of them, it tells the policy which of two is nearer.
    """
    return max(DEGENERATE, -math.log(size / space.limit) / math.log(space.budget))


@dataclass(frozen=True)
class Visit:
    """One child that a search has seen.

    Attributes:
        update: 0-based update in which it was proposed.
        ratios: Its actions.
        channels: Its channel numbers.
        parameters: Its size; None if it cannot be built.
        within: Whether it keeps the budget.
        accuracy: None if it was not trained (over the budget) or its training failed.
        reward: What the strategy was told.
    """

    update: int
    ratios: Ratios
    channels: tuple[int, ...]
    parameters: int | None
    within: bool
    accuracy: float | None
    reward: float


class Strategy(Protocol):
    """Proposes children and learns from their rewards."""

    def propose(self, update: int) -> list[Ratios]:
        """Children of an update; derives from the seed, `update` and what was learnt."""

    def learn(self, ratios: Sequence[Ratios], rewards: Sequence[float]) -> None:
        """Takes in the rewards of the children that were just proposed."""


class RandomSearch:
    """Uniform over the children within the budget, by rejection: the baseline that spends the same number of children.

    Uniform actions without the rejection would waste nearly all children on sizes that are known to be too large,
    which flatters the policy.

    Args:
        space: What is searched.
        seed: Of the job.
        children: Proposals an update.
    """

    def __init__(self, space: Space, seed: int, children: int) -> None:
        self.space, self.seed, self.children = space, seed, children

    def propose(self, update: int) -> list[Ratios]:
        """`children` draws; a repetition is possible and costs nothing."""
        return [self._draw(update, child) for child in range(self.children)]

    def learn(self, ratios: Sequence[Ratios], rewards: Sequence[float]) -> None:
        """Random search learns nothing."""

    def _draw(self, update: int, child: int) -> Ratios:
        draw = numpy_generator(self.seed, "random search", update, child)
        for _ in range(ATTEMPTS):
            ratios = tuple(ACTIONS[action] for action in draw.integers(len(ACTIONS), size=len(self.space.layers)))
            if self.space.fits(ratios):
                return ratios
        # So few children fit that chance does not meet them; the smallest one fits or the job would not have begun.
        return (ACTIONS[0],) * len(self.space.layers)


class Fixed:
    """A strategy that proposes given children in its first update, to measure them like the others."""

    def __init__(self, ratios: Sequence[Ratios]) -> None:
        self.ratios = list(ratios)

    def propose(self, update: int) -> list[Ratios]:
        """The given children."""
        return self.ratios if update == 0 else []

    def learn(self, ratios: Sequence[Ratios], rewards: Sequence[float]) -> None:
        """Nothing to learn."""


def uniform_shrink(space: Space) -> Ratios | None:
    """The largest ratio in steps of 0.001, the same for all layers, that keeps the budget; None if none does."""
    low, high = 0, 1000  # low fits or is 0, high does not fit: the teacher itself is over a budget > 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if space.fits((middle / 1000,) * len(space.layers)) else (low, middle)
    return (low / 1000,) * len(space.layers) if low else None


def search(
    space: Space,
    strategy: Strategy,
    evaluate: Callable[[Sequence[Ratios]], Sequence[float | None]],
    *,
    teacher_accuracy: float,
    updates: int,
) -> Iterator[list[Visit]]:
    """Runs a search; yields the visits of each update, so that the caller can show progress.

    Args:
        space: What is searched.
        strategy: Who proposes.
        evaluate: Trains new children and returns the accuracy of each, None where training failed. It sees each
            distinct child within the budget once.
        teacher_accuracy: Accuracy of the teacher on the same data, > 0.
        updates: Rounds of proposals.
    """
    known: dict[tuple[int, ...], float | None] = {}
    for update in range(updates):
        proposals = strategy.propose(update)
        keys = [space.channels(ratios) for ratios in proposals]
        new = {
            key: ratios for key, ratios in zip(keys, proposals, strict=True) if key not in known and space.fits(ratios)
        }
        known |= dict(zip(new, evaluate(list(new.values())), strict=True)) if new else {}
        visits = []
        for ratios, key in zip(proposals, keys, strict=True):
            size, accuracy = space.size(ratios), known.get(key)
            within = size is not None and size <= space.limit
            if size is None or (within and (accuracy is None or not math.isfinite(accuracy))):
                value, accuracy = DEGENERATE, None
            elif accuracy is None:
                value = excess(size, space)
            else:
                value = reward(accuracy, teacher_accuracy, size, space.teacher_size)
            visits.append(Visit(update, ratios, key, size, within, accuracy, value))
        strategy.learn(proposals, [visit.reward for visit in visits])
        yield visits


def best(visits: Sequence[Visit]) -> Visit | None:
    """The trained visit of highest reward, the earliest of equals; None if no child within the budget was trained."""
    trained = [visit for visit in visits if visit.within and visit.accuracy is not None]
    return max(trained, key=lambda visit: visit.reward) if trained else None
