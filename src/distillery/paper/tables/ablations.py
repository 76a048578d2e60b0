"""Every variation beside the run that it varies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from distillery.config.paper_job import FAMILY_LABELS, Variant
from distillery.paper.display import INTERVAL, Body, Row, absent, column, interval, text, whole
from distillery.paper.logs import open_gates
from distillery.paper.measures import NONE, Measure, benchmark_label, first_measure, measure_of
from distillery.paper.records import over_seeds
from distillery.paper.statistics import paired_difference
from distillery.paper.tables.differences import verdict
from distillery.paper.tables.table import Inputs, Table, estimated, head, size_ratios


def _rows(inputs: Inputs) -> list[Row]:
    job, results = inputs.job, inputs.results
    part, ratios = job.tracking, size_ratios(job.tracking, inputs)
    rows: list[Row] = []
    for benchmark in results.benchmarks(part):
        for variant in results.variants(part, benchmark):
            if variant.role == "baseline":
                continue
            row = head(variant, benchmark)
            row |= {"network": variant.network, "changes": variant.changes, "varies": variant.varies}
            row |= {"seeds": len(results.of(benchmark, variant.key)), "size_ratio": ratios.get(variant.key)}
            row |= estimated("gate", over_seeds(open_gates(inputs.curves, variant.key, variant.network)))
            key = first_measure(benchmark).key
            row |= {"measure": key} | estimated("value", results.estimate(benchmark, variant.key, key))
            for name, other in (("effect", variant.varies), ("gain", variant.ground_truth)):
                row |= against(inputs, benchmark, variant, other, key, name)
            rows.append(row)
    return rows


def against(inputs: Inputs, benchmark: str, variant: Variant, other: str | None, key: str, name: str) -> Row:
    """The paired difference from another row and its verdict, as CSV columns called `name`.

    Args:
        inputs: For the values.
        benchmark: Where.
        variant: The minuend.
        other: The subtrahend's `model/variant`, if there is one.
        key: Measure.
        name: `effect` or `gain`, before which a measure may stand.
    """
    values = inputs.results.values
    found = paired_difference(values(benchmark, variant.key, key), values(benchmark, other, key)) if other else None
    said = verdict(name.rpartition("_")[2], found, measure_of(benchmark, key)) if found else None
    return estimated(name, found) | {f"{name}_from": other, f"{name}_verdict": said}


def difference_of(measure: Measure, name: str) -> Callable[[Any], str]:
    """The printed cell of `against`."""

    def cell(row: Any) -> str:
        return NONE if absent(row[name]) else f"{interval(measure, row, name, sign=True)} ({row[f'{name}_verdict']})"

    return cell


def _bodies(frame: pd.DataFrame) -> list[Body]:
    """A block a family, of the first benchmark: the others are in the CSV, the figure and the differences."""
    first = frame[frame["benchmark"] == frame["benchmark"].iloc[0]]
    label = benchmark_label(first["benchmark"].iloc[0])
    return [
        Body(_columns(mine), f"{FAMILY_LABELS.get(str(model), str(model))} on {label}")
        for model, mine in first.groupby("model", sort=False)
    ]


def _columns(frame: pd.DataFrame) -> tuple[Any, ...]:
    measure = measure_of(frame["benchmark"].iloc[0], frame["measure"].iloc[0])

    def gate(row: Any) -> str:
        return NONE if absent(row["gate"]) else f"{100 * row['gate']:.0f} %"

    return (
        text(frame, "Method", "label"),
        text(frame, "Changes", "changes"),
        whole(frame, "Seeds", "seeds"),
        column(frame, "Gate open", gate),
        column(frame, measure.label, lambda row: interval(measure, row, "value")),
        column(frame, "against what it varies", difference_of(measure, "effect")),
        column(frame, "against ground truth", difference_of(measure, "gain")),
    )


TABLE = Table(
    title="Ablations",
    caption=f"{INTERVAL} Printed is the first benchmark; the CSV holds all. Rows without a change are the headline's. "
    "Each variation is compared, seed by seed, with the headline run from which it differs in the fewest settings "
    "(“changes” lists them), and with the same network trained as long from ground truth alone. “Gate open” is the "
    "share of samples, over the whole training and all seeds, whose knowledge the gate let through; without an open "
    "gate sharing is plain TSKD. Intervals are not corrected for the number of comparisons.",
    rows=_rows,
    bodies=_bodies,
)
