"""MATLAB v5 files of annotations: structs, cells, strings and numbers, and nothing else.

`scipy.io.loadmat` reads the same files, but it makes one NumPy object per cell (several GB and minutes for the largest
CUHK-SYSU protocol) and it allocates whatever size a broken file claims. Here every size is checked against the bytes
that are there before anything is allocated, equal cells are one object, and nothing in the file can be executed.

Format: "MAT-File Format", The MathWorks, chapter 1 (Level 5 MAT-files).
"""

from __future__ import annotations

import math
import mmap
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distillery.errors import UserError

HEADER_BYTES = 128
MATRIX, COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR = 1, 2, 4
_NUMERIC_CLASSES = range(6, 16)  # double, single, int8 ... uint64
_COMPLEX_FLAG = 0x0800
_MAX_DEPTH = 16
_MAX_BYTES = 4 << 30
_MEMO_BYTES = 256
_PIECE = 1 << 16  # compressed bytes unpacked at a time
# Type of a data element -> NumPy type code, and -> text encoding where the element holds characters.
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_ENCODINGS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}


@dataclass(frozen=True)
class MatStruct:
    """A struct array, by columns: each field's values in column-major order of the array's elements."""

    fields: dict[str, list[Any]]
    length: int


class FaultError(Exception):
    """What is wrong inside the file; becomes a `UserError` that names it."""


def read_mat(path: Path, *variables: str) -> Any:
    """Reads one variable of a MATLAB v5 file: the first of those named that the file has.

    Returns:
        Struct array -> `MatStruct`; cell array -> list (column-major); string -> str (a list of rows if there are
        several); numbers -> array as stored (its shape kept; `idlocate` may well be uint8). Empty -> array of size 0.

    Raises:
        UserError: missing, not a MATLAB v5 file, truncated, without that variable, or with sizes that cannot be.
    """
    with faults_of(path):
        return _find(path.read_bytes(), variables)


