"""A broken link of the chain, in one line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What does not hold.

    Attributes:
        file: The file or record that is not as it should be.
        problem: What is wrong with it, a clause without full stop.
        expected: What was recorded, if something was.
        found: What is there.
        cells: Cells of tables and figures that rest on the file.
    """

    file: str
    problem: str
    expected: str | None = None
    found: str | None = None
    cells: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"{self.file}: {self.problem}"
        if self.expected is not None or self.found is not None:
            text += f" (expected {_short(self.expected)}, found {_short(self.found)})"
        return f"{text}; affects {_listed(self.cells)}"


SHOWN = 6
"""Affected cells that a line names; the others are counted."""


def _short(value: str | None) -> str:
    """A hash by its first twelve digits, all else whole."""
    if value is None:
        return "nothing"
    return value[:12] if len(value) == 64 and set(value) <= set("0123456789abcdef") else value


def _listed(cells: tuple[str, ...]) -> str:
    if not cells:
        return "no cell of a table or figure"
    more = f" and {len(cells) - SHOWN} more" if len(cells) > SHOWN else ""
    return ", ".join(cells[:SHOWN]) + more
