"""Every measure of every method on every benchmark, the published value beside ours."""

from __future__ import annotations

from typing import Any

import pandas as pd

from distillery.config.paper_job import Part
from distillery.paper.display import (
    INTERVAL,
    PUBLISHED,
    Body,
    Column,
    Row,
    absent,
    column,
    interval,
    ratio,
    text,
    whole,
)
from distillery.paper.measures import NONE, SERVER, TRACKING, Measure, benchmark_label, measure_of
from distillery.paper.published import published_values
from distillery.paper.tables.table import Inputs, Table, estimated, head, size_ratios


def measured_rows(part: Part, inputs: Inputs, measures: tuple[Measure, ...]) -> list[Row]:
    """A row a variant and benchmark: every measure with its interval and the published value."""
    rows: list[Row] = []
    results = inputs.results
    # A server's answers stand behind what is scored here, once there are any.
    for benchmark in (each for name in results.benchmarks(part) for each in (name, SERVER.get(name, ""))):
        ratios = size_ratios(part, inputs, benchmark)
        for variant in results.variants(part, benchmark):
            mine = results.of(benchmark, variant.key)
            published = published_values(benchmark, variant.counterpart or variant.key)
            row = head(variant, benchmark)
            row["protocol"] = " / ".join(sorted({result.protocol for result in mine}))
            row |= {"seeds": len(mine), "size_ratio": ratios.get(variant.key)}
            for measure in measures:
                row |= estimated(measure.key, results.estimate(benchmark, variant.key, measure.key))
                row[f"{measure.key}_published"] = published.values.get(measure.key) if published else None
            row["published_name"] = published.name if published else None
            row["published_mark"] = published.mark if published else None
            row["published_source"] = published.source if published else None
            rows.append(row)
    return rows


def _bodies(frame: pd.DataFrame, measures: tuple[Measure, ...]) -> list[Body]:
    return [Body(_columns(mine, str(benchmark), measures), heading) for benchmark, mine, heading in by_benchmark(frame)]


def by_benchmark(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame, str]]:
    """Benchmark, its rows and a heading, which is empty where there is but one benchmark."""
    several = frame["benchmark"].nunique() > 1
    return [
        (str(benchmark), mine, f"{benchmark_label(str(benchmark))}, {_protocol(mine)}" * several)
        for benchmark, mine in frame.groupby("benchmark", sort=False)
    ]


def _protocol(frame: pd.DataFrame) -> str:
    return f"protocol {' and '.join(dict.fromkeys(frame['protocol']))}"


def _columns(frame: pd.DataFrame, benchmark: str, measures: tuple[Measure, ...]) -> tuple[Column, ...]:
    columns = [text(frame, "Method", "label"), whole(frame, "Seeds", "seeds")]
    for measure in measures:
        columns += beside_published(frame, measure_of(benchmark, measure.key))
    columns += evidence(frame)
    if frame["size_ratio"].notna().any():
        columns.append(ratio(frame, "Smaller by", "size_ratio"))
    return tuple(columns)


def beside_published(frame: pd.DataFrame, measure: Measure) -> list[Column]:
    """The columns of a measure and of its published values, as far as there are any."""
    columns, key = [], measure.key
    if frame[key].notna().any():
        columns.append(column(frame, measure.label, lambda row: interval(measure, row, key)))
    if frame[f"{key}_published"].notna().any():
        columns.append(column(frame, f"{measure.label} publ.", lambda row: _published(row, measure)))
    return columns


def evidence(frame: pd.DataFrame) -> list[Column]:
    """The column of marks, without which no published value may be read."""
    return [text(frame, "Evidence", "published_mark")] if frame["published_mark"].notna().any() else []


def _published(row: Any, measure: Measure) -> str:
    value = row[f"{measure.key}_published"]
    if absent(value):
        return NONE
    # The evidence column holds every mark; this one must never be read without it.
    suffix = " (unverified)" if row["published_mark"] == "unverified" else ""
    return measure.text(float(value)) + suffix


TABLE = Table(
    title="Trackers by benchmark",
    caption=f"Every measure of each benchmark's protocol. {INTERVAL} “Smaller by” is the size of the teacher over the "
    f"size of the row; R and the number of lost targets are better when lower; coverage is the share of frames with an "
    f"answer. {PUBLISHED}",
    rows=lambda inputs: measured_rows(inputs.job.tracking, inputs, TRACKING),
    bodies=lambda frame: _bodies(frame, TRACKING),
)
