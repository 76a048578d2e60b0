"""The look-up tables of ID features: whose features, how the rows are made, and how well they tell people apart."""

from __future__ import annotations

from typing import Any

import pandas as pd

from distillery.paper.display import INTERVAL, Body, Column, Row, column, interval, text, whole
from distillery.paper.lookups import Lookup
from distillery.paper.measures import Measure, benchmark_label
from distillery.paper.origin import Origin
from distillery.paper.records import over_seeds
from distillery.paper.tables.table import Inputs, Table, estimated

_QUALITY = {
    "intra_class": Measure("intra_class", "own row", decimals=3),
    "inter_class": Measure("inter_class", "two rows", decimals=3, lower_is_better=True),
    "nearest": Measure("nearest", "nearest other row", decimals=3, lower_is_better=True),
    "top1": Measure("top1", "own features", 100, 1),
    "held_out_top1": Measure("held_out_top1", "held-out crops", 100, 1),
}
"""Measure of a table's sidecar -> how it is printed; others are left to the CSV."""
_GROUPS = {"intra_class": "mean cosine", "inter_class": "mean cosine", "nearest": "mean cosine"}
_RANKS = "own row first, %"


def _rows(inputs: Inputs) -> list[Row]:
    part = inputs.job.person_search
    found: dict[tuple[str, str], dict[Origin, Lookup]] = {}
    for origin, lookup in inputs.lookups.items():
        found.setdefault((origin.trained_on or "", origin.variant), {})[origin] = lookup
    sets, names = list(part.training_sets), list(part.tables)

    def place(key: tuple[str, str]) -> tuple[int, int, tuple[str, str]]:
        trained_on, name = key
        return (
            sets.index(trained_on) if trained_on in sets else len(sets),
            names.index(name) if name in names else len(names),
            key,
        )

    rows: list[Row] = []
    for (trained_on, name), mine in sorted(found.items(), key=lambda item: place(item[0])):
        first = next(iter(mine.values()))
        row: Row = {"trained_on": trained_on, "table": name, "label": part.tables.get(name, name)}
        row |= {"construction": first.construction, "identities": first.identities, "dimension": first.dimension}
        row |= {"seeds": len(mine)}
        for measure in dict.fromkeys((*_QUALITY, *(key for lookup in mine.values() for key in lookup.quality))):
            values = {origin.seed: lookup.quality.get(measure) for origin, lookup in mine.items()}
            present = {seed: value for seed, value in values.items() if value is not None}
            row |= estimated(measure, over_seeds(present))
        rows.append(row)
    return rows


def _bodies(frame: pd.DataFrame) -> list[Body]:
    several = frame["trained_on"].nunique() > 1
    return [
        Body(_columns(mine), benchmark_label(str(trained_on)) * several)
        for trained_on, mine in frame.groupby("trained_on", sort=False)
    ]


def _columns(frame: pd.DataFrame) -> tuple[Column, ...]:
    columns = [
        text(frame, "Rows", "label"),
        whole(frame, "Identities", "identities"),
        whole(frame, "Length", "dimension"),
        whole(frame, "Seeds", "seeds"),
    ]
    for key, measure in _QUALITY.items():
        if key in frame and frame[key].notna().any():

            def value(row: Any, measure: Measure = measure) -> str:
                return interval(measure, row, measure.key)

            columns.append(column(frame, measure.label, value, group=_GROUPS.get(key, _RANKS)))
    return tuple(columns)


TABLE = Table(
    title="Look-up tables",
    caption=f"Tables of ID features, one row an identity of the training set. {INTERVAL} Mean cosine: of a feature "
    "with its identity's row, of two different rows, and of a row with the nearest other one. Own row first: the share "
    "of features that are nearer to their identity's row than to any other; “own features” are those of which the rows "
    "were made, “held-out crops” had no part in the rows that they are compared with.",
    rows=_rows,
    bodies=_bodies,
)
