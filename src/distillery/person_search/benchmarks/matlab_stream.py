"""A large struct array of a MATLAB v5 file, element by element: TestG4000.mat unpacks to 2 GB, an element to 1 MB."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from distillery.person_search.benchmarks.matlab import (
    COMPRESSED,
    HEADER_BYTES,
    MATRIX,
    FaultError,
    Parser,
    byte_order,
    check_size,
    faults_of,
    no_variable,
)

_PIECE = 1 << 18
_HEAD_BYTES = 1 << 16
_STRUCT = 2
_MEMO_ENTRIES = 200_000


def iterate_struct(path: Path, variable: str, fields: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    """The elements of a struct array, each as the values of the named fields (types as of `matlab.read_mat`).

    Raises:
        UserError: as `matlab.read_mat` does; also when the variable is no struct array or lacks a field.
    """
    with faults_of(path), path.open("rb") as stream:
        yield from _elements(_variable(stream, path.stat().st_size, variable), variable, fields)


class _Content:
    """The bytes of one variable in order, unpacked as they are asked for."""

    def __init__(self, stream: BinaryIO, order: str, size: int, packed: bool) -> None:
        self.order = order
        self._stream = stream
        self._packed = size
        self._machine = zlib.decompressobj() if packed else None
        self._buffer = bytearray()
        self.left = size
        if packed:
            kind, self.left = struct.unpack(order + "II", self._exactly(8))
            if kind != MATRIX:
                raise FaultError(f"holds an element of type {kind} where a variable should be")
            check_size(self.left, size)

    def take(self, count: int) -> bytes:
        """The next bytes."""
        if count > self.left:
            raise FaultError("ends inside a value")
        self.left -= count
        return self._exactly(count)

    def head(self) -> bytes:
        """The first bytes, which stay to be taken."""
        count = min(_HEAD_BYTES, self.left)
        self._fill(count)
        return bytes(self._buffer[:count])

    def _exactly(self, count: int) -> bytes:
        self._fill(count)
        taken = bytes(self._buffer[:count])
        if len(taken) < count:
            raise FaultError("is truncated")
        del self._buffer[:count]
        return taken

    def _fill(self, count: int) -> None:
        while len(self._buffer) < count and self._packed:
            piece = self._stream.read(min(_PIECE, self._packed))
            if not piece:
                raise FaultError("is truncated")
            self._packed -= len(piece)
            try:
                # A piece unpacks to 250 MB at most (deflate packs 1030:1 at best), whatever the file claims.
                self._buffer += piece if self._machine is None else self._machine.decompress(piece)
            except zlib.error as error:
                raise FaultError("is damaged (its compressed data cannot be unpacked)") from error


def _variable(stream: BinaryIO, size: int, variable: str) -> _Content:
    """The content of the variable."""
    order = byte_order(stream.read(HEADER_BYTES))
    names: list[str] = []
    position = HEADER_BYTES
    while position < size:
        stream.seek(position)
        tag = stream.read(8)
        if len(tag) < 8:
            raise FaultError("is truncated")
        kind, length = struct.unpack(order + "II", tag)
        position += 8 + length
        if position > size:
            raise FaultError("is truncated")
        if kind not in (COMPRESSED, MATRIX):
            raise FaultError(f"holds an element of type {kind} where a variable should be")
        content = _Content(stream, order, length, kind == COMPRESSED)
        head = content.head()
        name = Parser(head, order).head(0, len(head))[2]
        if name == variable:
            return content
        names.append(name)
    raise no_variable((variable,), names)


def _elements(content: _Content, variable: str, fields: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    data = content.head()
    parser = Parser(data, content.order)
    flags, dimensions, _, position = parser.head(0, len(data))
    names: list[str] = []
    if flags & 0xFF == _STRUCT:
        names, position = parser.field_names(position, len(data))
    absent = [field for field in fields if field not in names]
    if absent:
        raise FaultError(f"has a variable {variable!r} that is not a struct with the field {absent[0]!r}")
    content.take(position)
    count = 1
    for side in dimensions:
        count *= side
    if count * len(names) * 8 > content.left:
        raise FaultError(f"claims {count * len(names)} cells in {content.left} bytes")
    memo: dict[bytes, Any] = {}
    places = [names.index(field) for field in fields]
    for _ in range(count):
        values = [_value(content, memo) for _ in names]
        yield tuple(values[place] for place in places)
        if len(memo) > _MEMO_ENTRIES:
            memo.clear()


def _value(content: _Content, memo: dict[bytes, Any]) -> Any:
    kind, size = struct.unpack(content.order + "II", content.take(8))
    if kind != MATRIX:
        raise FaultError("has a malformed cell")
    data = content.take(size)
    return Parser(data, content.order, memo).matrix(0, size, 1)
