"""How a frame is printed: one set of cells, from which Markdown, LaTeX and the report's HTML are made alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from distillery.paper.measures import MEASURES, MINUS, NONE, PERSON_SEARCH, TIMES, TRACKING, Measure
from distillery.paper.published import MARKS


@dataclass(frozen=True)
class Column:
    """A printed column."""

    head: str
    align: Literal["l", "r"]
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Shown:
    """A printed table: plain Unicode, escaped only by the format that it is written in."""

    name: str
    title: str
    caption: str
    columns: tuple[Column, ...]

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """Cells row by row."""
        return list(zip(*(column.cells for column in self.columns), strict=True))


_INTERVAL = "Mean ± half the 95 % interval over seeds (Student's t); one seed has no interval and is printed alone."
_PUBLISHED = (
    "Published values were measured on the real benchmarks with full-size networks: beside results from embedded, "
    "synthetic worlds they may be compared in direction only, never in absolute value. Evidence: "
    + "; ".join(f"{mark}, {meaning}" for mark, meaning in MARKS.items())
    + "."
)


def shown(name: str, frame: pd.DataFrame) -> Shown:
    """The printed form of the table `name` (a key of `TABLES`); cells follow from the frame alone."""
    title, caption, build = TABLES[name]
    columns = tuple(build(frame)) if len(frame) else (Column("no results", "l", ()),)
    if name == "compute" and len(frame):
        caption = f"Measured on {frame['machine'].iloc[0]}: {frame['convention'].iloc[0]}. {caption}"
    return Shown(name, title, caption, columns)


def _absent(value: Any) -> bool:
    return value is None or bool(pd.isna(value))


def _interval(measure: Measure, mean: Any, low: Any, high: Any, *, sign: bool = False) -> str:
    if _absent(mean):
        return NONE
    text = measure.text(float(mean), sign=sign)
    return text if _absent(low) else f"{text} ± {measure.text((float(high) - float(low)) / 2)}"


def _column(frame: pd.DataFrame, head: str, cell: Callable[[Any], str], align: Literal["l", "r"] = "r") -> Column:
    """A column whose cells are computed row by row; `row` is a mapping of the frame's columns."""
    return Column(head, align, tuple(cell(row) for row in frame.to_dict("records")))


def _text(frame: pd.DataFrame, head: str, name: str) -> Column:
    return _column(frame, head, lambda row: NONE if _absent(row[name]) else str(row[name]), "l")


def _whole(frame: pd.DataFrame, head: str, name: str) -> Column:
    return _column(frame, head, lambda row: NONE if _absent(row.get(name)) else f"{int(row[name]):,}")


def _ratio(frame: pd.DataFrame, head: str, name: str) -> Column:
    return _column(frame, head, lambda row: NONE if _absent(row.get(name)) else f"{float(row[name]):.1f}{TIMES}")


def _results(frame: pd.DataFrame, measures: tuple[Measure, ...]) -> list[Column]:
    columns = [_text(frame, "Benchmark", "benchmark")] if frame["benchmark"].nunique() > 1 else []
    columns += [_text(frame, "Method", "label"), _whole(frame, "Seeds", "seeds")]
    for measure in measures:
        key = measure.key
        if frame[key].notna().any():
            columns.append(_column(frame, measure.label, lambda row, m=measure: _measured(row, m)))  # type: ignore[misc]
        if frame[f"{key}_published"].notna().any():
            columns.append(_column(frame, f"{measure.label} publ.", lambda row, m=measure: _published(row, m)))  # type: ignore[misc]
    if frame["published_mark"].notna().any():
        columns.append(_text(frame, "Evidence", "published_mark"))
    if frame["size_ratio"].notna().any():
        columns.append(_ratio(frame, "Smaller by", "size_ratio"))
    return columns


def _measured(row: Any, measure: Measure) -> str:
    # Detection on given boxes is not an achievement: 1 by construction.
    if row["true_boxes"] and measure.key in ("ap", "recall"):
        return NONE
    return _interval(measure, row[measure.key], row[f"{measure.key}_low"], row[f"{measure.key}_high"])


def _published(row: Any, measure: Measure) -> str:
    value = row[f"{measure.key}_published"]
    if _absent(value):
        return NONE
    # The evidence column holds every mark; this one must never be read without it.
    suffix = " (unverified)" if row["published_mark"] == "unverified" else ""
    return measure.text(float(value)) + suffix


def _differences(frame: pd.DataFrame) -> list[Column]:
    return [
        _column(frame, "Difference", lambda row: f"{row['minuend_label']} {MINUS} {row['subtrahend_label']}", "l"),
        _column(frame, "Measure", lambda row: MEASURES[row["measure"]].label, "l"),
        _column(
            frame,
            "Mean",
            lambda row: _interval(MEASURES[row["measure"]], row["difference"], row["low"], row["high"], sign=True),
        ),
        _whole(frame, "Seeds", "seeds"),
        _text(frame, "Verdict", "verdict"),
    ]


