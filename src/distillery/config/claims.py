"""The claims of both papers and the rules that judge them, as `config/claims.yaml` declares them before any run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, model_validator

from distillery.config.base import Section, parse
from distillery.config.plain_yaml import load_yaml
from distillery.errors import UserError

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Arm = Annotated[str, Field(pattern=r"^[a-z0-9_]+/[A-Za-z0-9_-]+(/[a-z]+)?$")]
Mark = Literal["found", "measured", "inferred", "unverified"]
Extent = Literal["nothing", "direction", "everything"]
Paper = Literal["tracking", "person_search"]


class Rules(Section):
    """What all tests share."""

    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Coverage of every interval, two-sided: each side is a test at half of the rest."""
    resamples: Annotated[int, Field(ge=999)] = 9999
    """Resamples of the bootstrap."""
    seeds: Annotated[int, Field(ge=2)] = 2
    """Fewest seeds of which a difference is judged."""
    ceiling: Fraction = 0.9
    """Where every network of a difference is above this, the measure is saturated and decides nothing."""


class Scale(Section):
    """What can be tested of a claim in a profile at all."""

    tests: Extent
    """`nothing`; the `direction` alone, since the published size holds for other networks and data; or `everything`."""
    because: str
    """Why, in words."""


class Statement(Section):
    """What a paper, or its code's page, says."""

    says: str
    """The words or the numbers."""
    mark: Mark
    """Evidence: see `distillery.paper.published`."""
    source: str
    """Where it stands."""


class Contrast(Section):
    """A difference, the sum of some networks' values minus the sum of as many others', seed by seed."""

    plus: Annotated[tuple[Arm, ...], Field(min_length=1)]
    """`model/variant`, of person search also `method/size/teaching`; favourable to the claim."""
    minus: Annotated[tuple[Arm, ...], Field(min_length=1)]
    """What they are compared with. Of a ratio: networks of one architecture, each a measurement of its own."""
    provided: str | None = None
    """The claim without which this one says little: unless that is shown, this is at most shown in direction."""


class Gain(Section):
    """The claim is that the difference is above 0, or as large as a published one."""

    kind: Literal["gain"]
    """Paired difference."""
    reaches: Positive | None = None
    """Published difference, as a fraction."""
    tolerance: Fraction = 0.0
    """By how much the difference may stay below it."""


class Par(Section):
    """The claim is that the difference is nearly 0: two one-sided tests."""

    kind: Literal["par"]
    """Equivalence."""
    margin: Annotated[float, Field(gt=0, le=0.2)]
    """The whole interval must lie within plus and minus this, as a fraction."""
    better_counts: bool = False
    """Whether better is as good as equal ("similar or slightly better"): then only the lower side is tested."""


class Ratio(Section):
    """The claim is that something is so many times smaller or faster."""

    kind: Literal["ratio"]
    """Ratio of costs, of `plus` over `minus`."""
    of: Literal["bytes", "milliseconds"]
    """Size, or time of a step."""
    reaches: Positive
    """Published factor."""
    tolerance: Annotated[float, Field(ge=0)]
    """By how much the factor may stay below it: half a unit of its last published digit."""


class Untestable(Section):
    """The claim is about something that no run of this code can measure."""

    kind: Literal["none"]
    """No test."""


class Claim(Section):
    """One claim, and the test that decides it here."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    """Name."""
    paper: Paper
    """Which of the two papers."""
    statement: str
    """The claim in words that the test takes literally."""
    published: tuple[Statement, ...]
    """What is published of it; empty for a control of ours."""
    test: Annotated[Gain | Par | Ratio | Untestable, Field(discriminator="kind")]
    """How it is tested."""
    contrasts: tuple[Contrast, ...] = ()
    """The quantities; every one of them must hold, of a ratio one ("up to")."""
    benchmarks: tuple[str, ...] | None = None
    """Benchmarks, each a test of its own; absent is all of the paper's."""
    measure: str | None = None
    """Measure, on the benchmarks that are ranked by it or print it; absent is the first of each benchmark."""
    averaged: bool = False
    """Whether a contrast's test is the mean over the benchmarks."""
    premise: Contrast | None = None
    """A difference that must be above 0 for the claim to have a meaning."""
    at: dict[str, Scale] = Field(default_factory=dict)
    """Profile -> what it can test of this claim, where that is less than of others."""

    @model_validator(mode="after")
    def _complete(self) -> Claim:
        if (self.test.kind == "none") != (not self.contrasts):
            raise ValueError(f"claim {self.id!r} needs contrasts exactly if it has a test")
        for contrast in self.contrasts if self.test.kind in ("gain", "par") else ():
            if len(contrast.plus) != len(contrast.minus):
                raise ValueError(f"claim {self.id!r} subtracts another number of networks than it adds")
        return self


class Ledger(Section):
    """All claims with their rules."""

    rules: Rules
    """What all tests share."""
    scales: dict[str, Scale]
    """Profile -> what it can test of any claim."""
    claims: Annotated[tuple[Claim, ...], Field(min_length=1)]
    """The claims, in the order in which they are printed."""

    @model_validator(mode="after")
    def _names(self) -> Ledger:
        names = [claim.id for claim in self.claims]
        known: set[str] = set()
        for claim in self.claims:
            if names.count(claim.id) > 1:
                raise ValueError(f"two claims are called {claim.id!r}")
            for profile in claim.at:
                if profile not in self.scales:
                    raise ValueError(f"claim {claim.id!r} names the unknown profile {profile!r}")
            for contrast in claim.contrasts:
                # Conditions come first, so that no circle can arise.
                if contrast.provided is not None and contrast.provided not in known:
                    raise ValueError(f"claim {claim.id!r} is provided {contrast.provided!r}, no claim before it")
            known.add(claim.id)
        return self


def load(path: str | Path) -> Ledger:
    """Reads the file of claims.

    Raises:
        UserError: If it is missing, is no YAML, or holds an unknown key or a wrong type.
    """
    try:
        raw: Any = load_yaml(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError("does not exist", file=path, remedy="restore config/claims.yaml") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}" if mark else None
        raise UserError("is not valid YAML", file=path, place=place, remedy="correct the syntax") from error
    return parse(Ledger, raw, source=str(path))
