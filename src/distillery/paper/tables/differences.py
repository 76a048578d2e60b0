"""Differences of equal seeds, and what their intervals say of the claims."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from distillery.config.paper_job import MODEL_LABELS, Comparison, PaperJob, Part
from distillery.paper.display import Body, Column, Row, column, interval, text
from distillery.paper.measures import (
    EQUIVALENCE,
    MINUS,
    NONE,
    TRUE_BOX,
    Measure,
    benchmark_label,
    first_measure,
    headline,
    measure_of,
)
from distillery.paper.records import Results
from distillery.paper.statistics import Estimate, paired_difference
from distillery.paper.tables.table import Inputs, Table

NOT_TESTED = "one seed"


def verdict(question: str, difference: Estimate, measure: Measure, margin: float | None = None) -> str:
    """What an interval of a paired difference says; it never says more than its interval.

    Better (the interval is on the better side of 0), worse (on the worse side) or open (holds 0), which is no proof of
    equality; a `gap` is equivalent where its whole interval lies within the margin, where one is declared.

    Args:
        question: Of the comparison.
        difference: With its interval.
        measure: Which side is the better one.
        margin: Declared equivalence margin as a difference of the measure, None where there is none.
    """
    if difference.low is None or difference.high is None:
        return NOT_TESTED
    if question == "gap" and margin is not None and -margin <= difference.low and difference.high <= margin:
        return "equivalent"
    if not difference.excludes_zero:
        return "open"
    better = (difference.mean < 0) if measure.lower_is_better else (difference.mean > 0)
    return "better" if better else "worse"


def _rows(inputs: Inputs) -> list[Row]:
    job, results = inputs.job, inputs.results
    return [
        row
        for paper, part in job.parts.items()
        for benchmark in results.benchmarks(part)
        for comparison in part.comparisons
        for row in _compared(job, paper, part, benchmark, comparison, results)
    ]


def _compared(
    job: PaperJob, paper: str, part: Part, benchmark: str, comparison: Comparison, results: Results
) -> Iterator[Row]:
    labels = {variant.key: variant.label for variant in part.variants}
    for key in _measures(comparison, benchmark):
        difference = paired_difference(
            results.values(benchmark, comparison.minuend, key), results.values(benchmark, comparison.subtrahend, key)
        )
        if difference is None:
            continue
        margin = job.margin if key == EQUIVALENCE and paper == "tracking" else None
        yield {
            "paper": paper,
            "family": comparison.minuend.partition("/")[0],
            "benchmark": benchmark,
            "statement": comparison.statement,
            "question": comparison.question,
            "minuend": comparison.minuend,
            "minuend_label": labels.get(comparison.minuend, comparison.minuend),
            "subtrahend": comparison.subtrahend,
            "subtrahend_label": labels.get(comparison.subtrahend, comparison.subtrahend),
            "measure": key,
            "difference": difference.mean,
            "difference_low": difference.low,
            "difference_high": difference.high,
            "seeds": difference.seeds,
            "margin": margin if comparison.question == "gap" else None,
            "verdict": verdict(comparison.question, difference, measure_of(benchmark, key), margin),
        }


def _measures(comparison: Comparison, benchmark: str) -> list[str]:
    """What a comparison is about, of what speaks for a benchmark."""
    known = headline(benchmark)
    return [key for key in comparison.measures or known if key in known or key.endswith(TRUE_BOX)]


_LEADING = ("ap", f"map{TRUE_BOX}")
"""First measures of comparisons that are not about what ranks a benchmark."""


def printed(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that are printed and told: of a paper with several benchmarks, the first measure of each comparison."""
    several = frame.groupby("paper")["benchmark"].transform("nunique") > 1
    first = frame["measure"] == frame["benchmark"].map(lambda name: first_measure(name).key)
    return frame[~several | first | frame["measure"].isin(_LEADING)]


def difference_text(row: Any) -> str:
    """ "+0.026 ± 0.010" of a row."""
    return interval(measure_of(row["benchmark"], row["measure"]), row, "difference", sign=True)


def _bodies(frame: pd.DataFrame) -> list[Body]:
    """A block for each family of trackers, with benchmarks and measures in columns, and for each method and benchmark
    of person search; comparisons in rows."""
    chosen = printed(frame)
    several = chosen["paper"].nunique() > 1 or chosen["family"].nunique() > 1
    bodies = []
    for (paper, family), mine in chosen.groupby(["paper", "family"], sort=False):
        head = MODEL_LABELS.get(str(family), str(family))
        known = f"{head} " * several
        if paper == "tracking":
            bodies.append(Body(_columns(mine, known), head * several))
        else:
            bodies += [
                Body(_columns(block, known), f"Person search, {head}, {benchmark_label(str(benchmark))}")
                for benchmark, block in mine.groupby("benchmark", sort=False)
            ]
    return bodies


def _columns(frame: pd.DataFrame, known: str) -> tuple[Column, ...]:
    """The columns of a block; `known` is what its heading says of every label."""
    pairs = frame.drop_duplicates(["minuend", "subtrahend"])
    cells = {
        (row["minuend"], row["subtrahend"], row["benchmark"], row["measure"]): row for row in frame.to_dict("records")
    }

    def label(row: Any) -> str:
        names = (row[f"{side}_label"].removeprefix(known) for side in ("minuend", "subtrahend"))
        return f" {MINUS} ".join(names)

    columns = [column(pairs, "Difference", label, "l")]
    if pairs["question"].nunique() > 1:
        columns.append(text(pairs, "Question", "question"))

    def cell(row: Any, benchmark: str, key: str) -> str:
        found = cells.get((row["minuend"], row["subtrahend"], benchmark, key))
        return NONE if found is None else f"{difference_text(found)} ({found['verdict']})"

    for benchmark, key in frame[["benchmark", "measure"]].drop_duplicates().itertuples(index=False):
        columns.append(
            column(
                pairs,
                measure_of(benchmark, key).label,
                lambda row, b=benchmark, k=key: cell(row, b, k),  # type: ignore[misc]
                group=benchmark_label(benchmark),
            )
        )
    return tuple(columns)


TABLE = Table(
    title="Paired differences",
    caption="Differences of equal seeds, which share data order and initialisation: mean ± half the 95 % interval of "
    "the paired differences (Student's t), which is of one fixed test set. A difference is “better” or “worse” only "
    "where its interval lies on that side of 0; a gap is “equivalent” only where its whole interval lies within the "
    "margin that was declared before any run (an AUC of 0.02; other measures have none); “open” proves nothing, "
    "equality neither. The papers' claims are judged on the first page, with intervals that cover other test sets "
    "too. Of a paper with several benchmarks the first measure of each is printed (of person search also detection "
    "AP, and mAP on true boxes against a teacher that is given them), the others are in the CSV. "
    "Intervals are not corrected for the number of comparisons.",
    rows=_rows,
    bodies=_bodies,
)
