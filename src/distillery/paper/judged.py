"""What `claims.json` holds: every claim with its verdict and the numbers behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distillery.files import read_json
from distillery.paper.validation import Number, Record, validate


class Evidence(Record):
    """A published value or statement."""

    says: str
    """The words or the number."""
    mark: str
    """Evidence mark."""
    source: str
    """Where it stands."""


class Quantity(Record):
    """One tested number with its intervals; the better side is above 0, of a factor above 1."""

    what: str
    """The networks, in words."""
    plus: tuple[str, ...] = ()
    """Networks whose values were added, as `model/variant`."""
    minus: tuple[str, ...] = ()
    """Networks whose values were subtracted."""
    benchmark: str | None = None
    """Benchmark; None where it is of several, or of none."""
    measure: str | None = None
    """Measure; None where it is the first of each benchmark."""
    value: Number
    """The number, as a fraction."""
    low: Number
    """Lower end of the interval that decides."""
    high: Number
    """Upper end."""
    t: tuple[Number, Number] | None = None
    """Student's t interval over the seeds."""
    bootstrap: tuple[Number, Number] | None = None
    """Bootstrap interval over seeds and units."""
    widened: tuple[Number, Number] | None = None
    """The interval at the confidence that the number of comparisons asks for, which can refute the claim."""
    says: str
    """yes, direction, open or no."""
    seeds: int = 0
    """Number of seeds."""
    units: str = ""
    """What else was drawn: "30 sequences"."""
    trivial: str | None = None
    """What the best trivial method has to do with it, where a network does not clearly beat it."""
    published: Evidence | None = None
    """The published number."""
    files: tuple[str, ...] = ()
    """Files that it was computed from."""


class Judgement(Record):
    """A claim with its verdict."""

    id: str
    """Name."""
    paper: str
    """Which paper."""
    statement: str
    """The claim."""
    published: tuple[Evidence, ...]
    """What is published of it."""
    test: dict[str, Any] | None
    """How it was tested, as it was declared."""
    extent: str
    """What can be tested in the profile."""
    because: str
    """Why no more."""
    verdict: str
    """The verdict."""
    why: str
    """Why, in words with numbers."""
    command: str | None = None
    """What tests it, where another run does."""
    mean: Quantity | None = None
    """The mean over all quantities."""
    premise: Quantity | None = None
    """The difference without which the claim has no meaning."""
    cells: tuple[Quantity, ...] = ()
    """The quantities."""
    untested: tuple[str, ...] = ()
    """Parts of the claim that were not tested, and why."""
    files: tuple[str, ...] = ()
    """Files that the trivial methods stand in."""


class Document(Record):
    """claims.json."""

    format: int
    """1."""
    profile: str
    """Name of the profile."""
    target: str
    """Headline or ablations."""
    seeds: tuple[int, ...]
    """Seeds of the run."""
    scale: str
    """What the profile can test."""
    confidence: Number
    """Coverage of the intervals."""
    resamples: int
    """Resamples of the bootstrap."""
    rules: tuple[str, ...]
    """How verdicts are reached."""
    claims: tuple[Judgement, ...]
    """The claims, in the order in which they are printed."""


def read_claims(path: Path) -> Document:
    """Reads claims.json.

    Raises:
        UserError: If it is missing or malformed.
    """
    return validate(Document, read_json(path), path, "run `distillery claims` again")
