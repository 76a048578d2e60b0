"""Every variation of a person-search network beside the one that it varies."""

from __future__ import annotations

from typing import Any

import pandas as pd

from distillery.config.paper_job import MODEL_LABELS
from distillery.paper.display import INTERVAL, Body, Column, Row, column, interval, text, whole
from distillery.paper.measures import MEASURES, benchmark_label
from distillery.paper.tables.ablations import against, difference_of
from distillery.paper.tables.table import Inputs, Table, estimated, head, size_ratios

_MEASURES = ("map", "ap")
_COMPARED = {"effect": "against what it varies", "gain": "against no teacher"}


def _rows(inputs: Inputs) -> list[Row]:
    part, results = inputs.job.person_search, inputs.results
    rows: list[Row] = []
    for benchmark in results.benchmarks(part):
        ratios = size_ratios(part, inputs, benchmark)
        for variant in results.variants(part, benchmark):
            if variant.role in ("baseline", "teacher"):
                continue
            row = head(variant, benchmark)
            row |= {"network": variant.network, "changes": variant.changes, "varies": variant.varies}
            row |= {"seeds": len(results.of(benchmark, variant.key)), "size_ratio": ratios.get(variant.key)}
            for key in _MEASURES:
                row |= estimated(key, results.estimate(benchmark, variant.key, key))
                for name, other in (("effect", variant.varies), ("gain", variant.ground_truth)):
                    row |= against(inputs, benchmark, variant, other, key, f"{key}_{name}")
            rows.append(row)
    return rows


def _bodies(frame: pd.DataFrame) -> list[Body]:
    """A block a method, network and benchmark, where it has a variation."""
    return [
        Body(_columns(mine), f"{MODEL_LABELS.get(str(model), model)} {network} on {benchmark_label(str(benchmark))}")
        for (benchmark, model, network), mine in frame.groupby(["benchmark", "model", "network"], sort=False)
        if mine["changes"].notna().any()
    ]


def _columns(frame: pd.DataFrame) -> tuple[Column, ...]:
    columns = [text(frame, "Method", "label"), text(frame, "Changes", "changes"), whole(frame, "Seeds", "seeds")]
    for key in _MEASURES:
        measure = MEASURES[key]
        if not frame[key].notna().any():
            continue

        def value(row: Any, measure: Any = measure) -> str:
            return interval(measure, row, measure.key)

        columns.append(column(frame, measure.label, value))
        columns += [
            column(frame, head, difference_of(measure, f"{key}_{name}"), group=measure.label)
            for name, head in _COMPARED.items()
            if frame[f"{key}_{name}"].notna().any()
        ]
    return tuple(columns)


TABLE = Table(
    title="Ablations of person search",
    caption=f"{INTERVAL} Search mAP and detection AP in percent. Rows without a change are the headline's. Each "
    "variation is compared, seed by seed, with the headline's network from which it differs in the fewest settings "
    "(“changes” lists them), and with the same network without a teacher under the same conditions (queue, BatchNorm, "
    "identities, schedule), where that was trained. Intervals are not corrected for the number of comparisons.",
    rows=_rows,
    bodies=_bodies,
)
