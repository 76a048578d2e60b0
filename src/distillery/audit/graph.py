"""Who made what of what: the way from a file to the cells that rest on it, and from a cell to all that it rests on."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from distillery.audit.manifest import Manifest

_MODEL = re.compile(
    r"(?:checkpoints/[^/]+/(?:tracking|person_search/(?P<trained_on>[^/]+))"
    r"|results/[^/]+/(?:metrics|predictions)/(?P<benchmark>[^/]+))"
    r"/(?P<model>[^/]+)/(?P<variant>[^/]+)/seed(?P<seed>\d+)"
)


class Model(NamedTuple):
    """What the path of a file says of it; what it does not say is None."""

    model: str
    variant: str
    seed: int
    benchmark: str | None = None
    trained_on: str | None = None


def model_of(path: str) -> Model | None:
    """Model, variant and seed that a checkpoint, prediction or metrics file belongs to."""
    found = _MODEL.match(path)
    if found is None:
        return None
    return Model(found["model"], found["variant"], int(found["seed"]), found["benchmark"], found["trained_on"])


class Graph:
    """The chain of a manifest.

    Args:
        manifest: The manifest.
        root: Top folder of the project, where the tables lie.
    """

    def __init__(self, manifest: Manifest, root: Path) -> None:
        self._manifest = manifest
        self._root = root

    @cached_property
    def _readers(self) -> dict[str, list[str]]:
        """Path -> names of the jobs that read it."""
        readers: dict[str, list[str]] = {}
        for name, job in self._manifest.jobs.items():
            for path in job["inputs"]:
                readers.setdefault(path, []).append(name)
        return readers

    def job_of(self, path: str) -> str | None:
        """Name of the job that made a file."""
        entry = self._manifest.artefacts.get(path)
        return entry.get("job") if entry else None

    def inputs_of(self, path: str) -> list[str]:
        """What the job that made a file read, source files aside."""
        job = self._manifest.jobs.get(self.job_of(path) or "")
        return sorted(job["inputs"]) if job else []

    def consumers(self, path: str) -> list[str]:
        """Files that were made of a file, at any distance, with itself."""
        entry = self._manifest.artefacts.get(path, {})
        return _closure([path, *filter(None, [entry.get("member_of")])], self._made_of)

    def ancestors(self, path: str) -> list[str]:
        """Files that a file was made of, at any distance, with itself."""
        return _closure([path], self.inputs_of)

    def cells_of(self, path: str) -> tuple[str, ...]:
        """Cells of tables and figures that rest on a file, as `table tracking: SiamFC teacher, otb100.auc`.

        A file of a model stands in that model's rows, and in those of the models that learned from it; rows and columns
        are looked up in the tables as they lie there. Where a table has no such row it is named whole.
        """
        reached = self.consumers(path)
        models = {model for model in map(model_of, reached) if model}
        cells = [cell for name in reached if _is_table(name) for cell in self._cells(name, models, whole=name == path)]
        figures = [f"figure {Path(name).stem}" for name in reached if "/figures/" in name and name.endswith(".svg")]
        return tuple(dict.fromkeys([*cells, *figures]))

    def _made_of(self, path: str) -> list[str]:
        return [output for name in self._readers.get(path, ()) for output in self._manifest.jobs[name]["outputs"]]

    def _cells(self, table: str, models: set[Model], *, whole: bool) -> list[str]:
        name = f"table {Path(table).stem}"
        rows = rows_of(self._root / table)
        if whole or not models or not rows:
            return [name]
        found = []
        for row in rows:
            hits = [model for model in models if _concerns(row, model)]
            if hits:
                columns = sorted({column for model in hits for column in columns_of(row, model)})
                found.append(", ".join([f"{name}: {label_of(row)}", *columns[:1]]))
        return found


def rows_of(table: Path) -> list[dict[str, str]]:
    """Rows of a table's CSV; none if it is gone or no table."""
    try:
        with table.open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))
    except (OSError, csv.Error, UnicodeDecodeError):
        return []


def label_of(row: dict[str, str]) -> str:
    """How a row is called, with the benchmark where it is one's."""
    label = row.get("label") or row.get("statement") or row.get("variant") or "row"
    return f"{label} on {row['benchmark']}" if row.get("benchmark") else label


def columns_of(row: dict[str, str], model: Model) -> Iterator[str]:
    """Columns of a row that hold a benchmark's values, where its columns are named `<benchmark>.<measure>`."""
    if model.benchmark:
        yield from (column for column in row if column.startswith(f"{model.benchmark}.") and column.count("_") == 0)


def _concerns(row: dict[str, str], model: Model) -> bool:
    if row.get("benchmark") and model.benchmark and row["benchmark"] != model.benchmark:
        return False
    if row.get("model") and row.get("variant"):
        return (row["model"], row["variant"]) == (model.model, model.variant)
    return f"{model.model}/{model.variant}" in (row.get("minuend"), row.get("subtrahend"))


def _is_table(path: str) -> bool:
    return "/tables/" in path and path.endswith(".csv")


def _closure(start: Iterable[str], step) -> list[str]:  # type: ignore[no-untyped-def]
    seen = dict.fromkeys(start)
    pending = list(seen)
    while pending:
        for following in step(pending.pop()):
            if following not in seen:
                seen[following] = None
                pending.append(following)
    return sorted(seen)
