"""The report: one HTML file that holds every table and figure and asks the network for nothing."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jinja2
import pandas as pd

from distillery.config.base import parse
from distillery.config.paper import PaperJob, Part
from distillery.errors import UserError
from distillery.files import write_text
from distillery.paper import display, facts
from distillery.paper.figures import TITLES
from distillery.paper.measures import HEADLINE, MEASURES
from distillery.paper.records import Results, read_metrics, require_seeds
from distillery.paper.statistics import Estimate, estimate

_DUBLIN_CORE = "{http://purl.org/dc/elements/1.1/}"
_MAX_SVG = 4 * 2**20


@dataclass(frozen=True)
class Shot:
    """A figure as the template shows it."""

    name: str
    title: str
    caption: str
    uri: str


@dataclass(frozen=True)
class Headline:
    """The first measure of one variant, for the summary."""

    label: str
    role: str
    text: str
    share: float
    """Its mean as a fraction, 0..1, the length of its bar."""
    low: float | None
    high: float | None


SECTIONS: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "tracking",
        "Trackers: one teacher, several students",
        ("tracking", "attributes"),
        ("success", "precision", "qualitative_tracking", "training_tracking"),
    ),
    (
        "person_search",
        "Person search: a look-up table as teacher",
        ("person_search", "galleries"),
        ("map_over_gallery", "ranked_galleries", "training_person_search"),
    ),
    ("cost", "Compression and speed", ("compute",), ("bubbles",)),
    ("data", "The test data", (), ("contact_sheet_tracking", "contact_sheet_person_search")),
    ("evidence", "Published values", ("published",), ()),
)
"""Anchor, heading, tables, figures; in order."""


def write_report(
    params: Mapping[str, Any], tables_dir: Path, figures_dir: Path, metrics: list[Path], out: Path
) -> None:
    """Writes the report.

    Args:
        params: `PaperJob` as plain data; its `config`, where given, is printed in full.
        tables_dir: CSV files of `write_tables`.
        figures_dir: SVG files of `write_figures`; their captions are in their metadata.
        metrics: Metrics files, for the summary.
        out: The HTML file.

    Raises:
        UserError: If a table, a figure or a metrics file is missing or malformed.
    """
    job = parse(PaperJob, dict(params), source="--params")
    results = read_metrics(metrics)
    frames = {name: _read_table(tables_dir / f"{name}.csv") for name in display.TABLES}
    shots = {name: _read_figure(figures_dir / f"{name}.svg", name) for name in TITLES}
    tables = {name: _shown(tables_dir / f"{name}.csv", name, frame) for name, frame in frames.items()}
    differences = frames["differences"].to_dict("records")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("distillery.paper"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("report.html.j2").render(
        job=job,
        headlines=[
            (title, benchmark, MEASURES[HEADLINE[paper][0]].label, headlines(part, benchmark, results, paper))
            for paper, title, part in (
                ("tracking", "Trackers", job.tracking),
                ("person_search", "Person search", job.person_search),
            )
            for benchmark in results.benchmarks(part)
        ],
        shown=[sentence for verdict, sentence in claims(differences) if verdict == "shown"],
        not_shown=not_shown(differences, job, results),
        scored=scored(results),
        differences=tables["differences"],
        sections=SECTIONS,
        tables=tables,
        figures=shots,
        run_facts=facts.run_facts(job),
        data_facts=facts.data_facts(job, results),
        config=facts.config_text(job),
    )
    write_text(out, text)


def headlines(part: Part, benchmark: str, results: Results, paper: str) -> list[Headline]:
    """Every variant's first measure with its interval, in the part's order."""
    measure = MEASURES[HEADLINE[paper][0]]
    found = []
    for variant in results.variants(part, benchmark):
        values = results.values(benchmark, variant.key, measure.key)
        if values:
            value: Estimate = estimate(list(values.values()))
            text = measure.text(value.mean)
            text += f" ± {measure.text(value.half_width)}" if value.half_width is not None else ""
            found.append(Headline(variant.label, variant.role, text, value.mean, value.low, value.high))
    return found


def _change(row: Mapping[Any, Any]) -> str:
    measure = MEASURES[row["measure"]]
    text = f"{measure.label} {measure.text(row['difference'], sign=True)}"
    if not pd.isna(row["low"]):
        text += f" [{measure.text(row['low'], sign=True)}, {measure.text(row['high'], sign=True)}]"
    return text


_VERDICTS = {
    "shown": "",
    "not shown": "not shown, the interval of the difference holds 0: ",
    "contradicted": "contradicted here, the difference lies below 0: ",
    "higher": "here it is even higher: ",
    "lower": "not so here, it is lower: ",
    "no difference shown": "no difference is shown, and equality is not proven either: ",
    "not tested (one seed)": "not tested, one seed has no interval: ",
}


def claims(differences: list[dict[Any, Any]]) -> list[tuple[str, str]]:
    """(verdict, sentence) of every claim, the measures of equal verdict in one sentence; in the table's order."""
    grouped: dict[tuple[str, str, int], list[str]] = {}
    for row in differences:
        grouped.setdefault((row["statement"], row["verdict"], row["seeds"]), []).append(_change(row))
    return [
        (verdict, f"{_capital(statement)}: {_VERDICTS[verdict]}{'; '.join(changes)} ({_seeds(seeds)}).")
        for (statement, verdict, seeds), changes in grouped.items()
    ]


