"""The two forms of a check's report: JSON for programs (docs/data.md, "Checking"), text or Markdown for people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from distillery.data.check_images import Policy
from distillery.data.checking import CheckReport, Oddity

SCHEMA = 1
SHOWN_FAULTS = 20


@dataclass(frozen=True)
class CheckOptions:
    """What a check is asked for; the result depends on nothing else but the data and the code."""

    images: Policy = "full"
    """Which images are decoded."""
    counts: Literal["any", "official"] = "any"
    """Whether the official numbers of images, sequences and people must be there."""
    allow_partial: bool = False
    """Whether what is absent is no fault."""


def as_json(report: CheckReport, options: CheckOptions) -> dict[str, Any]:
    """A report as a JSON document: the same bytes for the same data, wherever they lie and however fast it went."""
    return {
        "schema": SCHEMA,
        "benchmark": report.benchmark,
        "ok": report.ok,
        "options": asdict(options),
        "counts": report.counts,
        "expected": {name: list(values) for name, values in report.expected.items()},
        "images": {"listed": report.listed, "decoded": report.decoded},
        "faults": report.faults,
        "absent": report.absent,
        "notes": report.notes,
        "oddities": {name: asdict(oddity) for name, oddity in report.oddities.items()},
    }


def from_json(document: dict[str, Any], root: Path) -> CheckReport:
    """The report of a document of `as_json`; raises KeyError, TypeError or AttributeError where it is none."""
    if document["schema"] != SCHEMA:
        raise KeyError("schema")
    report = CheckReport(
        document["benchmark"], root, document["counts"], list(document["faults"]), list(document["notes"])
    )
    report.absent = list(document["absent"])
    report.expected = {name: tuple(values) for name, values in document["expected"].items()}
    report.listed, report.decoded = document["images"]["listed"], document["images"]["decoded"]
    report.oddities = {name: Oddity(**oddity) for name, oddity in document["oddities"].items()}
    return report


def tidy(report: CheckReport) -> None:
    """Makes each sentence one printable line with paths relative to the root, and says nothing twice."""
    report.faults = list(dict.fromkeys(_line(fault, report.root) for fault in report.faults))
    report.absent = list(dict.fromkeys(_line(fault, report.root) for fault in report.absent))
    report.notes = list(dict.fromkeys(_line(note, report.root) for note in report.notes))
    for oddity in report.oddities.values():
        oddity.where = [_line(place, report.root) for place in oddity.where]


def lines(report: CheckReport, options: CheckOptions, *, whole: bool = False) -> Iterator[str]:
    """The report for people, line by line; of many faults the first, unless `whole`."""
    for name, count in report.counts.items():
        accepted = report.expected.get(name)
        compared = f" (official: {' or '.join(map(str, accepted))})" if accepted else ""
        yield f"{name}: {count}{compared}"
    yield f"images: {report.decoded} of {report.listed} decoded ({options.images})"
    for name, oddity in report.oddities.items():
        if oddity.seen:
            where = f" [{'; '.join(oddity.where)}]" if oddity.where else ""
            yield f"oddity: {name} ({oddity.seen}): {oddity.what}{where}"
    for note in report.notes:
        yield f"note: {note}"
    forgiven = [sentence for sentence in report.absent if sentence not in set(report.faults)]
    for title, sentences in (("absent", forgiven), ("fault", report.faults)):
        shown = sentences if whole else sentences[:SHOWN_FAULTS]
        for sentence in shown:
            yield f"{title}: {sentence}"
        if len(shown) < len(sentences):
            yield f"{title}: {len(sentences) - len(shown)} more"


def verdict(report: CheckReport) -> str:
    """The last line: the root and how it fared."""
    said = "no fault" if report.ok else _number(len(report.faults), "fault")
    forgiven = len(set(report.absent) - set(report.faults))
    return f"{report.root}: {said}" + (f", {_number(forgiven, 'absence')} allowed" if forgiven else "")


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}"


def markdown(report: CheckReport, options: CheckOptions) -> str:
    """The whole report as a Markdown page."""
    said = "No fault" if report.ok else _number(len(report.faults), "fault")
    decoded = f"{report.decoded} of {report.listed} images decoded ({options.images})"
    parts = [f"# Check of {report.benchmark}", "", f"**{said}**; {decoded}.", ""]
    parts += ["| count | found | official |", "|---|---|---|"]
    for name, count in report.counts.items():
        parts.append(f"| {name} | {count} | {' or '.join(map(str, report.expected.get(name, ())))} |")
    if report.oddities:
        parts += ["", "| oddity | seen | what it is | for example |", "|---|---|---|---|"]
        for name, oddity in report.oddities.items():
            cells = (name, str(oddity.seen), oddity.what, "; ".join(oddity.where))
            parts.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    for title, sentences in (("Faults", report.faults), ("Absent", report.absent), ("Notes", report.notes)):
        if sentences:
            parts += ["", f"## {title}", "", *(f"- {sentence}" for sentence in sentences)]
    return "\n".join(parts) + "\n"


def _line(sentence: str, root: Path) -> str:
    text = str(root)
    if text not in (".", "/"):
        sentence = re.sub(rf"(?<![\w./-]){re.escape(text)}/", "", sentence)
        sentence = re.sub(rf"(?<![\w./-]){re.escape(text)}(?![\w./-])", "the root", sentence)
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in sentence)
