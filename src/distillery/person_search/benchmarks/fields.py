"""The fields of annotation files: names, boxes, columns; each either as expected or refused in one sentence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distillery.errors import UserError
from distillery.person_search.benchmarks.matlab import MatStruct

REMEDY = "restore it from the dataset's original archive"
MAX_COORDINATE = 1 << 20
"""No image is that many pixels wide or high."""


def columns_of(value: Any, fields: tuple[str, ...], file: Path, place: str) -> dict[str, list[Any]]:
    """The columns of a struct array, or a `UserError` if it is none or lacks a field."""
    missing = [name for name in fields if not isinstance(value, MatStruct) or name not in value.fields]
    if missing:
        raise UserError(f"is not a struct with the field {missing[0]!r}", file=file, place=place, remedy=REMEDY)
    return {name: value.fields[name] for name in fields}


def single(value: Any, fields: tuple[str, ...], file: Path, place: str) -> dict[str, Any]:
    """The fields of a struct with one element; a cell around it is opened."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    columns = columns_of(value, fields, file, place)
    if value.length != 1:
        raise UserError(f"has {value.length} elements instead of one", file=file, place=place, remedy=REMEDY)
    return {name: column[0] for name, column in columns.items()}


def stored_boxes(value: Any, file: Path, place: str) -> list[Any]:
    """The stored boxes of an image: the first field of its struct, as every public loader reads it."""
    if isinstance(value, np.ndarray) and value.size == 0:
        return []
    if not isinstance(value, MatStruct) or not value.fields:
        raise UserError("has a field 'box' that is not a struct", file=file, place=place, remedy=REMEDY)
    return value.fields["idlocate"] if "idlocate" in value.fields else next(iter(value.fields.values()))


def image_name(value: Any, file: Path, place: str) -> str:
    """The name of an image file, without any folder."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str) or not value or value.startswith(".") or re.search(r"[/\\\0]", value):
        raise UserError("has no plain file name as image name", file=file, place=place, remedy=REMEDY)
    return value


def corner_box(value: Any, file: Path, place: str, *, empty_is_none: bool = False) -> NDArray[np.float32] | None:
    """x1, y1, x2, y2 of a stored box x, y, w, h; None for an empty one.

    A box without area is None as well if `empty_is_none`, else a fault.
    """
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf":
        raise UserError("has a box that is not made of numbers", file=file, place=place, remedy=REMEDY)
    if value.size == 0:
        return None
    if value.size != 4:
        raise UserError(f"has a box of {value.size} numbers instead of 4", file=file, place=place, remedy=REMEDY)
    if not np.all(np.abs(value.astype(np.float64)) < MAX_COORDINATE):
        raise UserError(f"has an impossible box {value.ravel().tolist()}", file=file, place=place, remedy=REMEDY)
    # MATLAB stores small boxes as uint8 or uint16, in which x + w would overflow.
    box = value.ravel().astype(np.int32)
    if box[2] <= 0 or box[3] <= 0:
        if empty_is_none:
            return None
        raise UserError(f"has a box without area {box.tolist()}", file=file, place=place, remedy=REMEDY)
    box[2:] += box[:2]
    return box.astype(np.float32)
