"""Two runs of the same profile compared file by file: what is equal, what differs, and why.

Files that hold wall-clock times cannot be equal. A table declares which these are and what in them may differ; what is
left after that is taken out must be the same bytes. Everything else must be the same bytes to begin with.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from distillery.audit.manifest import OPTIONAL, Manifest
from distillery.errors import UserError
from distillery.files import sha256_of_file

EQUAL, TIMES, DRAWN, DIFFERS, ONE_SIDED = (
    "equal",
    "equal but for times",
    "drawn from times",
    "differs",
    "in one run only",
)
GOOD = (EQUAL, TIMES, DRAWN)
_NUMBER = re.compile(r"[+\-\N{MINUS SIGN}]?\d[\d,]*(?:\.\d+)?")
_IMAGE = re.compile(r"data:image/[a-z+]+;base64,[A-Za-z0-9+/=]*")


class Timed(NamedTuple):
    """Files with wall-clock times.

    Attributes:
        pattern: Of their paths.
        why: What the times are, for the certificate.
        rest: What of a file's text must be equal; None for a drawing, of which nothing is.
    """

    pattern: re.Pattern[str]
    why: str
    rest: Callable[[str], str] | None


def without_fields(*fields: str) -> Callable[[str], str]:
    """JSON without some fields, named by dotted paths in which `*` stands for any key."""
    wanted = [name.split(".") for name in fields]

    def strip(value: Any, paths: list[list[str]]) -> Any:
        if not isinstance(value, dict):
            return value
        kept = {}
        for key, inner in value.items():
            below = [path[1:] for path in paths if path[0] in ("*", key)]
            if [] not in below:
                kept[key] = strip(inner, below)
        return kept

    return lambda text: json.dumps(strip(json.loads(text), wanted), sort_keys=True)


def without_columns(*columns: str) -> Callable[[str], str]:
    """A CSV file without some columns."""

    def strip(text: str) -> str:
        rows = list(csv.reader(io.StringIO(text)))
        kept = [place for place, name in enumerate(rows[0] if rows else []) if name not in columns]
        return json.dumps([[row[place] for place in kept if place < len(row)] for row in rows])

    return strip


def without_cells(*heads: str) -> Callable[[str], str]:
    """A table in Markdown or LaTeX without the columns under some heads; blanks that align it do not count."""

    def strip(text: str) -> str:
        lines, kept = [], None
        for line in text.splitlines():
            separator = "|" if line.startswith("|") else " & "
            cells = [cell.strip().removesuffix("\\\\").strip() for cell in line.split(separator)]
            if not line.strip() or line.startswith("\\end"):  # of a table
                kept = None
            if set(heads) & set(cells):
                kept = [place for place, cell in enumerate(cells) if cell not in heads]
            if kept is not None and len(cells) > 2 and max(kept) < len(cells):
                cells = [re.sub("-{2,}", "--", cells[place]) for place in kept]
            lines.append(cells)
        return json.dumps(lines)

    return strip


def without_numbers(text: str) -> str:
    """A page without numbers and images: these stand in files that are compared themselves."""
    return _NUMBER.sub("#", _IMAGE.sub("image", text))


_TRACKED = without_fields("sequences.*.seconds", "speed.frames_per_second", "seconds", "images_per_second")
_COSTS = without_fields(*(f"{at}networks.*.{name}" for at in ("", "gpu.") for name in ("milliseconds", "fps")))
_TIMED_COLUMNS = without_columns("milliseconds", "fps", "images_per_second", "speedup")
_TIMED_HEADS = without_cells("ms", "FPS", "Images/s", "Faster by")
DECLARED = tuple(
    Timed(re.compile(pattern), why, rest)
    for pattern, why, rest in (
        (r"results/.+/predictions/.+\.json", "seconds that the network took", _TRACKED),
        (r"results/.+/compute\.json", "measured time of one step of each network", _COSTS),
        (r"results/.+/tables/\w+\.csv", "columns of measured times", _TIMED_COLUMNS),
        (r"results/.+/tables/\w+\.(md|tex)", "columns of measured times", _TIMED_HEADS),
        (r"results/.+/figures/bubbles\.(svg|png)", "speed is an axis", None),
        (r"results/.+/claims\.(json|md)", "quotes speeds; verdicts without numbers are compared", without_numbers),
        (r"results/.+/report\.html", "quotes the tables and figures above", without_numbers),
    )
)


@dataclass(frozen=True)
class Compared:
    """What came of one file.

    Attributes:
        path: Of the file.
        kind: What it is.
        verdict: One of the five.
        why: The reason of a difference, if one is declared, else what differs.
    """

    path: str
    kind: str
    verdict: str
    why: str = ""


@dataclass
class Certificate:
    """What came of a comparison.

    Attributes:
        runs: What was told of each run, and what its manifest says of commit, environment, machine and folder.
        files: Every file of either run.
        jobs: Jobs of which command, parameters or source files differ, or that only one run has.
    """

    runs: list[dict[str, Any]]
    files: list[Compared]
    jobs: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether every difference is declared."""
        return not self.jobs and all(one.verdict in GOOD for one in self.files)

    def content(self) -> dict[str, Any]:
        """For `determinism.json`."""
        differing = [one for one in self.files if one.verdict != EQUAL]
        return {
            "holds": self.holds,
            "runs": self.runs,
            "counts": dict(sorted(Counter(one.verdict for one in self.files).items())),
            "jobs": self.jobs,
            "differences": [{"path": o.path, "kind": o.kind, "verdict": o.verdict, "why": o.why} for o in differing],
            "equal": sorted(one.path for one in self.files if one.verdict == EQUAL),
        }

    def page(self) -> str:
        """For `determinism.md`."""
        return "\n".join(_lines(self)) + "\n"


