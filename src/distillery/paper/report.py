"""The report: one HTML file that holds every table and figure of a job and asks the network for nothing."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jinja2
import pandas as pd

from distillery.config.base import parse
from distillery.config.paper_job import FAMILY_LABELS, PaperJob
from distillery.errors import UserError
from distillery.files import write_text
from distillery.paper import claims_page, facts, limits
from distillery.paper.display import Shown
from distillery.paper.figures import title_of
from distillery.paper.figures.panels import families_on, short_label, told
from distillery.paper.judged import Document, read_claims
from distillery.paper.measures import benchmark_label, first_measure
from distillery.paper.records import Results, read_metrics
from distillery.paper.tables import TABLES

_DUBLIN_CORE = "{http://purl.org/dc/elements/1.1/}"
_MAX_SVG = 8 * 2**20
FIRST_FEW = 12
"""Sentences on what a run does not show that stand open on the first page; the reader unfolds the rest."""


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


@dataclass(frozen=True)
class Section:
    """A part of the report."""

    anchor: str
    heading: str
    tables: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()


def _family(name: str, label: str) -> Section:
    maps = ("response_maps",) if name == "siamfc" else ()
    return Section(name, label, figures=(f"qualitative_{name}", *maps, f"training_{name}"))


SECTIONS = (
    Section(
        "tracking",
        "Trackers: one teacher, several students",
        ("tracking",),
        ("success", "precision", "normalized_precision", "expected_overlap"),
    ),
    Section("ablations", "Ablations of the trackers", ("ablations",), ("ablations", "gates")),
    Section("search_ablations", "Ablations of person search", ("search_ablations",), ("search_ablations",)),
    Section("selection", "Student selection", ("selection",), ("selection",)),
    *(_family(name, label) for name, label in FAMILY_LABELS.items()),
    Section("benchmarks", "Benchmark by benchmark", ("benchmarks", "attributes"), ("attributes",)),
    Section(
        "person_search",
        "Person search: detecting and telling apart",
        ("person_search", "galleries"),
        ("detection_and_search", "map_over_gallery", "ranked_galleries", "ranked_galleries_prw"),
    ),
    Section(
        "person_search_teachers",
        "Person search: a look-up table as teacher",
        ("lookup_tables",),
        ("feature_space", "compression"),
    ),
    Section(
        "person_search_training",
        "Person search: training",
        figures=("training_oim", "training_qeeps", "training_teachers"),
    ),
    Section("cost", "Compression and speed", ("compute",), ("bubbles",)),
    Section(
        "data", "The test data", figures=("contact_sheet_tracking", "contact_sheet_person_search", "contact_sheet_prw")
    ),
    Section("evidence", "Published values", ("published",)),
)
"""In order; of each, what the job has is shown."""


def sections_of(job: PaperJob) -> list[Section]:
    """The sections of which the job has a table or a figure; the differences have their own place."""
    found = []
    for section in SECTIONS:
        tables = tuple(name for name in section.tables if name in job.tables)
        figures = tuple(name for name in section.figures if name in job.figures)
        if tables or figures:
            found.append(Section(section.anchor, section.heading, tables, figures))
    return found


def write_report(
    params: Mapping[str, Any], tables_dir: Path, figures_dir: Path, metrics: Sequence[Path], claims: Path, out: Path
) -> None:
    """Writes the report.

    Args:
        params: `PaperJob` as plain data; its `config`, where given, is printed in full.
        tables_dir: CSV files of `write_tables`.
        figures_dir: SVG files of `write_figures`; their captions are in their metadata.
        metrics: Metrics files, for the summary.
        claims: claims.json of `write_claims`, for the first page.
        out: The HTML file.

    Raises:
        UserError: If a table, a figure, a metrics file or the claims are missing, malformed or another run's.
    """
    job = parse(PaperJob, dict(params), source="--params")
    results = read_metrics(metrics)
    judged = _read_claims(claims, job)
    frames = {name: _read_table(tables_dir / f"{name}.csv") for name in job.tables}
    shots = {name: _read_figure(figures_dir / f"{name}.svg", name) for name in job.figures}
    tables = {name: _shown(tables_dir / f"{name}.csv", name, frame) for name, frame in frames.items()}
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("distillery.paper"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("report.html.j2").render(
        job=job,
        headlines=headlines(job, results) if job.target == "headline" else [],
        claims=claims_page.lines(judged),
        claim_heads=claims_page.HEADS,
        verdicts=claims_page.counts(judged),
        remarks=claims_page.remarks(judged),
        rules=judged.rules,
        not_shown=limits.not_shown(job, results),
        first_few=FIRST_FEW,
        scored=scored(results),
        sections=sections_of(job),
        tables=tables,
        figures=shots,
        run_facts=facts.run_facts(job),
        data_facts=facts.data_facts(job, results),
        config=facts.config_text(job),
    )
    write_text(out, text)


def headlines(job: PaperJob, results: Results) -> list[tuple[str, str, list[Headline]]]:
    """Head, measure and rows of every family on the first benchmark, and of person search on all."""
    found: list[tuple[str, str, list[Headline]]] = []
    for paper, part in job.parts.items():
        for benchmark in results.benchmarks(part)[: 1 if paper == "tracking" else None]:
            measure = first_measure(benchmark)
            families = families_on(part, results, [benchmark]) if paper == "tracking" else [None]
            for family in families:
                rows = []
                for variant in results.variants(part, benchmark, family):
                    value = results.estimate(benchmark, variant.key, measure.key)
                    if value:
                        label = short_label(variant, family) if family else variant.label
                        text = told(measure, value)
                        rows.append(Headline(label, variant.role, text, value.mean, value.low, value.high))
                head = FAMILY_LABELS.get(family, family) if family else "Person search"
                found.append((f"{head}: {measure.label} on {benchmark_label(benchmark)}", measure.label, rows))
    return found


def scored(results: Results) -> list[tuple[str, str]]:
    """Benchmark and the most that was scored on it by any method, for the head of the report."""
    found: dict[str, dict[str, int]] = {}
    for result in results.results:
        most = found.setdefault(benchmark_label(result.benchmark), {})
        for name in ("sequences", "queries"):  # a detector has no queries
            if name in result.counts:
                most[name] = max(most.get(name, 0), int(result.counts[name]))
    return [(label, ", ".join(f"{count} {name}" for name, count in most.items())) for label, most in found.items()]


def _read_claims(path: Path, job: PaperJob) -> Document:
    judged = read_claims(path)
    if (judged.profile, judged.target) != (job.profile, job.target):
        raise UserError(
            f"is of {judged.profile}, {judged.target}, the report of {job.profile}, {job.target}",
            file=path,
            remedy="run `distillery claims` again",
        )
    return judged


def _shown(path: Path, name: str, frame: pd.DataFrame) -> Shown:
    try:
        # A table without results has no columns either; columns alone are a file that was cut off.
        if len(frame) or not len(frame.columns):
            return TABLES[name].shown(name, frame)
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
    title = title_of(name)
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
    return Shot(name=name, title=title, caption=description, uri=uri)
