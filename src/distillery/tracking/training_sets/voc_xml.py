"""Annotations in PASCAL VOC's XML, as ImageNet VID and DET have them, read without trust.

expat is used directly: a document type, and with it every entity ("billion laughs", files of this machine), is refused
where it begins, in whatever encoding. `xml.etree` has no hook for that.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple
from xml.parsers import expat

from distillery.errors import UserError
from distillery.tracking.training_sets.base import FARTHEST, RESTORE

MAX_BYTES = 4_000_000
"""The largest official file has some 100 kB."""
_MAX_DEPTH = 8
_MAX_OBJECTS = 10_000


class Object(NamedTuple):
    """One `<object>` element."""

    box: tuple[float, float, float, float]
    """Left, top, width, height in 0-based pixels."""
    track: int
    """`trackid`; of a still picture the object's number in it."""
    occluded: bool
    """Whether something hides a part of it."""
    generated: bool
    """Whether the box was interpolated."""


class _FaultError(Exception):
    """What is wrong with a file."""


def read_objects(file: Path) -> list[Object]:
    """The objects of an annotation file.

    Corners are of the first and the last pixel that a box covers, counted from 0: the devkit's overlap takes
    xmax - xmin + 1 for the width (ILSVRC2015 devkit, `eval_vid_detection.m`). pysot leaves the 1 out.

    Raises:
        UserError: If the file is missing, too large, malformed, or brings a document type.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=file, remedy=RESTORE) from error
    if len(data) > MAX_BYTES:
        raise UserError(f"is larger than {MAX_BYTES // 10**6} MB", file=file, remedy=RESTORE)
    reader = _Reader()
    try:
        objects = reader.objects(data)
        return [_object(fields, number) for number, fields in enumerate(objects)]
    except _FaultError as error:
        raise UserError(str(error), file=file, place=f"line {reader.line}", remedy=RESTORE) from error
    except (expat.ExpatError, LookupError, ValueError) as error:  # also unknown encodings
        raise UserError(f"is not valid XML ({error})", file=file, remedy=RESTORE) from error


class _Reader:
    """Gathers the texts of the leaves of every `<object>`: {"bndbox/xmin": "12", …}."""

    def __init__(self) -> None:
        self._path: list[str] = []
        self._text: list[str] = []
        self._found: list[dict[str, str]] = []
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text.append
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.EntityDeclHandler = self._refuse

    @property
    def line(self) -> int:
        return int(self._parser.CurrentLineNumber)

    def objects(self, data: bytes) -> list[dict[str, str]]:
        self._parser.Parse(data, True)
        return self._found

    def _refuse(self, *_: object) -> None:
        raise _FaultError("has a document type or an entity, which no official annotation has")

    def _begin(self, tag: str, _attributes: dict[str, str]) -> None:
        self._path.append(tag)
        self._text.clear()
        if len(self._path) > _MAX_DEPTH:
            raise _FaultError("is nested deeper than an annotation is")
        if len(self._path) == 1 and tag != "annotation":
            raise _FaultError(f"begins with <{tag[:30]}>, not <annotation>")
        if self._path[1:] == ["object"]:
            self._found.append({})
            if len(self._found) > _MAX_OBJECTS:
                raise _FaultError(f"has more than {_MAX_OBJECTS} objects")

    def _end(self, _tag: str) -> None:
        if self._path[1:2] == ["object"] and len(self._path) > 2:
            self._found[-1]["/".join(self._path[2:])] = "".join(self._text).strip()
        self._text.clear()
        self._path.pop()


def _object(fields: dict[str, str], number: int) -> Object:
    left, top, right, bottom = (_number(fields, f"bndbox/{name}") for name in ("xmin", "ymin", "xmax", "ymax"))
    return Object(
        (left, top, right - left + 1, bottom - top + 1) if right > left and bottom > top else (left, top, 0.0, 0.0),
        int(_number(fields, "trackid")) if "trackid" in fields else number,
        fields.get("occluded", "0") not in ("0", ""),
        fields.get("generated", "0") not in ("0", ""),
    )


def _number(fields: dict[str, str], name: str) -> float:
    text = fields.get(name)
    if text is None:
        raise _FaultError(f"has an object without {name}")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= FARTHEST:  # also NaN
        raise _FaultError(f"has {name} {text[:30]!r}, which is no pixel")
    return value
