"""Reads what the look-up tables of ID features say of themselves."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import Field

from distillery.files import read_json
from distillery.paper.origin import Origin, origin_of
from distillery.paper.validation import Number, Record, validate

KIND = "lookup"
"""Kind of such a sidecar, and the folder of the tables."""


class Lookup(Record):
    """The sidecar of one look-up table."""

    identities: Annotated[int, Field(ge=1)]
    """Number of its rows."""
    dimension: Annotated[int, Field(ge=1)]
    """Length of a row."""
    construction: str
    """How a row was made."""
    quality: dict[str, Number | None] = Field(default_factory=dict)
    """How well its rows tell identities apart, by measure."""


def read_lookups(paths: Iterable[Path]) -> dict[Origin, Lookup]:
    """Reads those of the sidecars that describe a look-up table, by what their paths say.

    Raises:
        UserError: If one is missing or malformed.
    """
    found = {}
    for path in paths:
        value = read_json(path)
        if isinstance(value, dict) and value.get("kind") == KIND:
            found[origin_of(path)] = validate(Lookup, value, path, "build the table again with `distillery lookup`")
    return found
