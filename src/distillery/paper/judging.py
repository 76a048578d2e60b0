"""Judging one claim: its differences or factors, and the verdict on all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from distillery.config.claims import Contrast, Gain, Par, Ratio
from distillery.config.claims_job import ClaimJob
from distillery.paper.baselines import best_trivial
from distillery.paper.contrasts import Difference, difference, measures
from distillery.paper.judged import Evidence, Judgement, Quantity
from distillery.paper.measures import benchmark_label, first_measure
from distillery.paper.quantities import Court, Parts, Tested, limit_of, plain, tested
from distillery.paper.verdicts import Says, Verdict, at_most, best, every, judge, widened


def judge_claim(court: Court, claim: ClaimJob) -> Judgement:
    """The verdict on a claim; it is remembered for the claims that rest on it."""
    if claim.test is None:
        found = _judgement(claim, Verdict.NOT_TESTED, [claim.because])
    elif isinstance(claim.test, Ratio):
        found = _factors(court, claim, claim.test)
    else:
        found = _differences(court, claim, claim.test)
    court.verdicts[claim.id] = Verdict(found.verdict)
    return found


def _judgement(claim: ClaimJob, verdict: Verdict, why: Sequence[str], **found: object) -> Judgement:
    head = {
        "id": claim.id,
        "paper": claim.paper,
        "statement": claim.statement,
        "published": tuple(Evidence(**one.model_dump()) for one in claim.published),
        "test": claim.test.model_dump() if claim.test else None,
        "extent": claim.extent,
        "because": claim.because,
        "command": claim.command,
    }
    return Judgement.model_validate(head | {"verdict": verdict.value, "why": "; ".join(why)} | found)


def _factors(court: Court, claim: ClaimJob, test: Ratio) -> Judgement:
    """How many times smaller or faster."""
    source = court.compute.gpu if test.of == "milliseconds" and court.compute.gpu else court.compute
    cells: list[Quantity] = []
    untested = _not_trained(claim)
    for pair in claim.contrasts:
        measured = {arm: getattr(source.networks.get(arm), test.of, None) for arm in pair.plus + pair.minus}
        costs = {arm: float(cost) for arm, cost in measured.items() if cost}
        if absent := [arm for arm in measured if arm not in costs]:
            untested.append(f"{test.of} of {' and '.join(absent)}: not measured")
            continue
        factors = [costs[pair.plus[0]] / costs[arm] for arm in pair.minus]
        said = at_most(judge(test, (min(factors), max(factors)), claim.extent), limit_of(court, pair))
        count = f"{len(factors)} measurement{'s' * (len(factors) > 1)} on {source.place}"
        cells.append(
            Quantity(
                what=" / ".join(court.job.labels.get(arm, arm) for arm in (pair.plus[0], pair.minus[-1])),
                plus=pair.plus,
                minus=pair.minus,
                measure=test.of,
                value=plain(float(np.median(factors))),
                low=plain(min(factors)),
                high=plain(max(factors)),
                says=said.value,
                units=count if test.of == "milliseconds" else "",
                files=(court.compute_file,),
            )
        )
    found = {"cells": tuple(cells), "untested": tuple(untested)}
    if not cells:
        return _judgement(claim, Verdict.NOT_TESTED, ["nothing was measured"], **found)
    top = max(cells, key=lambda cell: cell.low)
    why = [f"at best {top.low:.1f} times", *_limits(court, claim)]
    return _judgement(claim, best([Says(cell.says) for cell in cells]), why, **found)


def _differences(court: Court, claim: ClaimJob, test: Gain | Par) -> Judgement:
    """Paired differences over seeds and units, one by one and on the mean."""
    rules = court.job.rules
    parts, untested = _parts(court, claim)
    common = set.intersection(*(set(part.seeds) for _, part in parts)) if parts else set()
    if len(common) < rules.seeds:
        saturated = any("saturated" in one for one in untested)
        lack = "saturated" if saturated else "too few results that all networks have"
        return _judgement(claim, Verdict.NOT_TESTED, [lack], untested=tuple(untested))
    groups: list[Parts] = [[one] for one in parts]
    if claim.averaged:
        groups = [mine for pair in claim.contrasts if (mine := [one for one in parts if one[0] is pair])]
    wide = widened(rules.confidence, len(groups))
    cells = [tested(court, claim, test, group, wide) for group in groups]
    mean = cells[0] if len(cells) == 1 else tested(court, claim, test, parts, rules.confidence)
    verdict = every([one.said for one in cells], [one.refutes for one in cells], mean.said, whole=not untested)
    why = [*_counted(test, cells), *_limits(court, claim)]
    weak = sum(one.quantity.trivial is not None for one in cells)
    if weak:
        why.append("the best trivial method is not clearly beaten" + f" in {weak} of {len(cells)}" * (len(cells) > 1))
    if untested:
        why.append("a part was not tested" if len(untested) == 1 else f"{len(untested)} parts were not tested")
    premise = _premise(court, claim)
    if claim.premise and (premise is None or premise.said is not Says.YES):
        why.append("what it presupposes is not shown")
        verdict = Verdict.NOT_SHOWN if verdict in (Verdict.SHOWN, Verdict.IN_DIRECTION) else verdict
    return _judgement(
        claim,
        verdict,
        why,
        mean=mean.quantity if len(cells) > 1 else None,
        premise=premise.quantity if premise else None,
        cells=tuple(one.quantity for one in cells),
        untested=tuple(untested),
        files=_trivial_files(court, claim, parts),
    )


def _not_trained(claim: ClaimJob) -> list[str]:
    return [f"{arm}: not trained here" for arm in claim.lacking]


def _limits(court: Court, claim: ClaimJob) -> list[str]:
    """What limits the verdict, whatever the numbers."""
    rests = {pair.provided for pair in claim.contrasts if limit_of(court, pair) is not Says.YES}
    told = [f"{name} is {court.verdicts[name].value}" for name in sorted(filter(None, rests)) if name in court.verdicts]
    first = [f"but {' and '.join(told)}"] if told else []
    return first + [f"only the direction can be tested, {claim.because}"] * (claim.extent == "direction")


def _counted(test: Gain | Par, cells: Sequence[Tested]) -> list[str]:
    """ "better in 1, worse in 2, open in 7 of 10": what the intervals say before anything limits them."""
    good, bad = ("as accurate", "less accurate") if isinstance(test, Par) else ("better", "worse")
    raws = [Says.YES if one.raw is Says.DIRECTION else one.raw for one in cells]
    counts = {good: raws.count(Says.YES), bad: raws.count(Says.NO), "open": raws.count(Says.OPEN)}
    if len(cells) == 1:
        return [name for name, count in counts.items() if count]
    told = ", ".join(f"{name} in {count}" for name, count in counts.items() if count)
    refuted = sum(one.refutes is Says.NO for one in cells)
    return [f"{told} of {len(cells)}" + f" (worse in {refuted} when corrected for their number)" * bool(counts[bad])]


def _parts(court: Court, claim: ClaimJob) -> tuple[list[tuple[Contrast, Difference]], list[str]]:
    """The differences of each contrast, benchmark by benchmark, and what of the claim is not tested."""
    found: list[tuple[Contrast, Difference]] = []
    untested = _not_trained(claim)
    for pair in claim.contrasts:
        for benchmark in claim.benchmarks:
            for key in measures(benchmark, claim.measure):
                part = difference(court.metrics, benchmark, key, pair.plus, pair.minus)
                fault = part if isinstance(part, str) else _unfit(court, part)
                if isinstance(part, Difference) and fault is None:
                    found.append((pair, part))
                    fault = _missing(court, part)
                if fault:
                    untested.append(f"{court.contrast(pair)} on {benchmark_label(benchmark)}: {fault}")
    return found, untested


def _unfit(court: Court, part: Difference) -> str | None:
    """Why a difference decides nothing."""
    rules = court.job.rules
    if len(part.seeds) < rules.seeds:
        return f"{len(part.seeds)} of {rules.seeds} seeds"
    if not part.measure.lower_is_better and min(part.means.values()) >= rules.ceiling:
        return f"saturated, every network is above {part.measure.text(rules.ceiling)}"
    return None


def _missing(court: Court, part: Difference) -> str | None:
    lacking = sorted(set(court.job.seeds) - set(part.seeds))
    return f"without seed {', '.join(map(str, lacking))}" if lacking else None


def _premise(court: Court, claim: ClaimJob) -> Tested | None:
    """The difference that a claim presupposes, tested as a gain."""
    if claim.premise is None:
        return None
    asked = claim.model_copy(
        update={"id": f"{claim.id}.premise", "contrasts": (claim.premise,), "extent": "everything", "lacking": ()}
    )
    parts, _ = _parts(court, asked)
    if not parts:
        return None
    return tested(court, asked, Gain(kind="gain"), parts, court.job.rules.confidence)


def _trivial_files(court: Court, claim: ClaimJob, parts: Parts) -> tuple[str, ...]:
    """Files of the trivial methods that the networks were compared with."""
    found: dict[str, None] = {}
    for pair, part in parts:
        beside = court.metrics.of(part.benchmark, pair.plus[0])[part.seeds[0]]
        trivial = best_trivial(court.metrics.results, part.benchmark, court.job.baselines[claim.paper], beside)
        if trivial and part.measure.key == first_measure(part.benchmark).key:
            found[court.metrics.files[part.benchmark, trivial.key, trivial.seed]] = None
    return tuple(found)
