"""Finding a cell by what a reader would call it: `Table 2, DSTfc dim, OTB-100 AUC`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from distillery.audit.graph import model_of, rows_of
from distillery.audit.manifest import Manifest
from distillery.errors import UserError
from distillery.paper.measures import MEASURES, benchmark_label
from distillery.paper.published import PUBLISHED

_ASIDE = ("_low", "_high", "_seeds", "_published", "_name", "_mark", "_source")
"""Ends of columns that stand beside a value."""
MANY = 8
"""Cells that a question too wide names."""


@dataclass(frozen=True)
class Cell:
    """One number of a table.

    Attributes:
        table: Path of its CSV.
        number: Place of the table among all of its target, from 1, in the order of the report.
        row: The whole row.
        column: Name of its column.
    """

    table: str
    number: int
    row: tuple[tuple[str, str], ...]
    column: str

    def __getitem__(self, column: str) -> str:
        return dict(self.row).get(column) or ""

    @property
    def value(self) -> str:
        """The number with full precision."""
        return self[self.column]

    @property
    def benchmark(self) -> str:
        """The benchmark of the row, or of the column where rows stand for all."""
        return self["benchmark"] or (self.column.split(".")[0] if "." in self.column else "")

    @property
    def models(self) -> set[str]:
        """`model/variant` of the networks that the row is about."""
        return {f"{self['model']}/{self['variant']}", self["minuend"], self["subtrahend"]} - {"", "/"}

    def rests_on(self, source: str) -> bool:
        """Whether an input of the table's job is one of this cell's: metrics for measures, else the other files."""
        read, measured = model_of(source), self.benchmark != ""
        if read is None:
            return not measured
        return (
            f"{read.model}/{read.variant}" in self.models
            and measured == ("/metrics/" in source)
            and read.benchmark in (None, self.benchmark)
        )

    def __str__(self) -> str:
        where = f" on {benchmark_label(self['benchmark'])}" if self["benchmark"] else ""
        return (
            f"table {self.number} ({Path(self.table).stem}), {self['label'] or self['statement']}{where}, {self.column}"
        )

    def words(self) -> frozenset[str]:
        """All that a reader may call it."""
        measure = MEASURES.get(self.column.split(".")[-1])
        texts = [f"table {self.number}", Path(self.table).stem, self.column, measure.label if measure else ""]
        texts += [self[name] for name in ("label", "model", "variant", "statement", "trained_on", "table", "attribute")]
        if self.benchmark:
            texts += [self.benchmark, benchmark_label(self.benchmark)]
        key = f"{self['model']}/{self['variant']}"
        texts += [entry.name for entry in PUBLISHED if entry.variant == key]
        return frozenset(word for text in texts for word in _words(text))


def cells(root: Path, manifest: Manifest) -> Iterator[Cell]:
    """Every number of every table of a manifest."""
    for number, table in enumerate(_tables(manifest), start=1):
        for row in rows_of(root / table):
            for column, value in row.items():
                if _number(value) and not column.endswith(_ASIDE):
                    yield Cell(table, number, tuple(row.items()), column)


def find(root: Path, manifest: Manifest, text: str) -> Cell:
    """The cell that a text means.

    Args:
        root: Top folder of the project.
        manifest: Of the run.
        text: Words that name table, row and column, in any order: the table's name or number, the label of the row or
            what a paper calls it, benchmark and measure.

    Raises:
        UserError: If no cell has all the words, or several are meant equally.
    """
    wanted = _words(text)
    known = [(cell, cell.words()) for cell in cells(root, manifest)]
    hits = [(len(words), cell) for cell, words in known if wanted <= words]
    if not hits:
        missing = sorted(word for word in wanted if not any(word in words for _, words in known))
        why = f"no cell knows the word {missing[0]!r}" if missing else "no cell has all of these words"
        raise UserError(why, place=repr(text), remedy=f"name table, row and column as in {_example(known)!r}")
    # The cell that has least beside what was asked for; `dim, TSKD` is meant before `dim, TSKD, three students`.
    least = min(size for size, _ in hits)
    best = [cell for size, cell in hits if size == least]
    if len(best) > 1:
        named = "; ".join(str(cell) for cell in best[:MANY])
        raise UserError(f"means {len(best)} cells: {named}", place=repr(text), remedy="add words of the one you mean")
    return best[0]


def _tables(manifest: Manifest) -> list[str]:
    """CSV files of the tables, in the order in which their job was asked for them."""
    paths = [path for path, entry in manifest.artefacts.items() if entry["kind"] == "table" and path.endswith(".csv")]
    params = [job["params"] for job in manifest.jobs.values() if job["rule"].startswith("tables_")]
    named = [one.get("tables") for one in params if isinstance(one, dict)]
    order: dict[str, int] = {}
    if named and isinstance(named[0], list):
        order = {str(name): place for place, name in enumerate(named[0])}
    return sorted(paths, key=lambda path: (order.get(Path(path).stem, len(order)), path))


def _words(text: str) -> frozenset[str]:
    """Lower-case words; `OTB-100` and `otb100`, `P (20 px)` and `p 20 px` are equal."""
    joined = re.sub(r"(?<=[A-Za-z])-(?=\d)", "", text.lower())
    return frozenset(re.findall(r"[a-z0-9+]+", joined.replace("_", " ").replace(".", " ")))


def _number(value: str | None) -> bool:
    try:
        float(value or "")
    except ValueError:
        return False
    return True


def _example(known: list[tuple[Cell, frozenset[str]]]) -> str:
    return str(known[0][0]) if known else "table 1, SiamFC teacher, OTB-100 AUC"
