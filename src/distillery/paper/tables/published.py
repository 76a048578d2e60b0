"""Every published value that is quoted, with its evidence."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pandas as pd

from distillery.paper.display import PUBLISHED as CAPTION
from distillery.paper.display import Body, Row, column, text
from distillery.paper.measures import MEASURES, benchmark_label, measure_of
from distillery.paper.published import PUBLISHED
from distillery.paper.tables.table import Inputs, Table


def _rows(inputs: Inputs) -> list[Row]:
    ours = {variant.counterpart: variant.key for part in inputs.job.parts.values() for variant in part.variants}
    rows = []
    for entry in PUBLISHED:
        row = asdict(entry)
        # What a profile does not train has no counterpart in it.
        row["variant"] = ours.get(entry.variant) if (entry.variant or "").count("/") == 2 else entry.variant
        values = row.pop("values")
        rows += [row | {"measure": measure, "value": value} for measure, value in values.items()]
    return rows


def _bodies(frame: pd.DataFrame) -> list[Body]:
    def measure(row: Any) -> str:
        key, benchmark = row["measure"], row["benchmark"]
        return measure_of(str(benchmark), key).label if key in MEASURES else str(key)

    def value(row: Any) -> str:
        known = MEASURES.get(row["measure"])
        return known.text(row["value"]) if known else f"{row['value']:,.10g}"

    return [
        Body(
            (
                text(frame, "Source calls it", "name"),
                text(frame, "Our counterpart", "variant"),
                column(
                    frame, "On", lambda row: "" if pd.isna(row["benchmark"]) else benchmark_label(row["benchmark"]), "l"
                ),
                column(frame, "Measure", measure, "l"),
                column(frame, "Value", value),
                text(frame, "Evidence", "mark"),
                text(frame, "Source", "source"),
            )
        )
    ]


TABLE = Table(title="Published values and their evidence", caption=CAPTION, rows=_rows, bodies=_bodies)
