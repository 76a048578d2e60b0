"""What a run shows and what it does not, in sentences computed from its intervals, its baselines and its data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from distillery.config.paper_job import PaperJob
from distillery.paper.figures.panels import told
from distillery.paper.measures import benchmark_label, first_measure, measure_of
from distillery.paper.records import Results, require_seeds
from distillery.paper.tables.differences import NOT_TESTED, printed

_OPEN = "no difference is shown, and equality is not proven either"
_VERDICTS: dict[tuple[str, str], tuple[bool, str]] = {
    ("gain", "shown"): (True, ""),
    ("gain", "contradicted"): (False, "contradicted here, the difference is on the worse side of 0"),
    ("gain", "open"): (False, "not shown, the interval of the difference holds 0"),
    ("gap", "equivalent"): (True, "yes, within {margin}"),
    ("gap", "better"): (True, "here it is even better"),
    ("gap", "worse"): (False, "not so here, it is worse"),
    ("gap", "open"): (False, _OPEN),
    ("effect", "better"): (True, "better"),
    ("effect", "worse"): (True, "worse"),
    ("effect", "open"): (False, _OPEN),
} | {(question, NOT_TESTED): (False, "not tested for want of a second seed") for question in ("gain", "gap", "effect")}
"""Question and verdict -> whether the run shows something, and how the sentence says it."""
_UNDECIDED = {"open", NOT_TESTED}


class Claim(NamedTuple):
    """A claim with one of the verdicts that it got."""

    shows: bool
    """Whether the run shows something."""
    decided: bool
    """Whether the interval says something, for or against."""
    sentence: str


def claims(differences: pd.DataFrame, job: PaperJob) -> list[Claim]:
    """Every claim with each verdict that it got, in the order of the claims.

    Of a paper with several benchmarks, undecided ones are named without their numbers, which stand in the table.

    Args:
        differences: Rows of the table of differences.
        job: For the margin.
    """
    if not len(differences):
        return []
    rows = printed(differences)
    several = rows.groupby("paper")["benchmark"].transform("nunique") > 1
    order = {statement: place for place, statement in enumerate(dict.fromkeys(rows["statement"]))}
    grouped: dict[tuple[int, str, str, str, int, bool], list[str]] = {}
    for row, named in zip(rows.to_dict("records"), several, strict=True):
        statement, verdict = row["statement"], row["verdict"]
        brief = named and verdict in _UNDECIDED
        key = (order[statement], statement, row["question"], verdict, int(row["seeds"]), brief)
        grouped.setdefault(key, []).append(benchmark_label(row["benchmark"]) if brief else _change(row, named))
    found = []
    for (_, statement, question, verdict, seeds, brief), told_of in sorted(
        grouped.items(), key=lambda item: item[0][0]
    ):
        shows, words = _VERDICTS[question, verdict]
        words = words.format(margin=f"{job.margin:g} AUC")
        count = "1 seed" if seeds == 1 else f"{seeds} seeds"
        if brief:
            said = f"{words} ({', '.join(told_of)}; {count})"
        else:
            said = ": ".join(filter(None, [words, "; ".join(told_of)])) + f" ({count})"
        found.append(Claim(shows, verdict not in _UNDECIDED, f"{_capital(statement)}: {said}."))
    return found


def _change(row: Mapping[Any, Any], named: bool) -> str:
    measure = measure_of(row["benchmark"], row["measure"])
    text = f"{measure.label} {measure.text(row['difference'], sign=True)}"
    if not pd.isna(row["difference_low"]):
        ends = (measure.text(row[f"difference_{end}"], sign=True) for end in ("low", "high"))
        text += f" [{', '.join(ends)}]"
    return f"{benchmark_label(row['benchmark'])} {text}" if named else text


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def shown(differences: pd.DataFrame, job: PaperJob) -> list[str]:
    """What the run shows."""
    return [claim.sentence for claim in claims(differences, job) if claim.shows]


def not_shown(differences: pd.DataFrame, job: PaperJob, results: Results) -> list[str]:
    """What the run does not show: what speaks against a claim, what no such run could show, and what is open."""
    against = [claim for claim in claims(differences, job) if not claim.shows]
    notes = [claim.sentence for claim in against if claim.decided]
    notes += _limits(job)
    notes += [claim.sentence for claim in against if not claim.decided]
    notes += _not_above_baselines(job, results)
    return notes + [f"{_capital(note)}." for note in require_seeds(job, results)]


def _limits(job: PaperJob) -> list[str]:
    """What no run of the profile could show."""
    notes: list[str] = []
    data = (job.config or {}).get("data", {})
    # PRW-mini is a part of PRW, so its data are the training set's.
    scored = {name: part.trained_on.get(name, name) for part in job.parts.values() for name in part.benchmarks}
    embedded = [benchmark_label(n) for n, kept in scored.items() if (data.get(kept) or {}).get("source") == "embedded"]
    if embedded:
        notes.append(
            f"Nothing about the real benchmarks: {', '.join(embedded)} are embedded, synthetic worlds in the official "
            "layouts, so absolute values are not comparable with published ones."
        )
    if "trackingnet" in job.tracking.benchmarks:
        notes.append(
            "Nothing about TrackingNet's test split, which its server alone can score: the numbers here are on a part "
            "of the training set that no tracker was trained on."
        )
    notes.append(
        "Intervals cover the variation over seeds on one fixed test set, not that over test sets, and are not "
        "corrected for the number of comparisons."
    )
    return notes


def _not_above_baselines(job: PaperJob, results: Results) -> list[str]:
    """One sentence a method for all benchmarks on which it does not clearly beat the best trivial method."""
    below: dict[str, list[str]] = {}
    for part in job.parts.values():
        for benchmark in results.benchmarks(part):
            measure = first_measure(benchmark)
            rows = [(v, results.estimate(benchmark, v.key, measure.key)) for v in results.variants(part, benchmark)]
            baselines = [(v, e) for v, e in rows if v.role == "baseline" and e]
            if not baselines:
                continue
            best, bound = max(baselines, key=lambda row: row[1].mean)
            for variant, value in rows:
                if variant.role == "baseline" or value is None:
                    continue
                if (value.mean if value.low is None else value.low) <= bound.mean:
                    below.setdefault(variant.label, []).append(
                        f"{benchmark_label(benchmark)} ({measure.label} {told(measure, value)}, {best.label} "
                        f"{told(measure, bound)})"
                    )
    return [
        f"{_capital(label)} is not clearly above the best trivial method on {', '.join(places)}."
        for label, places in below.items()
    ]
