"""The tables of both papers as frames: full precision, one row a variant, the published value beside ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from distillery.config.base import parse
from distillery.config.paper import PaperJob, Part, Variant
from distillery.files import write_text
from distillery.paper import display, formats
from distillery.paper.measures import HEADLINE, PERSON_SEARCH, TRACKING, Measure
from distillery.paper.published import PUBLISHED, published_values
from distillery.paper.records import (
    Compute,
    ComputeProfile,
    Results,
    Sidecar,
    check_sizes,
    read_compute,
    read_metrics,
    read_sidecars,
)
from distillery.paper.statistics import Estimate, estimate, paired_difference

Row = dict[str, Any]


def write_tables(
    params: Mapping[str, Any], metrics: list[Path], sidecars: list[Path], compute: Path, out_dir: Path
) -> None:
    """Writes every table as CSV (full precision), Markdown and LaTeX (booktabs), all from one frame.

    Args:
        params: `PaperJob` as plain data.
        metrics: Metrics files of `distillery score`.
        sidecars: Sidecars of the checkpoints; those without a parameter count (look-up tables) are passed over.
        compute: compute.json of `distillery profile-networks`.
        out_dir: Folder for `<table>.{csv,md,tex}`, `<table>` being a key of `display.TABLES`.

    Raises:
        UserError: If an input is missing, malformed or contradicts another.
    """
    job = parse(PaperJob, dict(params), source="--params")
    results, costs, sizes = read_metrics(metrics), read_compute(compute), read_sidecars(sidecars)
    check_sizes(costs, sizes, compute)
    for name, frame in frames(job, results, costs, sizes).items():
        write_text(out_dir / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))
        shown = display.shown(name, frame)
        write_text(out_dir / f"{name}.md", formats.markdown(shown))
        write_text(out_dir / f"{name}.tex", formats.latex(shown))


def frames(
    job: PaperJob, results: Results, compute: ComputeProfile, sidecars: Mapping[str, Sidecar]
) -> dict[str, pd.DataFrame]:
    """All tables by name; one for which there are no results is an empty frame."""
    builders: dict[str, Callable[[], list[Row]]] = {
        "tracking": lambda: _main(job.tracking, results, TRACKING, _ratios(job.tracking, compute.networks, sidecars)),
        "person_search": lambda: _main(
            job.person_search, results, PERSON_SEARCH, _ratios(job.person_search, compute.networks, sidecars)
        ),
        "differences": lambda: _differences(job, results),
        "galleries": lambda: _galleries(job.person_search, results),
        "attributes": lambda: _attributes(job.tracking, results),
        "compute": lambda: _compute(job, compute, sidecars),
        "published": _published,
    }
    return {name: pd.DataFrame(build()) for name, build in builders.items()}


def _columns(name: str, value: Estimate | None) -> Row:
    """An estimate as CSV columns; absent ends stay empty."""
    return {
        name: value.mean if value else None,
        f"{name}_low": value.low if value else None,
        f"{name}_high": value.high if value else None,
        f"{name}_seeds": value.seeds if value else 0,
    }


def _estimate(values: Mapping[int, float]) -> Estimate | None:
    return estimate([values[seed] for seed in sorted(values)]) if values else None


def _head(benchmark: str, variant: Variant) -> Row:
    return {
        "benchmark": benchmark,
        "model": variant.model,
        "variant": variant.variant,
        "label": variant.label,
        "role": variant.role,
        "true_boxes": variant.true_boxes,
    }


def _main(part: Part, results: Results, measures: tuple[Measure, ...], ratios: Mapping[str, float]) -> list[Row]:
    rows: list[Row] = []
    for benchmark in results.benchmarks(part):
        for variant in results.variants(part, benchmark):
            mine = results.of(benchmark, variant.key)
            published = published_values(benchmark, variant.key)
            row = _head(benchmark, variant) | {
                "protocol": " / ".join(sorted({result.protocol for result in mine})),
                "seeds": len(mine),
                "size_ratio": ratios.get(variant.key),
            }
            for measure in measures:
                row |= _columns(measure.key, _estimate(results.values(benchmark, variant.key, measure.key)))
                row[f"{measure.key}_published"] = published.values.get(measure.key) if published else None
            row["published_name"] = published.name if published else None
            row["published_mark"] = published.mark if published else None
            row["published_source"] = published.source if published else None
            rows.append(row)
    return rows


def verdict(question: str, difference: Estimate) -> str:
    """What an interval of a paired difference says; it never says more than its interval.

    `gain`: shown (interval above 0), contradicted (below 0), not shown (holds 0).
    `gap`: higher, lower, or no difference shown, which is not a proof of equality.
    """
    if difference.excludes_zero is None:
        return "not tested (one seed)"
    if not difference.excludes_zero:
        return "not shown" if question == "gain" else "no difference shown"
    positive = difference.mean > 0
    return {
        ("gain", True): "shown",
        ("gain", False): "contradicted",
        ("gap", True): "higher",
        ("gap", False): "lower",
    }[question, positive]


def _differences(job: PaperJob, results: Results) -> list[Row]:
    rows: list[Row] = []
    for paper, part in (("tracking", job.tracking), ("person_search", job.person_search)):
        labels = {variant.key: variant.label for variant in part.variants}
        for benchmark in results.benchmarks(part):
            for comparison in part.comparisons:
                for measure in HEADLINE[paper]:
                    difference = paired_difference(
                        results.values(benchmark, comparison.minuend, measure),
                        results.values(benchmark, comparison.subtrahend, measure),
                    )
                    if difference is None:
                        continue
                    rows.append(
                        {
                            "paper": paper,
                            "benchmark": benchmark,
                            "statement": comparison.statement,
                            "question": comparison.question,
                            "minuend": comparison.minuend,
                            "minuend_label": labels.get(comparison.minuend, comparison.minuend),
                            "subtrahend": comparison.subtrahend,
                            "subtrahend_label": labels.get(comparison.subtrahend, comparison.subtrahend),
                            "measure": measure,
                            "difference": difference.mean,
                            "low": difference.low,
                            "high": difference.high,
                            "seeds": difference.seeds,
                            "verdict": verdict(comparison.question, difference),
                        }
                    )
    return rows


def _galleries(part: Part, results: Results) -> list[Row]:
    rows: list[Row] = []
    for benchmark in results.benchmarks(part):
        sizes = results.gallery_sizes(benchmark)
        for variant in results.variants(part, benchmark):
            row = _head(benchmark, variant) | {"seeds": len(results.of(benchmark, variant.key))}
            for size in sizes:
                for measure in ("map", "top1"):
                    values = results.at_gallery(benchmark, variant.key, size, measure)
                    row |= _columns(f"{measure}_{size}", _estimate(values))
            if sizes:
                rows.append(row)
    return rows


def _attributes(part: Part, results: Results) -> list[Row]:
    rows: list[Row] = []
    for benchmark in results.benchmarks(part):
        names = sorted({name for r in results.results if r.benchmark == benchmark for name in r.by_attribute})
        for variant in results.variants(part, benchmark):
            mine = results.of(benchmark, variant.key)
            row = _head(benchmark, variant) | {"seeds": len(mine)}
            for name in names:
                values = {r.seed: r.by_attribute[name].get("auc") for r in mine if name in r.by_attribute}
                row |= _columns(f"auc_{name}", _estimate({k: v for k, v in values.items() if v is not None}))
            if names:
                rows.append(row)
    return rows


def _ratios(part: Part, compute: Mapping[str, Compute], sidecars: Mapping[str, Sidecar]) -> dict[str, float]:
    """Bytes of the compared network / own bytes, by variant; only where both are known."""
    sizes = {key: cost.bytes for key, cost in compute.items()}
    sizes |= {key: sidecar.bytes for key, sidecar in sidecars.items()}
    return {
        variant.key: sizes[variant.compared_with] / sizes[variant.key]
        for variant in part.variants
        if variant.compared_with in sizes and sizes.get(variant.key)
    }


def _compute(job: PaperJob, profile: ComputeProfile, sidecars: Mapping[str, Sidecar]) -> list[Row]:
    rows: list[Row] = []
    compute = profile.networks
    for paper, part in (("tracking", job.tracking), ("person_search", job.person_search)):
        ratios = _ratios(part, compute, sidecars)
        for variant in (variant for variant in part.variants if variant.key in compute):
            cost, base = compute[variant.key], compute.get(variant.compared_with or "")
            published = published_values(None, variant.key)
            rows.append(
                {
                    "paper": paper,
                    "model": variant.model,
                    "variant": variant.variant,
                    "label": variant.label,
                    "compared_with": variant.compared_with,
                    **cost.model_dump(),
                    "machine": profile.place,
                    "convention": profile.convention,
                    "size_ratio": ratios.get(variant.key),
                    "speedup": base.milliseconds / cost.milliseconds
                    if base and base.milliseconds and cost.milliseconds
                    else None,
                    "bytes_published": published.values.get("bytes") if published else None,
                    "size_ratio_published": published.values.get("ratio") if published else None,
                    "published_name": published.name if published else None,
                    "published_mark": published.mark if published else None,
                    "published_source": published.source if published else None,
                }
            )
    return rows


def _published() -> list[Row]:
    rows = []
    for entry in PUBLISHED:
        row = asdict(entry)
        values = row.pop("values")
        rows += [row | {"measure": measure, "value": value} for measure, value in values.items()]
    return rows
