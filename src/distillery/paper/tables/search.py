"""Person search on every benchmark: searching, re-identification alone, detecting, and what the networks cost."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from distillery.paper.display import INTERVAL, PUBLISHED, Body, Column, Row, number, text, whole
from distillery.paper.measures import MEASURES, PERSON_SEARCH, TRUE_BOX, measure_of
from distillery.paper.tables.benchmarks import beside_published, by_benchmark, evidence, measured_rows
from distillery.paper.tables.table import Inputs, Table

_GROUPS = (
    ("search", ("map", "top1", "top5", "top10")),
    ("true boxes", ("map_true", "top1_true")),
    ("detection", ("ap", "recall")),
)
"""Head above the heads -> its measures."""


def _rows(inputs: Inputs) -> list[Row]:
    part = inputs.job.person_search
    rows = measured_rows(part, inputs, PERSON_SEARCH)
    for row in rows:
        cost = inputs.compute.networks.get(part.network_of(row["benchmark"], f"{row['model']}/{row['variant']}"))
        row["parameters"] = cost.parameters if cost else None
        # What describes true boxes does not detect, so its time is no time of person search.
        row["images_per_second"] = cost.fps if cost and not row["true_boxes"] else None
        row |= _searched(inputs, row)
    return rows


def _searched(inputs: Inputs, row: Row) -> Row:
    """How many queries were searched for, and in galleries of how many images."""
    mine = inputs.results.of(row["benchmark"], f"{row['model']}/{row['variant']}")
    searched = next((result for result in mine if result.numbers.get("map") is not None), None)
    if searched is None:
        return {"queries": None, "gallery": None}
    size = "all" if searched.gallery_size == -1 else searched.gallery_size
    return {"queries": searched.counts.get("queries"), "gallery": None if size is None else str(size)}


def _bodies(frame: pd.DataFrame) -> list[Body]:
    return [Body(_columns(mine, benchmark), heading) for benchmark, mine, heading in by_benchmark(frame)]


def _columns(frame: pd.DataFrame, benchmark: str) -> tuple[Column, ...]:
    # Neither searching nor detecting is an achievement on given boxes: such rows stand under “true boxes” alone.
    given = frame["true_boxes"].astype(bool)
    wholly = [name for name in frame.columns if name.split("_")[0] in MEASURES and TRUE_BOX not in name]
    frame = frame.assign(**{name: frame[name].mask(given) for name in wholly})
    columns = [text(frame, "Method", "label"), whole(frame, "Seeds", "seeds")]
    if frame["queries"].nunique() > 1 or frame["gallery"].nunique() > 1:
        columns += [whole(frame, "Queries", "queries"), text(frame, "Gallery", "gallery")]
    for group, keys in _GROUPS:
        for key in keys:
            measure = measure_of(benchmark, key)
            label = measure.label.removeprefix("det. ").partition(",")[0]
            found = beside_published(frame, replace(measure, label=label))
            columns += [replace(column, group=group) for column in found]
    columns += evidence(frame)
    if frame["parameters"].notna().any():
        columns.append(whole(frame, "Parameters", "parameters"))
    if frame["images_per_second"].notna().any():
        columns.append(number(frame, "Images/s", "images_per_second", 0))
    return tuple(columns)


TABLE = Table(
    title="Person search and detection",
    caption=f"Search mAP and top-k accuracy, the same on the annotated boxes instead of detections (re-identification "
    f"alone), detection AP and recall, all in percent. {INTERVAL} What is given every annotated box stands under “true "
    "boxes” alone. QEEPS looks at every pair of query and image, so on PRW it is tested with the few queries of "
    "PRW-mini only, and its images/s are pairs a second; where it searched for fewer people or in smaller galleries "
    "than the others, its numbers stand beside each other's alone. PRW counts matches of the query's own "
    f"camera. Images/s: at batch size 1, as the table of compression and speed. {PUBLISHED}",
    rows=_rows,
    bodies=_bodies,
)
