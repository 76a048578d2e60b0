"""One row a tracker, the headline measures of every benchmark side by side, as papers print them."""

from __future__ import annotations

import pandas as pd

from distillery.config.paper_job import Part, Variant
from distillery.paper.display import INTERVAL, Body, Column, Row, absent, column, interval, ratio, text, whole
from distillery.paper.measures import AWAITING, SERVER, benchmark_label, headline, measure_of
from distillery.paper.records import Results
from distillery.paper.tables.table import Inputs, Table, estimated, head, size_ratios


def _rows(inputs: Inputs) -> list[Row]:
    part, results = inputs.job.tracking, inputs.results
    names = _benchmarks(part, results)
    ratios = size_ratios(part, inputs)
    return [_row(variant, names, ratios.get(variant.key), results) for variant in _variants(part, names, results)]


def _row(variant: Variant, names: list[str], size_ratio: float | None, results: Results) -> Row:
    row = head(variant) | {"size_ratio": size_ratio}
    mine = [name for name in names if name not in SERVER.values()]
    row["seeds"] = min(filter(None, (len(results.of(name, variant.key)) for name in mine)), default=0)
    for name in names:
        # A server is asked once a submission: its first measure will do.
        for key in headline(name)[: 1 if name in SERVER.values() else None]:
            row |= estimated(f"{name}.{key}", results.estimate(name, variant.key, key))
    return row | {f"{name}_answers": _answers(results, name, variant) for name in names if _is_answered(results, name)}


def _is_answered(results: Results, name: str) -> bool:
    """Whether a server has answered for any tracker."""
    return name in SERVER.values() and any(result.benchmark == name for result in results.results)


def _answers(results: Results, name: str, variant: Variant) -> str | None:
    """Seed and hash of each answer of a server that the numbers of a row are: `seed 0: 3f2a…`."""
    mine = results.of(name, variant.key)
    return "; ".join(f"seed {one.seed}: {one.inputs.get('answer', 'unknown')}" for one in mine) or None


def _cited(frame: pd.DataFrame) -> str:
    """The answers of servers that the table quotes, each by the first digits of its hash."""
    told = []
    for benchmark in SERVER.values():
        name = f"{benchmark}_answers"
        if name in frame and frame[name].notna().any():
            rows = frame[frame[name].notna()]
            cited = (f"{label} {_short(answers)}" for label, answers in zip(rows["label"], rows[name], strict=True))
            told.append(f"{benchmark_label(benchmark)}: answers of the server by SHA-256, {', '.join(cited)}.")
    return " ".join(told)


def _short(answers: str) -> str:
    cited = (one.partition(": ") for one in answers.split("; "))
    return "(" + ", ".join(f"{seed}: {digest[:12]}" for seed, _, digest in cited) + ")"


def _benchmarks(part: Part, results: Results) -> list[str]:
    """The benchmarks with results, each followed by the part that a server scores; then what only a server scored."""
    listed = [each for name in results.benchmarks(part) for each in (name, SERVER.get(name)) if each]
    return listed + [name for name in SERVER.values() if name not in listed and _is_answered(results, name)]


def _variants(part: Part, names: list[str], results: Results) -> list[Variant]:
    """All variants with any result, each once: the part's in its order, then the others."""
    found = {variant.key: variant for name in names for variant in results.variants(part, name)}
    listed = [variant for variant in part.variants if variant.key in found]
    return listed + [found[key] for key in sorted(found.keys() - {variant.key for variant in listed})]


def measured_columns(frame: pd.DataFrame) -> list[Column]:
    """The columns `<benchmark>.<measure>` of a frame, grouped by benchmark."""
    names = [name for name in frame.columns if "." in name and not name.endswith(("_low", "_high", "_seeds"))]
    return [_column(frame, name) for name in names]


def _column(frame: pd.DataFrame, name: str) -> Column:
    benchmark, _, key = name.partition(".")
    measure = measure_of(benchmark, key)

    def cell(row: Row) -> str:
        if benchmark in SERVER.values() and absent(row[name]) and row["role"] != "baseline":
            return AWAITING
        return interval(measure, row, name)

    return column(frame, measure.label, cell, group=benchmark_label(benchmark))


def _bodies(frame: pd.DataFrame) -> list[Body]:
    columns = [text(frame, "Method", "label"), whole(frame, "Seeds", "seeds")]
    if frame["size_ratio"].notna().any():
        columns.append(ratio(frame, "Smaller by", "size_ratio"))
    return [Body((*columns, *measured_columns(frame)))]


TABLE = Table(
    title="Trackers on all benchmarks",
    caption=f"{INTERVAL} “Smaller by” is the size of the teacher over the size of the row. AUC: area under the success "
    "curve; P: precision; NP: normalised precision; EAO: expected average overlap; A: accuracy; R: robustness, "
    "failures in a hundred frames, the only one of these of which less is better. TrackingNet's definitions are those "
    "of its server. Here they are applied to a training part that is held out of all training; its test split is "
    "scored by the server alone.",
    rows=_rows,
    bodies=_bodies,
    measured=_cited,
)
