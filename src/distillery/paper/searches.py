"""Reads what the searches for students found."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from distillery.errors import UserError
from distillery.files import read_json
from distillery.paper.validation import Number, Record, validate

Size = Annotated[float, Field(gt=0)]


class Visited(Record):
    """One architecture that a search proposed."""

    update: Annotated[int, Field(ge=0)]
    """Policy update, 0-based."""
    ratios: list[Number] = Field(default_factory=list)
    """Shrinkage of each layer."""
    parameters: Annotated[int, Field(ge=0)] | None = None
    """Number of its parameters; None for one that cannot be built."""
    accuracy: Number | None = None
    """Its accuracy on the proxy task; None for one that was not trained, being over the budget or impossible to build,
    and for one whose training failed."""
    reward: Number
    """Its reward."""


class Search(Record):
    """One search: what it found, and everything that it tried."""

    kind: str
    """Family of trackers."""
    strategy: Literal["policy", "random", "uniform"]
    """How architectures were proposed."""
    channels: list[int]
    """Channels of the architecture that was found, by layer."""
    parameters: Annotated[int, Field(gt=0)]
    """Its number of parameters."""
    size_ratio: Size
    """Parameters of the teacher over its own."""
    reward: Number
    """Its reward."""
    accuracy: Number
    """Its accuracy on the proxy task."""
    teacher_accuracy: Number
    """The teacher's on the same pairs."""
    budget: Size
    """The size ratio that was asked for."""
    visited: list[Visited]
    """Everything that was tried, in order."""

    @property
    def teacher_parameters(self) -> float:
        """Number of the teacher's parameters."""
        return self.size_ratio * self.parameters


def read_searches(paths: Iterable[Path]) -> list[Search]:
    """Reads results of `distillery select-students`, by family and then policy, random, uniform.

    Raises:
        UserError: If one is missing or malformed, or two are of one family and strategy.
    """
    found: dict[tuple[str, str], Search] = {}
    for path in paths:
        search = validate(Search, read_json(path), path, "search again")
        if (search.kind, search.strategy) in found:
            raise UserError(
                f"is a second search for {search.kind} students with the {search.strategy} strategy",
                file=path,
                remedy="pass each search once",
            )
        found[search.kind, search.strategy] = search
    return [found[name] for name in sorted(found)]
