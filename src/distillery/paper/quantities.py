"""One tested number of a claim: a difference, or the mean of several, with its intervals and what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from distillery.config.claims import Contrast, Gain, Par
from distillery.config.claims_job import ClaimJob, ClaimsJob
from distillery.paper.baselines import best_trivial, clearly
from distillery.paper.contrasts import WHOLE, Difference, Metrics
from distillery.paper.costs import ComputeProfile
from distillery.paper.judged import Evidence, Quantity
from distillery.paper.measures import MINUS, first_measure
from distillery.paper.published import published_sum
from distillery.paper.resampling import Sampled, sample
from distillery.paper.statistics import estimate
from distillery.paper.verdicts import Says, Verdict, above_floor, at_most, judge

Parts = Sequence[tuple[Contrast, Difference]]


@dataclass
class Court:
    """What claims are judged from."""

    job: ClaimsJob
    metrics: Metrics
    compute: ComputeProfile
    compute_file: str
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """Verdicts so far, on which later claims may rest."""

    def contrast(self, pair: Contrast) -> str:
        """A contrast in words: "SiamFC dim, TSsKD − SiamFC teacher"."""
        told = ["+".join(self.job.labels.get(arm, arm) for arm in arms) for arms in (pair.plus, pair.minus)]
        if len(pair.plus) > 1:
            told = [f"({side.replace('+', ' + ')})" for side in told]
        return f" {MINUS} ".join(told)


@dataclass(frozen=True)
class Tested:
    """A quantity and what it says."""

    quantity: Quantity
    said: Says
    """With everything that limits it."""
    refutes: Says
    """The same with the interval widened for the number of comparisons."""
    raw: Says
    """Of its interval alone."""


def plain(value: float) -> float:
    """Ten significant digits, so that the last bits of another machine's sums change no byte."""
    return float(f"{value:.10g}")


def tested(court: Court, claim: ClaimJob, test: Gain | Par, parts: Parts, wide: float) -> Tested:
    """Tests the mean of some differences, of which one is the usual case.

    Args:
        court: What claims are judged from.
        claim: The claim.
        test: Its test.
        parts: Differences, each with its contrast.
        wide: Confidence of the interval that may refute the claim.
    """
    rules, (pair, first) = court.job.rules, parts[0]
    drawn = _sampled(court, claim, [part for _, part in parts])
    interval, wider = drawn.interval(rules.confidence), drawn.interval(wide)
    plus, minus = (_clear(court, claim, parts, side) for side in ("plus", "minus"))
    raw = judge(test, interval)
    said, refutes = (above_floor(test, judge(test, ends, claim.extent), plus, minus) for ends in (interval, wider))
    said = at_most(said, limit_of(court, pair))
    one_pair, single = all(other is pair for other, _ in parts), len(parts) == 1
    measures = {part.measure.key for _, part in parts}
    quantity = Quantity(
        what=court.contrast(pair) if one_pair else f"mean of {len(parts)} differences",
        plus=pair.plus if one_pair else (),
        minus=pair.minus if one_pair else (),
        benchmark=first.benchmark if single else None,
        measure=first.measure.key if len(measures) == 1 else None,
        value=plain(drawn.mean),
        low=plain(interval[0]),
        high=plain(interval[1]),
        t=_ends(drawn.t(rules.confidence)),
        bootstrap=_ends(drawn.bootstrap(rules.confidence)),
        widened=_ends(wider) if wide > rules.confidence else None,
        says=said.value,
        seeds=len(drawn.rows),
        units=_units(parts),
        trivial=_unbeaten(court, claim, parts) if plus is False and raw is not Says.NO else None,
        published=_published(court, pair, first) if single else None,
        files=tuple(dict.fromkeys(file for _, part in parts for file in part.files)) if one_pair else (),
    )
    return Tested(quantity, said, refutes, raw)


def limit_of(court: Court, pair: Contrast) -> Says:
    """The most that a contrast says in view of the claim on which it rests."""
    rests = pair.provided is not None and court.verdicts.get(pair.provided) is not Verdict.SHOWN
    return Says.DIRECTION if rests else Says.YES