def compare(roots: tuple[Path, Path], manifests: tuple[Manifest, Manifest], notes: tuple[str, str]) -> Certificate:
    """Compares two finished runs of one profile.

    Hashes are those of the manifests; that the files are still these is `distillery audit verify`'s to say. Files that
    differ are read, so both projects must be there.

    Args:
        roots: Top folders.
        manifests: Of the runs.
        notes: What is to be said of each run: cores, threads.

    Raises:
        UserError: If the runs are not of one profile and target, or a file that differs was changed after its run.
    """
    first, second = manifests
    for key in ("profile", "target"):
        if first.content[key] != second.content[key]:
            said = f"{first.content[key]} and {second.content[key]}"
            raise UserError(
                f"are runs of {said}, which share nothing", place=key, remedy="compare two runs of one profile"
            )
    names = {path for one in manifests for path, entry in one.artefacts.items() if entry["kind"] != OPTIONAL}
    files = {path: _compared(path, roots, manifests) for path in sorted(names)}
    for path, one in files.items():
        if one.verdict == DRAWN:
            files[path] = _drawing(one, files, first)
    return Certificate(
        [_told(root, one, note) for root, one, note in zip(roots, manifests, notes, strict=True)],
        list(files.values()),
        list(_jobs(first, second)),
    )


def _compared(path: str, roots: tuple[Path, Path], manifests: tuple[Manifest, Manifest]) -> Compared:
    first, second = (one.artefacts.get(path) for one in manifests)
    if first is None or second is None:
        kind = (first or second or {})["kind"]
        return Compared(path, kind, ONE_SIDED, f"only in the {'second' if first is None else 'first'} run")
    kind = first["kind"]
    if first["sha256"] == second["sha256"]:
        return Compared(path, kind, EQUAL)
    timed = next((one for one in DECLARED if one.pattern.fullmatch(path)), None)
    if timed is None:
        return Compared(path, kind, DIFFERS, "no reason is declared")
    if timed.rest is None:
        return Compared(path, kind, DRAWN, timed.why)
    left, right = _read(roots[0] / path, first["sha256"]), _read(roots[1] / path, second["sha256"])
    try:
        same = timed.rest(left) == timed.rest(right)
    except (ValueError, RecursionError) as error:
        raise UserError("cannot be read as what it is", file=path, remedy="audit both runs first") from error
    why = timed.why if same else f"in more than is declared: {timed.why}"
    return Compared(path, kind, TIMES if same else DIFFERS, why)


def _read(file: Path, digest: str) -> str:
    if not file.is_file() or sha256_of_file(file) != digest:
        raise UserError("is not the file of the run any more", file=file, remedy="audit both runs first")
    return file.read_text(encoding="utf-8")


def _drawing(one: Compared, files: dict[str, Compared], manifest: Manifest) -> Compared:
    """A drawing may differ where all that its job read is equal, or equal but for times."""
    job = manifest.jobs[manifest.artefacts[one.path]["job"]]
    bad = [path for path in job["inputs"] if path in files and files[path].verdict not in GOOD]
    return Compared(one.path, one.kind, DIFFERS, f"was drawn from {bad[0]}, which differs") if bad else one


def _jobs(first: Manifest, second: Manifest) -> Iterator[str]:
    for name in sorted({*first.jobs, *second.jobs}):
        left, right = first.jobs.get(name), second.jobs.get(name)
        if left is None or right is None:
            yield f"{name}: only in the {'second' if left is None else 'first'} run"
        elif left.get("parameters") != right.get("parameters"):
            yield f"{name}: other parameters"
        elif left["code"] != right["code"]:
            changed = sorted(
                path for path in {*left["code"], *right["code"]} if left["code"].get(path) != right["code"].get(path)
            )
            yield f"{name}: other source, {changed[0]}"


def _told(root: Path, manifest: Manifest, note: str) -> dict[str, Any]:
    content = manifest.content
    return {
        "folder": str(root),
        "note": note,
        "commit": content["code"].get("commit"),
        "environment": content.get("environment"),
        "machine": content.get("machine"),
        "jobs": len(manifest.jobs),
    }


def _lines(certificate: Certificate) -> Iterator[str]:
    said = "Every difference is one of times." if certificate.holds else "There are differences that no time explains."
    yield from ("# Determinism certificate", "", said, "")
    for place, run in enumerate(certificate.runs, start=1):
        machine = run["machine"] or {}
        yield (
            f"{place}. {run['note'] or 'a run'}: commit {str(run['commit'])[:12]}, {machine.get('processor')}, "
            f"{machine.get('cores')} cores, {machine.get('system')}, {run['jobs']} jobs"
        )
    kinds = sorted({one.kind for one in certificate.files})
    verdicts = (EQUAL, TIMES, DRAWN, DIFFERS, ONE_SIDED)
    yield from ("", f"| kind | {' | '.join(verdicts)} |", f"|---|{'--:|' * len(verdicts)}")
    for kind in kinds:
        counts = Counter(one.verdict for one in certificate.files if one.kind == kind)
        yield f"| {kind} | {' | '.join(str(counts[verdict]) for verdict in verdicts)} |"
    for verdict in (DIFFERS, ONE_SIDED, DRAWN, TIMES):
        mine = [one for one in certificate.files if one.verdict == verdict]
        if mine:
            yield from ("", f"## {verdict.capitalize()}", "")
            by_reason: dict[str, list[str]] = {}
            for one in mine:
                by_reason.setdefault(one.why, []).append(one.path)
            for why, paths in by_reason.items():
                more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
                yield f"- {why}: {', '.join(f'`{path}`' for path in paths[:5])}{more}"
    if certificate.jobs:
        yield from ("", "## Jobs that were not the same", "", *(f"- {line}" for line in certificate.jobs))