def _series(prefix: str, measure: Measure, head: Callable[[str], str]) -> Callable[[pd.DataFrame], list[Column]]:
    """Columns of one measure over what the names after `prefix` say (gallery sizes, attributes)."""

    def build(frame: pd.DataFrame) -> list[Column]:
        ends = ("_low", "_high", "_seeds")
        names = [name for name in frame.columns if name.startswith(prefix) and not name.endswith(ends)]
        columns = [_text(frame, "Method", "label"), _whole(frame, "Seeds", "seeds")]
        return columns + [
            _column(
                frame,
                head(name.removeprefix(prefix)),
                lambda row, n=name: _interval(measure, row[n], row[f"{n}_low"], row[f"{n}_high"]),  # type: ignore[misc]
            )
            for name in names
        ]

    return build


def _compute(frame: pd.DataFrame) -> list[Column]:
    def number(name: str, divisor: float, decimals: int) -> Callable[[Any], str]:
        return lambda row: NONE if _absent(row.get(name)) else f"{float(row[name]) / divisor:,.{decimals}f}"

    columns = [
        _text(frame, "Network", "label"),
        _text(frame, "One step", "step"),
        _whole(frame, "Parameters", "parameters"),
        _column(frame, "Size, kB", number("bytes", 1e3, 1)),
        _ratio(frame, "Smaller by", "size_ratio"),
        _column(frame, "MMACs", number("macs", 1e6, 1)),
        _column(frame, "ms", number("milliseconds", 1, 2)),
        _column(frame, "FPS", number("fps", 1, 0)),
        _ratio(frame, "Faster by", "speedup"),
    ]
    if frame["size_ratio_published"].notna().any():
        columns.append(_ratio(frame, "Smaller by, publ.", "size_ratio_published"))
        columns.append(_text(frame, "Evidence", "published_mark"))
    return columns


def _sources(frame: pd.DataFrame) -> list[Column]:
    def value(row: Any) -> str:
        measure = MEASURES.get(row["measure"])
        return measure.text(row["value"]) if measure else f"{row['value']:,g}"

    return [
        _text(frame, "Source calls it", "name"),
        _text(frame, "Our counterpart", "variant"),
        _column(
            frame,
            "Measure",
            lambda row: MEASURES[row["measure"]].label if row["measure"] in MEASURES else row["measure"],
            "l",
        ),
        _column(frame, "Value", value),
        _text(frame, "Evidence", "mark"),
        _text(frame, "Source", "source"),
    ]


TABLES: dict[str, tuple[str, str, Callable[[pd.DataFrame], list[Column]]]] = {
    "tracking": (
        "Tracking accuracy",
        f"One-pass evaluation. {_INTERVAL} “Smaller by” is the size of the teacher over the size of the row. "
        f"{_PUBLISHED}",
        lambda frame: _results(frame, TRACKING),
    ),
    "person_search": (
        "Person search and detection",
        f"Search mAP and top-k accuracy, detection AP and recall, in percent. {_INTERVAL} Rows on true boxes are given "
        "every annotated box and so measure re-identification alone; “smaller by” compares with the largest network. "
        f"{_PUBLISHED}",
        lambda frame: _results(frame, PERSON_SEARCH),
    ),
    "differences": (
        "Paired differences",
        "Differences of equal seeds, which share data order and initialisation: mean ± half the 95 % interval of the "
        "paired differences (Student's t). A gain is “shown” only where its interval lies above 0. For a gap to a "
        "teacher or larger network, “no difference shown” does not prove equality. Intervals are not corrected for the "
        "number of comparisons.",
        _differences,
    ),
    "galleries": (
        "Search mAP by gallery size",
        f"mAP in percent by the number of gallery images a query is searched in. {_INTERVAL}",
        _series("map_", MEASURES["map"], lambda size: "all images" if size == "full" else f"{size} images"),
    ),
    "attributes": (
        "Tracking AUC by attribute",
        f"AUC over the sequences that carry the attribute; a sequence can carry several. {_INTERVAL}",
        _series("auc_", MEASURES["auc"], lambda name: name),
    ),
    "compute": (
        "Compression and speed",
        "Size counts learnt parameters as 32-bit floats, kB = 1000 bytes; MMACs are millions of multiply-accumulate "
        "operations of one step, ms its median time, FPS steps a second. Ratios compare with the teacher (trackers, "
        f"re-identification) or with the largest network trained in the same way (person search). {_PUBLISHED}",
        _compute,
    ),
    "published": ("Published values and their evidence", _PUBLISHED, _sources),
}
"""Name -> title, caption, columns; in the order of the report."""