def _seeds(number: int) -> str:
    return "1 seed" if number == 1 else f"{number} seeds"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def not_shown(differences: list[dict[Any, Any]], job: PaperJob, results: Results) -> list[str]:
    """What the run does not show, computed from its intervals, its baselines, its gaps and its data."""
    notes = [sentence for verdict, sentence in claims(differences) if verdict not in ("shown", "higher")]
    notes += _not_above_baselines(job, results)
    notes += [f"{_capital(note)}." for note in require_seeds(job, results)]
    data = (job.config or {}).get("data", {})
    embedded = [name for name, spec in data.items() if spec.get("source") == "embedded"]
    if embedded:
        notes.append(
            f"Nothing about the real benchmarks: {', '.join(embedded)} are embedded, synthetic worlds in the official "
            "layouts, so absolute values are not comparable with published ones."
        )
    notes.append(
        "Intervals cover the variation over seeds on one fixed test set, not that over test sets, and are not "
        "corrected for the number of comparisons."
    )
    return notes


def _not_above_baselines(job: PaperJob, results: Results) -> list[str]:
    notes = []
    for paper, part in (("tracking", job.tracking), ("person_search", job.person_search)):
        label = MEASURES[HEADLINE[paper][0]].label
        for benchmark in results.benchmarks(part):
            rows = headlines(part, benchmark, results, paper)
            baselines = [row for row in rows if row.role == "baseline"]
            if not baselines:
                continue
            best = max(baselines, key=lambda row: row.share)
            notes += [
                f"{_capital(row.label)} is not clearly above the best trivial method: {label} {row.text}, "
                f"{best.label} {best.text}."
                for row in rows
                if row.role != "baseline" and (row.share if row.low is None else row.low) <= best.share
            ]
    return notes


def scored(results: Results) -> list[tuple[str, str]]:
    """Benchmark and what was scored on it, for the head of the report."""
    found: dict[str, str] = {}
    for result in results.results:
        counts = [f"{result.counts[name]} {name}" for name in ("sequences", "queries") if name in result.counts]
        found.setdefault(result.benchmark, ", ".join(counts))
    return list(found.items())


def _shown(path: Path, name: str, frame: pd.DataFrame) -> display.Shown:
    try:
        # A table without results has no columns either; columns alone are a file that was cut off.
        if len(frame) or not len(frame.columns):
            return display.shown(name, frame)
        column = "row"
    except KeyError as error:
        column = f"column {error}"
    raise UserError(f"has no {column}", file=path, remedy="run `distillery tables` again")


def _read_table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, keep_default_na=False, na_values=[""])
    except FileNotFoundError as error:
        raise UserError("does not exist", file=path, remedy="run `distillery tables` first") from error
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise UserError("is not a table", file=path, remedy="run `distillery tables` again") from error


def _read_figure(path: Path, name: str) -> Shot:
    remedy = "run `distillery figures` again"
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise UserError("does not exist", file=path, remedy="run `distillery figures` first") from error
    if len(data) > _MAX_SVG:
        raise UserError(f"is larger than {_MAX_SVG // 2**20} MB", file=path, remedy=remedy)
    try:
        description = ElementTree.fromstring(data).findtext(f".//{_DUBLIN_CORE}description")
    except ElementTree.ParseError as error:
        raise UserError("is not an SVG file", file=path, remedy=remedy) from error
    if not description:
        raise UserError("has no caption in its metadata", file=path, remedy=remedy)
    uri = f"data:image/svg+xml;base64,{base64.b64encode(data).decode()}"
    return Shot(name=name, title=TITLES[name], caption=description, uri=uri)
