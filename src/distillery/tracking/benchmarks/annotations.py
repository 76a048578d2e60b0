"""The annotation collections of other toolkits: one JSON file for a whole benchmark (pysot, DaSiamRPN).

`{"NAME": {"gt_rect": [[x, y, w, h], …], …}, …}`. From it a benchmark is scored without its folders.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from distillery.errors import UserError
from distillery.tracking.benchmarks.text_files import read_bytes
from distillery.tracking.boxes import FloatArray

_REMEDY = "restore the annotation file"
Annotations = dict[str, dict[str, Any]]


def find_annotations(root: Path, names: tuple[str, ...]) -> Path | None:
    """The first of the named files that lies in a folder."""
    return next((root / name for name in names if (root / name).is_file()), None)


def read_annotations(path: Path, key: Callable[[str], str] = str) -> Annotations:
    """Reads a collection.

    Args:
        path: The JSON file.
        key: Applied to the names ("human4_2" and "Human4-2" are one sequence).

    Returns:
        Sequences by name, each a dict.

    Raises:
        UserError: If the file is not such a collection.
    """
    data = read_bytes(path, _REMEDY)
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:  # Python refuses integers of thousands of digits, too
        place = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else None
        raise UserError("is not valid JSON", file=path, place=place, remedy=_REMEDY) from error
    if not isinstance(found, dict) or not found or not all(isinstance(value, dict) for value in found.values()):
        raise UserError("is not a collection of sequences by name", file=path, remedy=_REMEDY)
    keyed = {key(name): value for name, value in found.items()}
    if len(keyed) != len(found):
        raise UserError("holds two sequences of one name", file=path, remedy=_REMEDY)
    return keyed


def number_rows(entry: dict[str, Any], field: str, *, columns: tuple[int, ...], file: Path, name: str) -> FloatArray:
    """The numbers of a sequence's field: (N, one of `columns`) finite float64, N >= 1."""
    try:
        rows = np.array(entry.get(field), dtype=np.float64)
    except (TypeError, ValueError, OverflowError):  # ragged, or not numbers at all
        rows = np.zeros((0, 0))
    if rows.ndim != 2 or not len(rows) or rows.shape[1] not in columns or not np.isfinite(rows).all():
        wanted = " or ".join(map(str, columns))
        raise UserError(
            f"must hold rows of {wanted} finite numbers", file=file, place=f"{name}.{field}", remedy=_REMEDY
        )
    return rows


def flags(entry: dict[str, Any], field: str, frames: int, *, file: Path, name: str) -> FloatArray | None:
    """A sequence's 0 or 1 for each frame; None where the field is absent or empty (a difficulty nobody labelled)."""
    given = entry.get(field)
    if given is None or given == []:
        return None
    try:
        values = np.array(given, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        values = np.zeros(0)
    if values.shape != (frames,) or not np.isin(values, (0, 1)).all():
        raise UserError(f"must hold {frames} flags 0 or 1", file=file, place=f"{name}.{field}", remedy=_REMEDY)
    return values


def frame_size(entry: dict[str, Any]) -> tuple[int, int] | None:
    """A sequence's (width, height) in pixels, where the collection says so."""
    width, height = entry.get("width"), entry.get("height")
    if isinstance(width, int) and isinstance(height, int) and 0 < min(width, height) <= max(width, height) <= 10**5:
        return width, height
    return None
