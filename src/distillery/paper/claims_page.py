"""How claims are printed: one table a paper for the README and the report's first page, and every number behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from distillery.config.paper_job import MODEL_LABELS
from distillery.paper.judged import Document, Judgement, Quantity
from distillery.paper.measures import MEASURES, NONE, TIMES, Measure, benchmark_label, measure_of
from distillery.paper.published import MARKS
from distillery.paper.verdicts import Verdict

PAPERS = {"tracking": "Siamese trackers", "person_search": "Person search"}
"""Paper -> heading."""
_ANY = {"tracking": Measure("", ""), "person_search": MEASURES["map"]}
"""Paper -> how numbers of several measures are printed."""


class Line(NamedTuple):
    """A claim as a row of the first page."""

    id: str
    statement: str
    published: str
    here: str
    why: str
    command: str
    """What tests it, where another run does."""
    verdict: str
    """As readers see it."""
    css: str
    """The verdict as a class name."""
    cells: tuple[tuple[str, ...], ...]
    """The numbers behind it: what, where, published, here, what was drawn, what it says."""
    untested: tuple[str, ...]
    """Parts of it that were not tested, and why."""


COLUMNS = ("Claim", "Published", "Here", "Verdict", "Because")
"""Heads of the first page."""
HEADS = ("Difference or factor", "On", "Published", "Here", "Drawn from", "Says")
"""Heads of `Line.cells`."""


def lines(document: Document) -> dict[str, list[Line]]:
    """Rows by the paper's heading; papers without a claim are left out."""
    found: dict[str, list[Line]] = {}
    for claim in document.claims:
        found.setdefault(PAPERS[claim.paper], []).append(_line(claim))
    return found


def counts(document: Document) -> list[tuple[str, int]]:
    """Verdict and number of claims, from shown to not tested."""
    found = Counter(claim.verdict for claim in document.claims)
    return [(verdict.value, found[verdict.value]) for verdict in Verdict]


def remarks(document: Document) -> list[str]:
    """What a reader of the verdicts must know."""
    tested = sum(claim.verdict != Verdict.NOT_TESTED.value for claim in document.claims)
    side = (1 - document.confidence) / 2
    seeds = len(document.seeds)
    return [
        f"Verdicts are about this run: profile {document.profile}, {document.scale}.",
        f"An interval is a {100 * document.confidence:g} % one of paired differences: from the lower of two low ends "
        f"to the higher of two high ends, of Student's t over {seeds} seed{'s' * (seeds != 1)}, and of a bootstrap "
        "that draws seeds and sequences or queries with replacement, independently "
        f"({document.resamples:,} times). VOT's expected overlap and detection AP are no means over sequences or "
        "queries, so theirs hold seeds alone.",
        f"{tested} claims were tested. Intervals are corrected for the number of comparisons within a claim, not over "
        f"all claims: of claims with nothing to them, each would come out as shown by chance with a probability of "
        f"{100 * side:.3g} % at most.",
        f"Evidence of published values: {'; '.join(f'{mark}, {meaning}' for mark, meaning in MARKS.items())}.",
    ]


def markdown(document: Document) -> str:
    """The page: a table a paper, the rules, and the numbers."""
    target = "" if document.target == "headline" else ", ablations"
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts(document))
    parts = [f"# Claims and verdicts, profile {document.profile}{target}", f"{told}."]
    grouped = lines(document)
    for heading, rows in grouped.items():
        parts += [f"## {heading}", _table(COLUMNS, [_printed(row) for row in rows])]
    parts += ["\n".join(f"- {remark}" for remark in remarks(document)), "## How a verdict is reached"]
    parts += ["\n".join(f"- {rule}" for rule in document.rules), "## The numbers"]
    parts.append("The files that each was computed from stand in `claims.json`.")
    for row in (row for rows in grouped.values() for row in rows):
        if row.cells or row.untested:
            parts.append(f"### {row.id}: {_escaped(row.statement)}")
        if row.cells:
            parts.append(_table(HEADS, row.cells))
        if row.untested:
            parts.append("\n".join(f"- Not tested: {_escaped(part)}" for part in row.untested))
    return "\n\n".join(parts) + "\n"


def _printed(row: Line) -> tuple[str, ...]:
    why = f"{row.why}: `{row.command}`" if row.command else row.why
    return (f"{row.statement} (`{row.id}`)", row.published, row.here, f"**{row.verdict}**", why)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table without padding, which would make cells of sentences unreadable."""
    ruled = [heads, ["---"] * len(heads), *([_escaped(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in ruled)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _line(claim: Judgement) -> Line:
    published = "; ".join(f"{one.says} ({one.mark})" for one in claim.published)
    behind = [*claim.cells, *filter(None, [claim.mean, claim.premise])]
    return Line(
        claim.id,
        claim.statement,
        published or NONE,
        _here(claim),
        claim.why,
        claim.command or "",
        claim.verdict,
        claim.verdict.replace(" ", "-"),
        tuple(_cell(claim, quantity) for quantity in behind),
        claim.untested,
    )


def _here(claim: Judgement) -> str:
    """The number that speaks for a claim."""
    if claim.mean is not None:
        return f"mean {_number(claim, claim.mean)}"
    if _is_factor(claim):
        return "; ".join(f"{_model(cell)} {_number(claim, cell)}" for cell in claim.cells) or NONE
    return NONE if not claim.cells else _number(claim, claim.cells[0])


def _model(quantity: Quantity) -> str:
    model = quantity.plus[0].partition("/")[0]
    return MODEL_LABELS.get(model, model)


def _is_factor(claim: Judgement) -> bool:
    return claim.test is not None and claim.test.get("kind") == "ratio"


def _number(claim: Judgement, quantity: Quantity) -> str:
    """ "+1.6 [−4.1, +7.3] mAP"."""
    if _is_factor(claim):
        ends = [f"{end:.1f}{TIMES}" for end in (quantity.low, quantity.high)]
        return ends[0] if ends[0] == ends[1] else f"{quantity.value:.1f}{TIMES} [{', '.join(ends)}]"
    measure = _measure(claim, quantity)
    low, high = (measure.text(end, sign=True) for end in (quantity.low, quantity.high))
    return f"{measure.text(quantity.value, sign=True)} [{low}, {high}] {measure.label}".rstrip()


def _measure(claim: Judgement, quantity: Quantity) -> Measure:
    if quantity.measure is None:
        return _ANY[claim.paper]
    return measure_of(quantity.benchmark or "", quantity.measure)


def _cell(claim: Judgement, quantity: Quantity) -> tuple[str, ...]:
    published = f"{quantity.published.says} ({quantity.published.mark})" if quantity.published else NONE
    seeds = f"{quantity.seeds} seeds" if quantity.seeds else ""
    drawn = ", ".join(filter(None, [seeds, quantity.units])) or NONE
    says = f"{quantity.says}; {quantity.trivial}" if quantity.trivial else quantity.says
    where = benchmark_label(quantity.benchmark) if quantity.benchmark else NONE
    if quantity is claim.mean:
        what = f"mean of the {len(claim.cells)}"
    else:
        what = f"presupposed: {quantity.what}" if quantity is claim.premise else quantity.what
    return (what, where, published, _number(claim, quantity), drawn, says)
