"""The rules by which intervals become verdicts. `docs/claims.md` says them in words, RULES prints them.

Nothing here knows a network, a benchmark or a number of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from distillery.config.claims import Extent, Gain, Par, Ratio

Interval = tuple[float, float]


class Says(StrEnum):
    """What one quantity says of a claim, from its interval alone."""

    YES = "yes"
    """The claim holds for it."""
    DIRECTION = "direction"
    """It lies on the better side, but not as far as claimed, or no more can be tested."""
    OPEN = "open"
    """Its interval allows both."""
    NO = "no"
    """The claim does not hold for it."""


class Verdict(StrEnum):
    """What a run says of a claim."""

    SHOWN = "shown"
    IN_DIRECTION = "shown in direction"
    NOT_SHOWN = "not shown"
    CONTRADICTED = "contradicted"
    NOT_TESTED = "not tested at this scale"


RULES = (
    "A quantity is better or worse (of a claim of equality: as accurate or less accurate) where its whole interval "
    "says so; otherwise it is open.",
    "Shown: every quantity of the claim holds with its whole interval, and nothing of the below limits it.",
    "Shown in direction: the mean over all quantities holds with its whole interval, or each of them is on the better "
    "side with its whole interval, and none is refuted. It is the most that is said where only the direction can be "
    "tested, where the networks do not clearly beat the best trivial method, where a part of the claim was not tested, "
    "and where a claim on which this one rests is not shown.",
    "Contradicted: the mean fails with its whole interval; or a single quantity does, with an interval widened for "
    "their number (Bonferroni, as Holm for a first refutation), and the mean does not hold.",
    "Not shown: all else. It proves nothing, the opposite neither.",
    "Not tested at this scale: the profile cannot test it, this run has no network for it, or every measure is "
    "saturated.",
    "A factor is claimed “up to”: the best quantity decides, and its interval is the range of the measurements.",
)
"""The rules in words."""

_ORDER = (Says.NO, Says.OPEN, Says.DIRECTION, Says.YES)


def judge(test: Gain | Par | Ratio, interval: Interval, extent: Extent = "everything") -> Says:
    """What one quantity says, from its interval.

    - `gain`: yes if the whole interval is above 0, and no lower than the published size less the tolerance where one is
      claimed; direction if it is above 0 alone; no if it is below 0.
    - `par`: yes if it lies within the margin, or above its lower end where better counts; no if it lies outside.
    - `ratio`: as `gain`, with 1 in the place of 0.

    Args:
        test: The claim's.
        interval: Low and high end, the better side above.
        extent: If only the direction can be tested, a yes is no more than that.
    """
    low, high = interval
    if isinstance(test, Par):
        holds = low >= -test.margin and (test.better_counts or high <= test.margin)
        fails = high < -test.margin or (low > test.margin and not test.better_counts)
        said = Says.YES if holds else Says.NO if fails else Says.OPEN
    else:
        zero = 1.0 if isinstance(test, Ratio) else 0.0
        target = zero if test.reaches is None else test.reaches - test.tolerance
        said = Says.OPEN if low <= zero else Says.YES if low >= target else Says.DIRECTION
        said = Says.NO if high < zero else said
    return at_most(said, Says.DIRECTION) if extent == "direction" else said


def at_most(said: Says, limit: Says) -> Says:
    """The weaker of both in favour of the claim; what speaks against it stays."""
    return min(said, limit, key=_ORDER.index)


def above_floor(test: Gain | Par | Ratio, said: Says, plus: bool | None, minus: bool | None) -> Says:
    """What a quantity says in view of the best trivial method: the better side must clearly beat it.

    A gain of networks that do not is a direction at most, and that two failures are equal says nothing. Nor is a claim
    refuted by networks that do not beat it.

    Args:
        test: The claim's.
        said: What its interval says.
        plus: Whether the favoured networks clearly beat it; None where there is nothing to beat.
        minus: The same of those they are compared with.
    """
    if said is Says.NO:
        return Says.OPEN if minus is False else said
    if plus is False:
        return at_most(said, Says.OPEN if isinstance(test, Par) else Says.DIRECTION)
    return said


def widened(confidence: float, comparisons: int) -> float:
    """Bonferroni's confidence for so many comparisons: one refutation among them by chance is as rare as of one."""
    return 1 - (1 - confidence) / max(comparisons, 1)


def every(cells: Sequence[Says], widened_cells: Sequence[Says], mean: Says, *, whole: bool = True) -> Verdict:
    """The verdict on a claim that is made of every one of its quantities.

    Args:
        cells: What each says.
        widened_cells: What each says with its widened interval.
        mean: What the mean over all says; that of the only one where there is one.
        whole: Whether all parts of the claim were tested.
    """
    if not cells:
        return Verdict.NOT_TESTED
    favourable = mean in (Says.YES, Says.DIRECTION)
    if mean is Says.NO:
        return Verdict.CONTRADICTED
    if Says.NO in widened_cells:
        return Verdict.NOT_SHOWN if favourable else Verdict.CONTRADICTED
    if whole and all(said is Says.YES for said in cells):
        return Verdict.SHOWN
    if favourable or all(said in (Says.YES, Says.DIRECTION) for said in cells):
        return Verdict.IN_DIRECTION
    return Verdict.NOT_SHOWN


def best(cells: Sequence[Says]) -> Verdict:
    """The verdict on a claim of which one quantity is enough ("up to")."""
    if not cells:
        return Verdict.NOT_TESTED
    return {
        Says.YES: Verdict.SHOWN,
        Says.DIRECTION: Verdict.IN_DIRECTION,
        Says.OPEN: Verdict.NOT_SHOWN,
        Says.NO: Verdict.CONTRADICTED,
    }[max(cells, key=_ORDER.index)]