def _ends(interval: tuple[float, float]) -> tuple[float, float]:
    return plain(interval[0]), plain(interval[1])


def _sampled(court: Court, claim: ClaimJob, parts: Sequence[Difference]) -> Sampled:
    """The mean of differences; those on the same sequences or queries draw them together."""
    seeds = sorted(set.intersection(*(set(part.seeds) for part in parts)))
    groups: dict[tuple[str, tuple[str, ...]], list[Difference]] = {}
    for part in parts:
        groups.setdefault((part.benchmark, part.names), []).append(part)
    blocks = [
        np.mean([part.matrix[[part.seeds.index(seed) for seed in seeds]] for part in group], axis=0)
        for group in groups.values()
    ]
    weights = [len(group) / len(parts) for group in groups.values()]
    name = "/".join([claim.id, *(f"{part.benchmark}:{','.join(sorted(part.means))}" for part in parts)])
    return sample(blocks, weights, court.job.rules.resamples, name)


def _units(parts: Parts) -> str:
    """ "30 sequences": what was drawn beside seeds."""
    found = {(part.benchmark, part.names): part.unit for _, part in parts if part.names != (WHOLE,)}
    kinds = " and ".join(sorted(set(found.values())))
    whole = sum(part.names == (WHOLE,) for _, part in parts)
    told = [f"{sum(len(names) for _, names in found)} {kinds}"] if found else []
    if whole:
        told.append(WHOLE if not found else f"{whole} whole test sets")
    return ", ".join(told)


def _clear(court: Court, claim: ClaimJob, parts: Parts, side: str) -> bool | None:
    """Whether the networks of a side clearly beat the best trivial methods on the mean; None if there are none."""
    seeds = sorted(set.intersection(*(set(part.seeds) for _, part in parts)))
    excesses = [row for pair, part in parts if (row := _excess(court, claim, pair, part, side, seeds)) is not None]
    if not excesses:
        return None
    return clearly(estimate(list(np.mean(excesses, axis=0))))


def _excess(
    court: Court, claim: ClaimJob, pair: Contrast, part: Difference, side: str, seeds: Sequence[int]
) -> list[float] | None:
    """What the weakest network of a side has above the best trivial method, seed by seed."""
    measure = first_measure(part.benchmark)
    arms = pair.plus if side == "plus" else pair.minus
    beside = court.metrics.of(part.benchmark, arms[0])[seeds[0]]
    trivial = best_trivial(court.metrics.results, part.benchmark, court.job.baselines[claim.paper], beside)
    if trivial is None or part.measure.key != measure.key:
        return None
    values = [court.metrics.results.values(part.benchmark, arm, measure.key) for arm in arms]
    return [min(of_arm[seed] for of_arm in values) - trivial.value for seed in seeds]


def _unbeaten(court: Court, claim: ClaimJob, parts: Parts) -> str:
    """The trivial method that is not clearly beaten, with its value."""
    if len(parts) > 1:
        return "the best trivial methods are not clearly beaten on the mean"
    pair, part = parts[0]
    beside = court.metrics.of(part.benchmark, pair.plus[0])[part.seeds[0]]
    trivial = best_trivial(court.metrics.results, part.benchmark, court.job.baselines[claim.paper], beside)
    assert trivial is not None
    label = court.job.labels.get(trivial.key, trivial.key)
    own = min(part.means[arm] for arm in pair.plus)
    return f"{part.measure.text(own)} is not clearly above {label}, {part.measure.text(trivial.value)}"


def _published(court: Court, pair: Contrast, part: Difference) -> Evidence | None:
    names = [[court.job.published.get(arm, arm) for arm in arms] for arms in (pair.plus, pair.minus)]
    found = published_sum(part.benchmark, part.measure.key, *names)
    if found is None:
        return None
    number, mark, source = found
    return Evidence(says=part.measure.text(number, sign=True), mark=mark, source=source)
