"""How a table is printed: one set of cells, from which Markdown, LaTeX and the report's HTML are made alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from distillery.paper.measures import MINUS, NONE, TIMES, Measure
from distillery.paper.published import MARKS

Row = dict[str, Any]

INTERVAL = "Mean ± half the 95 % interval over seeds (Student's t); one seed has no interval and is printed alone."
PUBLISHED = (
    "Published values were measured on the real benchmarks with full-size networks: beside results from embedded, "
    "synthetic worlds they may be compared in direction only, never in absolute value. Evidence: "
    + "; ".join(f"{mark}, {meaning}" for mark, meaning in MARKS.items())
    + "."
)


@dataclass(frozen=True)
class Column:
    """A printed column."""

    head: str
    align: Literal["l", "r"]
    cells: tuple[str, ...]
    group: str = ""
    """Head above the heads of neighbouring columns of the same group."""


@dataclass(frozen=True)
class Body:
    """A printed block of rows."""

    columns: tuple[Column, ...]
    heading: str = ""
    """Stands above the block where a table has several."""

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """Cells row by row."""
        return list(zip(*(column.cells for column in self.columns), strict=True))

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Head above the heads and the number of columns under it, from left to right; empty without any group."""
        found: list[tuple[str, int]] = []
        for column in self.columns:
            if found and found[-1][0] == column.group:
                found[-1] = (column.group, found[-1][1] + 1)
            else:
                found.append((column.group, 1))
        return found if any(group for group, _ in found) else []


@dataclass(frozen=True)
class Shown:
    """A printed table: plain Unicode, escaped only by the format that it is written in."""

    name: str
    title: str
    caption: str
    bodies: tuple[Body, ...]


def absent(value: Any) -> bool:
    """Whether a cell of a frame holds nothing."""
    return value is None or bool(pd.isna(value))


def interval(measure: Measure, row: Any, name: str, *, sign: bool = False) -> str:
    """ "0.633 ± 0.015" from the columns `name`, `name_low` and `name_high`; a dash where there is no value."""
    mean, low, high = (row.get(f"{name}{end}") for end in ("", "_low", "_high"))
    if absent(mean):
        return NONE
    text = measure.text(float(mean), sign=sign)
    return text if absent(low) else f"{text} ± {measure.text((float(high) - float(low)) / 2)}"


def column(
    frame: pd.DataFrame, head: str, cell: Callable[[Any], str], align: Literal["l", "r"] = "r", group: str = ""
) -> Column:
    """A column whose cells are computed row by row; `row` is a mapping of the frame's columns."""
    return Column(head, align, tuple(cell(row) for row in frame.to_dict("records")), group)


def text(frame: pd.DataFrame, head: str, name: str) -> Column:
    """A column of words."""
    return column(frame, head, lambda row: NONE if absent(row.get(name)) else str(row[name]), "l")


def whole(frame: pd.DataFrame, head: str, name: str) -> Column:
    """A column of whole numbers."""
    return column(frame, head, lambda row: NONE if absent(row.get(name)) else f"{int(row[name]):,}")


def number(frame: pd.DataFrame, head: str, name: str, decimals: int, divisor: float = 1.0) -> Column:
    """A column of numbers over `divisor`."""
    return column(
        frame, head, lambda row: NONE if absent(row.get(name)) else f"{float(row[name]) / divisor:,.{decimals}f}"
    )


def ratio(frame: pd.DataFrame, head: str, name: str) -> Column:
    """A column of factors."""
    return column(frame, head, lambda row: NONE if absent(row.get(name)) else f"{float(row[name]):.1f}{TIMES}")


def signed(value: float, decimals: int) -> str:
    """A number with its sign, a true minus if negative."""
    return f"{value:+.{decimals}f}".replace("-", MINUS)
