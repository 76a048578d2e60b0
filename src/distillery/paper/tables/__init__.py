"""The tables of both papers: CSV with full precision, and the same rows printed as Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from distillery.config.base import parse
from distillery.config.paper_job import PaperJob
from distillery.errors import UserError
from distillery.files import write_text
from distillery.paper import formats
from distillery.paper.costs import check_sizes, read_compute, read_sidecars
from distillery.paper.logs import read_curves
from distillery.paper.lookups import read_lookups
from distillery.paper.records import read_metrics
from distillery.paper.searches import read_searches
from distillery.paper.tables import (
    ablations,
    benchmarks,
    breakdowns,
    compute,
    differences,
    lookup_tables,
    published,
    search,
    search_ablations,
    selection,
    summary,
)
from distillery.paper.tables.table import Inputs, Table

TABLES: dict[str, Table] = {
    "tracking": summary.TABLE,
    "benchmarks": benchmarks.TABLE,
    "ablations": ablations.TABLE,
    "search_ablations": search_ablations.TABLE,
    "differences": differences.TABLE,
    "attributes": breakdowns.ATTRIBUTES,
    "selection": selection.TABLE,
    "person_search": search.TABLE,
    "galleries": breakdowns.GALLERIES,
    "lookup_tables": lookup_tables.TABLE,
    "compute": compute.TABLE,
    "published": published.TABLE,
}
"""Every table by name; which of them a job makes stands in its `tables`."""


def write_tables(
    params: Mapping[str, Any],
    metrics: Sequence[Path],
    sidecars: Sequence[Path],
    compute: Path,
    out_dir: Path,
    *,
    curve_files: Sequence[Path] = (),
    searches: Sequence[Path] = (),
) -> None:
    """Writes the job's tables as CSV (full precision), Markdown and LaTeX (booktabs), each from one frame.

    Args:
        params: `PaperJob` as plain data.
        metrics: Metrics files of `distillery score`.
        sidecars: Sidecars of the checkpoints, and of the look-up tables for `lookup_tables`.
        compute: compute.json of `distillery profile-networks`.
        out_dir: Folder for `<table>.{csv,md,tex}`.
        curve_files: Training metrics (JSON lines), for the share of open gates in `ablations`.
        searches: Results of `distillery select-students`, for `selection`.

    Raises:
        UserError: If an input is missing, malformed or contradicts another.
    """
    job = parse(PaperJob, dict(params), source="--params")
    if unknown := [name for name in job.tables if name not in TABLES]:
        raise UserError(
            f"unknown table {unknown[0]!r}", file="--params", place="tables", remedy=f"choose of {', '.join(TABLES)}"
        )
    inputs = Inputs(
        job,
        read_metrics(metrics),
        read_compute(compute),
        read_sidecars(sidecars),
        read_curves(curve_files) if "ablations" in job.tables else {},
        read_searches(searches),
        read_lookups(sidecars) if "lookup_tables" in job.tables else {},
    )
    check_sizes(inputs.compute, inputs.sidecars, compute)
    for name, frame in frames(inputs).items():
        shown = TABLES[name].shown(name, frame)
        write_text(out_dir / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))
        write_text(out_dir / f"{name}.md", formats.markdown(shown))
        write_text(out_dir / f"{name}.tex", formats.latex(shown))


def frames(inputs: Inputs) -> dict[str, pd.DataFrame]:
    """The job's tables by name; one for which there are no results is an empty frame."""
    return {name: pd.DataFrame(TABLES[name].rows(inputs)) for name in inputs.job.tables}
