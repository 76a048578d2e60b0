"""Numbers over parts of a benchmark: tracking by attribute, person search by gallery size."""

from __future__ import annotations

from typing import Any

import pandas as pd

from distillery.paper.display import INTERVAL, Body, Column, Row, column, interval, text, whole
from distillery.paper.measures import MEASURES, benchmark_label, measure_of
from distillery.paper.records import FULL, Result, over_seeds
from distillery.paper.tables.table import Inputs, Table, estimated, head

_MEASURES = ("auc", "accuracy")
"""What attributes are compared by: the first of these that a benchmark has."""


def attribute_values(results: list[Result], attribute: str, key: str) -> dict[int, float]:
    """One measure over the sequences (VOT: frames) with an attribute, by seed."""
    found = {r.seed: r.by_attribute.get(attribute, {}).get(key) for r in results}
    return {seed: float(value) for seed, value in found.items() if value is not None}


def attribute_measure(results: list[Result]) -> str | None:
    """The measure by which attributes are compared in these results, None without attributes."""
    keys = {key for result in results for values in result.by_attribute.values() for key in values}
    return next((key for key in _MEASURES if key in keys), None)


def _attribute_rows(inputs: Inputs) -> list[Row]:
    rows: list[Row] = []
    results, part = inputs.results, inputs.job.tracking
    for benchmark in results.benchmarks(part):
        every = [result for result in results.results if result.benchmark == benchmark]
        names = list(dict.fromkeys(name for result in every for name in result.by_attribute))
        key = attribute_measure(every)
        for variant in results.variants(part, benchmark) if key else []:
            mine = results.of(benchmark, variant.key)
            for name in names:
                counts = [values["sequences"] for r in mine if "sequences" in (values := r.by_attribute.get(name, {}))]
                row = head(variant, benchmark)
                row |= {"attribute": name, "sequences": max(counts, default=None), "measure": key}
                rows.append(row | estimated("value", over_seeds(attribute_values(mine, name, str(key)))))
    return rows


def _attribute_bodies(frame: pd.DataFrame) -> list[Body]:
    several = frame["benchmark"].nunique() > 1
    return [
        Body(_attribute_columns(mine), f"{benchmark_label(str(benchmark))}, {_measure(mine)}" * several)
        for benchmark, mine in frame.groupby("benchmark", sort=False)
    ]


def _measure(frame: pd.DataFrame) -> str:
    return MEASURES[frame["measure"].iloc[0]].label


def _attribute_columns(frame: pd.DataFrame) -> tuple[Column, ...]:
    methods = frame.drop_duplicates(["model", "variant"])
    cells = {(row["model"], row["variant"], row["attribute"]): row for row in frame.to_dict("records")}
    measure = measure_of(frame["benchmark"].iloc[0], frame["measure"].iloc[0])

    def cell(row: Any, name: str) -> str:
        # The interval is in the CSV: a dozen columns of them cannot be read.
        found = cells[row["model"], row["variant"], name]
        return interval(measure, {"value": found["value"]}, "value")

    return (
        text(methods, "Method", "label"),
        *(
            column(methods, _attribute_head(frame, name), lambda row, n=name: cell(row, n))  # type: ignore[misc]
            for name in dict.fromkeys(frame["attribute"])
        ),
    )


def _attribute_head(frame: pd.DataFrame, name: str) -> str:
    counts = frame.loc[frame["attribute"] == name, "sequences"].dropna()
    return f"{name} ({int(counts.iloc[0])})" if len(counts) else name


def _gallery_rows(inputs: Inputs) -> list[Row]:
    rows: list[Row] = []
    results, part = inputs.results, inputs.job.person_search
    for benchmark in results.benchmarks(part):
        sizes, subsets = results.gallery_sizes(benchmark), results.subsets(benchmark)
        if len(sizes) + len(subsets) < 2:
            continue
        for variant in results.variants(part, benchmark):
            row = head(variant, benchmark) | {"seeds": len(results.of(benchmark, variant.key))}
            for size in sizes:
                for key in ("map", "top1"):
                    row |= estimated(f"{key}_{size}", over_seeds(results.at_gallery(benchmark, variant.key, size, key)))
            for name in subsets:
                for key in ("map", "top1"):
                    values = results.in_subset(benchmark, variant.key, name, key)
                    row |= estimated(f"{name}:{key}", over_seeds(values))
            if any(row[f"map_{size}_seeds"] for size in sizes) or any(row[f"{name}:map_seeds"] for name in subsets):
                rows.append(row)
    return rows


def _gallery_bodies(frame: pd.DataFrame) -> list[Body]:
    ends = ("_low", "_high", "_seeds")
    names = [name for name in frame.columns if not name.endswith(ends)]
    heads = {name: ("gallery", size_label(name.removeprefix("map_"))) for name in names if name.startswith("map_")}
    heads |= {name: ("queries", name.removesuffix(":map").lower()) for name in names if name.endswith(":map")}
    columns = [text(frame, "Method", "label"), whole(frame, "Seeds", "seeds")]
    columns += [
        column(frame, label, lambda row, n=name: interval(MEASURES["map"], row, n), group=group)  # type: ignore[misc]
        for name, (group, label) in heads.items()
        if frame[name].notna().any()
    ]
    return [Body(tuple(columns))]


def size_label(size: str) -> str:
    """How readers see a gallery size."""
    return "all images" if size == FULL else f"{size} images"


ATTRIBUTES = Table(
    title="Tracking by attribute",
    caption="Mean over seeds of the measure over the sequences (VOT: frames) that carry an attribute, of which the "
    "number stands beside its name where it is known; one can carry several. Intervals are in the CSV.",
    rows=_attribute_rows,
    bodies=_attribute_bodies,
)
GALLERIES = Table(
    title="Search mAP by gallery size",
    caption="mAP in percent by the number of gallery images a query is searched in and, where the set names them, over "
    f"the occluded and the low-resolution queries alone. {INTERVAL} Rows on true boxes are given every annotated box.",
    rows=_gallery_rows,
    bodies=_gallery_bodies,
)
