"""What all tracking benchmarks share: the `Sequence`, and the reader of box text files."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distillery.errors import UserError
from distillery.tracking.boxes import FIRST_PIXEL, FloatArray

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
MAX_TEXT_BYTES = 64 * 2**20
_SEPARATORS = bytes.maketrans(b",;\t", b"   ")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, eq=False)
class Sequence:
    """One video with one target."""

    name: str
    """The benchmark's name of the sequence ("Jogging-1")."""
    frames: tuple[Path, ...]
    """Image files in order; empty when the sequence was loaded for scoring only."""
    truth: FloatArray
    """(N, 4) left, top, width, height in pixels, numbered as in the benchmark's file."""
    truth_file: Path
    """Where `truth` was read."""
    attributes: frozenset[str] = frozenset()
    """Short names of the sequence's difficulties ("OCC"); empty when they are not known."""
    aliases: tuple[str, ...] = ()
    """Other names under which result files of this sequence are found."""
    omitted: int = 0
    """Rows before the first scored frame that some toolkits' files hold too (5 for OTB-100's Tiger1)."""
    first_pixel: int = FIRST_PIXEL
    """Number of the image's first column and row in `truth`."""

    def __len__(self) -> int:
        return len(self.truth)


def read_boxes(
    path: Path, *, columns: int = 4, allow_nan: bool = False, remedy: str = "correct the file"
) -> FloatArray:
    """Reads a text file of numbers, one row a frame.

    Comma, semicolon, tab and space separate, also mixed (OTB-100's BlurCar1 mixes them within one file); a
    byte-order mark, any line ends and a missing final newline are accepted.

    Args:
        path: The file.
        columns: Numbers that every row must have.
        allow_nan: Whether NaN is a value (a tracker's "no answer") rather than a fault. Infinity always is one.
        remedy: What to do about a fault, for the error.

    Returns:
        (N, columns) float64 with N >= 1.

    Raises:
        UserError: If the file is absent, unreadable, empty or has a faulty row, which is named.
    """
    lines = _lines(path, remedy)
    rows = [line.split() for line in lines]
    if not all(len(row) == columns for row in rows):
        number = next(n for n, row in enumerate(rows, 1) if len(row) != columns)
        found = len(rows[number - 1])
        problem = f"has {found} values, {columns} are expected" if found else "is empty"
        raise UserError(problem, file=path, place=f"line {number}", remedy=remedy)
    try:
        values = np.array([float(token) for row in rows for token in row], dtype=np.float64)
    except ValueError:
        raise _not_a_number(path, rows, remedy) from None
    if any(b"_" in line for line in lines):  # Python alone reads 1_0 as ten
        raise _not_a_number(path, rows, remedy)
    boxes = values.reshape(-1, columns)
    faulty = np.isinf(boxes) if allow_nan else ~np.isfinite(boxes)
    if faulty.any():
        number = int(np.flatnonzero(faulty.any(axis=1))[0]) + 1
        token = rows[number - 1][int(np.flatnonzero(faulty[number - 1])[0])].decode(errors="replace")
        raise UserError(
            f"holds {token!r} where a finite number must stand", file=path, place=f"line {number}", remedy=remedy
        )
    return boxes


def _lines(path: Path, remedy: str) -> list[bytes]:
    try:
        if path.stat().st_size > MAX_TEXT_BYTES:
            raise UserError("is larger than 64 MB, which no file of boxes is", file=path, remedy=remedy)
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError("does not exist", file=path, remedy=remedy) from None
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=path, remedy=remedy) from None
    if b"\0" in data:
        raise UserError("is not a plain text file", file=path, remedy=remedy)
    lines = data.removeprefix(_BOM).translate(_SEPARATORS).rstrip().splitlines()
    if not lines:
        raise UserError("is empty", file=path, remedy=remedy)
    return lines


def _not_a_number(path: Path, rows: list[list[bytes]], remedy: str) -> UserError:
    for number, row in enumerate(rows, 1):
        for token in row:
            if b"_" in token or (math.isnan(_float_or_nan(token)) and token.strip(b"+-").lower() != b"nan"):
                shown = token[:20].decode(errors="replace")
                return UserError(f"holds {shown!r}, not a number", file=path, place=f"line {number}", remedy=remedy)
    raise AssertionError("called without a faulty token")


def _float_or_nan(token: bytes) -> float:
    try:
        return float(token)
    except ValueError:
        return math.nan


def read_names(path: Path, *, remedy: str) -> list[str]:
    """Reads a list of sequence names, one a line; a name that is repeated or leaves the folder is an error."""
    try:
        lines = _lines(path, remedy)
        names = [line.decode("utf-8").strip() for line in lines if line.strip()]
    except UnicodeDecodeError:
        raise UserError("is not a text file", file=path, remedy=remedy) from None
    seen: set[str] = set()
    for name in names:
        if name in seen or name in {".", ".."} or "/" in name or "\\" in name or "\0" in name:
            why = "twice" if name in seen else "which cannot be a folder's name"
            raise UserError(f"lists {name!r} {why}", file=path, remedy=remedy)
        seen.add(name)
    return names


def image_files(folder: Path) -> list[Path]:
    """The images of a folder in the order of their numbers; hidden and other files are left out."""
    try:
        files = [item for item in folder.iterdir() if item.suffix.lower() in IMAGE_SUFFIXES and item.name[0] != "."]
    except OSError:
        return []
    return sorted(files, key=lambda file: (_number(file.stem), file.name))


def _number(stem: str) -> int:
    digits = re.findall(r"\d+", stem)
    return int(digits[-1]) if digits else -1


def require_folder(root: Path, benchmark: str) -> None:
    """Raises `UserError` unless `root` is a folder."""
    if not root.is_dir():
        problem = "is not a folder" if root.exists() else "does not exist"
        raise UserError(problem, file=root, remedy=f"pass the folder that holds {benchmark} in its official layout")


def collect(
    names: Iterable[str],
    load_one: Callable[[str], Sequence | None],
    *,
    root: Path,
    benchmark: str,
    allow_partial: bool,
) -> list[Sequence]:
    """Loads every named sequence that is there; the others are an error unless `allow_partial`.

    Args:
        names: The benchmark's expected sequences.
        load_one: Loads one, or returns None when it is not on the disk.
        root: The benchmark's folder, for errors.
        benchmark: The benchmark's name, for errors.
        allow_partial: Whether absent sequences are left out; none at all is an error in any case.
    """
    expected = list(names)
    loaded = {name: sequence for name in expected if (sequence := load_one(name)) is not None}
    missing = [name for name in expected if name not in loaded]
    if missing and (not allow_partial or not loaded):
        raise UserError(
            f"{listing(missing)} of {benchmark}'s {len(expected)} sequences are not there",
            file=root,
            remedy="complete the folder" + (", or pass --allow-partial for what is there" if loaded else ""),
        )
    return list(loaded.values())


def listing(names: list[str], shown: int = 3) -> str:
    """The first few names and how many there are: "A, B, C and 4 more (7)"."""
    head = ", ".join(names[:shown])
    return head if len(names) <= shown else f"{head} and {len(names) - shown} more ({len(names)})"