@contextmanager
def faults_of(path: Path) -> Iterator[None]:
    """Turns what is wrong with a file while it is read into a sentence that names it."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise UserError("does not exist", file=path, remedy="check the dataset's root folder") from error
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=path, remedy="check its permissions") from error
    except FaultError as fault:
        raise UserError(str(fault), file=path, remedy="restore it from the dataset's original archive") from fault


def _find(raw: bytes, variables: tuple[str, ...]) -> Any:
    order = byte_order(raw[:HEADER_BYTES])
    position: int = HEADER_BYTES
    names: list[str] = []
    found: dict[str, tuple[Parser, int, int]] = {}
    while position < len(raw):
        if position + 8 > len(raw):
            raise FaultError("is truncated")
        kind, size = struct.unpack_from(order + "II", raw, position)
        start, position = position + 8, position + 8 + size
        if position > len(raw):
            raise FaultError("is truncated")
        data: bytes | mmap.mmap = raw
        end = position
        if kind == COMPRESSED:
            data, kind = _decompressed(raw[start:position], order)
            start, end = 0, len(data)
        if kind != MATRIX:
            raise FaultError(f"holds an element of type {kind} where a variable should be")
        parser = Parser(data, order)
        name = parser.head(start, end)[2]
        if name == variables[0]:
            return parser.matrix(start, end, 0)
        names.append(name)
        if name in variables:
            found[name] = parser, start, end
    for parser, start, end in (found[name] for name in variables if name in found):
        return parser.matrix(start, end, 0)
    raise no_variable(variables, names)


def no_variable(variables: tuple[str, ...], found: Iterable[str]) -> FaultError:
    """The fault of a file without the variable that is asked for."""
    asked, held = " or ".join(map(repr, variables)), ", ".join(map(repr, found)) or "nothing"
    return FaultError(f"has no variable {asked} (it holds {held})")


def byte_order(header: bytes) -> str:
    """Byte order of a file, as `struct` writes it, from its first 128 bytes."""
    mark = header[126:HEADER_BYTES]
    if len(header) < HEADER_BYTES or mark not in (b"IM", b"MI"):
        nature = "a MATLAB v7.3 (HDF5) file" if header.startswith(b"MATLAB 7.3") else "not a MATLAB v5 .mat file"
        raise FaultError(f"is {nature}")
    order = "<" if mark == b"IM" else ">"
    if struct.unpack_from(order + "H", header, 124)[0] >> 8 != 1:
        raise FaultError("is not a MATLAB v5 .mat file")
    return order


def _decompressed(packed: bytes, order: str) -> tuple[mmap.mmap, int]:
    """The content of the one matrix in a compressed element, and its type.

    The claimed size is bounded (`check_size`) and its pages are taken only as they are filled.
    """
    machine = zlib.decompressobj()
    try:
        first = machine.decompress(packed[:_PIECE])
        if len(first) < 8:
            raise FaultError("is truncated")
        kind, size = struct.unpack_from(order + "II", first)
        check_size(size, len(packed))
        data = mmap.mmap(-1, max(size, 1))
        data.write(first[8 : 8 + size])
        for place in range(_PIECE, len(packed), _PIECE):
            data.write(machine.decompress(packed[place : place + _PIECE])[: size - data.tell()])
    except zlib.error as error:
        raise FaultError("is damaged (its compressed data cannot be unpacked)") from error
    if size == 0 or data.tell() < size:
        raise FaultError("is truncated")
    return data, kind


def check_size(size: int, packed: int) -> None:
    """Refuses a claimed size that `packed` bytes cannot hold; annotations pack about 25:1."""
    if size > min(_MAX_BYTES, (64 << 20) + 200 * packed):
        raise FaultError("unpacks to an implausible size")


class Parser:
    """Reads matrices from bytes; every size is checked against the bytes of the element around it."""

    def __init__(self, data: bytes | mmap.mmap, order: str, memo: dict[bytes, Any] | None = None) -> None:
        self.data = data
        self.order = order
        self.tag = struct.Struct(order + "II").unpack_from
        self.memo: dict[bytes, Any] = {} if memo is None else memo

    def element(self, position: int, end: int) -> tuple[int, int, int, int]:
        """(type, first byte, byte after the last, position of the next element) of a data element."""
        if position + 8 > end:
            raise FaultError("ends inside a value")
        kind, size = self.tag(self.data, position)
        if kind >> 16:  # small format: the size in the upper half, up to four bytes of data in the tag itself
            kind, size, start, after = kind & 0xFFFF, kind >> 16, position + 4, position + 8
            if size > 4:
                raise FaultError("has a malformed value")
            return kind, start, start + size, after
        start, stop = position + 8, position + 8 + size
        if stop > end:
            raise FaultError("holds a value longer than the file")
        return kind, start, stop, stop + -size % 8

    def head(self, position: int, end: int) -> tuple[int, tuple[int, ...], str, int]:
        """(flags, dimensions, name, position of the content) of a matrix."""
        kind, start, stop, position = self.element(position, end)
        if kind != 6 or stop - start != 8:
            raise FaultError("has a malformed array header")
        flags = self.tag(self.data, start)[0]
        kind, start, stop, position = self.element(position, end)
        count = (stop - start) // 4
        if kind != 5 or not 2 <= count <= 32:
            raise FaultError("has a malformed array header")
        dimensions = struct.unpack_from(f"{self.order}{count}i", self.data, start)
        if min(dimensions) < 0:
            raise FaultError("has an array of negative size")
        _, start, stop, position = self.element(position, end)
        return flags, dimensions, self.data[start:stop].decode("latin-1"), position

    def matrix(self, position: int, end: int, depth: int) -> Any:
        """The value of the matrix whose content lies in [position, end)."""
        if position == end:  # MATLAB writes an unset field as a matrix without content
            return np.empty((1, 0))
        if depth > _MAX_DEPTH:
            raise FaultError("is nested too deeply")
        flags, dimensions, _, position = self.head(position, end)
        array_class, count = flags & 0xFF, math.prod(dimensions)
        if array_class == _CELL:
            return self.children(position, end, count, depth)
        if array_class == _STRUCT:
            names, position = self.field_names(position, end)
            values = self.children(position, end, count * len(names), depth)
            return MatStruct({name: values[i :: len(names)] for i, name in enumerate(names)}, count)
        if array_class == _CHAR:
            return self.text(position, end, dimensions)
        if array_class in _NUMERIC_CLASSES and not flags & _COMPLEX_FLAG:
            return self.numbers(position, end, dimensions)
        raise FaultError(f"holds an array of class {array_class}, which no annotation file has")

    def field_names(self, position: int, end: int) -> tuple[list[str], int]:
        """Names of a struct's fields, and the position after them."""
        _, start, stop, position = self.element(position, end)
        if stop - start != 4:
            raise FaultError("has a malformed struct")
        (width,) = struct.unpack_from(self.order + "i", self.data, start)
        _, start, stop, position = self.element(position, end)
        if width < 1 or (stop - start) % width:
            raise FaultError("has a malformed struct")
        fields = (self.data[i : i + width] for i in range(start, stop, width))
        return [field.split(b"\0")[0].decode("latin-1") for field in fields], position

    def children(self, position: int, end: int, count: int, depth: int) -> list[Any]:
        """`count` matrices one after another; equal short ones are parsed once and shared."""
        if count * 8 > end - position:
            raise FaultError(f"claims {count} cells in {end - position} bytes")
        data, tag, memo = self.data, self.tag, self.memo
        values = []
        for _ in range(count):
            if position + 8 > end:
                raise FaultError("ends inside a value")
            kind, size = tag(data, position)
            start = position + 8
            position = start + size
            if kind != MATRIX or position > end:
                raise FaultError("has a malformed cell")
            if size > _MEMO_BYTES:
                values.append(self.matrix(start, position, depth + 1))
                continue
            content = data[start:position]
            try:
                values.append(memo[content])
            except KeyError:
                value = memo[content] = self.matrix(start, position, depth + 1)
                values.append(value)
        return values

    def numbers(self, position: int, end: int, dimensions: tuple[int, ...]) -> np.ndarray[Any, np.dtype[Any]]:
        """A numeric array in its stored type."""
        kind, start, stop, _ = self.element(position, end)
        if kind not in _NUMBERS:
            raise FaultError("has numbers of an unknown type")
        dtype = np.dtype(self.order + _NUMBERS[kind])
        if stop - start != math.prod(dimensions) * dtype.itemsize:
            raise FaultError(f"has {stop - start} bytes of numbers for an array of shape {dimensions}")
        return (
            np.frombuffer(self.data[start:stop], dtype).astype(dtype.newbyteorder("=")).reshape(dimensions, order="F")
        )

    def text(self, position: int, end: int, dimensions: tuple[int, ...]) -> str | list[str]:
        """A string, or the rows of a character matrix."""
        kind, start, stop, _ = self.element(position, end)
        encoding = _ENCODINGS.get(kind, "")
        if encoding in ("utf-16", "utf-32"):
            encoding += "-le" if self.order == "<" else "-be"
        try:
            characters = self.data[start:stop].decode(encoding)
        except (LookupError, UnicodeDecodeError) as error:
            raise FaultError("has text that cannot be decoded") from error
        if dimensions[0] <= 1:
            return characters
        if len(characters) != math.prod(dimensions):
            raise FaultError(f"has {len(characters)} characters for text of shape {dimensions}")
        return [characters[row :: dimensions[0]] for row in range(dimensions[0])]
