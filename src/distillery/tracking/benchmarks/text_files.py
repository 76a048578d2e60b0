"""Text files of benchmarks and trackers: rows of numbers, flags a frame, attribute flags, lists of names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from distillery.errors import UserError
from distillery.tracking.boxes import BoolArray, FloatArray

MAX_TEXT_BYTES = 64 * 2**20
_SEPARATORS = bytes.maketrans(b",;\t", b"   ")
_BOM = b"\xef\xbb\xbf"
_IntArray = npt.NDArray[np.int64]


def read_boxes(
    path: Path, *, columns: int | tuple[int, ...] = 4, allow_nan: bool = False, remedy: str = "correct the file"
) -> FloatArray:
    """Reads a text file of numbers, one row a frame.

    Comma, semicolon, tab and space separate, also mixed (OTB-100's BlurCar1 mixes them within one file); a
    byte-order mark, any line ends and a missing final newline are accepted.

    Args:
        path: The file.
        columns: Numbers that every row must have; of several choices the first row decides.
        allow_nan: Whether NaN is a value (a tracker's "no answer") rather than a fault. Infinity always is one.
        remedy: What to do about a fault, for the error.

    Returns:
        (N, columns) float64 with N >= 1.

    Raises:
        UserError: If the file is absent, unreadable, empty or has a faulty row, which is named.
    """
    return parse_boxes(read_bytes(path, remedy), path, columns=columns, allow_nan=allow_nan, remedy=remedy)


def parse_boxes(
    data: bytes,
    file: Path,
    *,
    columns: int | tuple[int, ...] = 4,
    allow_nan: bool = False,
    remedy: str = "correct the file",
) -> FloatArray:
    """`read_boxes` of bytes at hand (a member of an archive); `file` names them in errors."""
    rows = [line.split() for line in text_lines(data, file, remedy)]
    choices = (columns,) if isinstance(columns, int) else columns
    width = len(rows[0]) if len(rows[0]) in choices else choices[0]
    if set(map(len, rows)) != {width}:
        raise _wrong_width(rows, width, choices, file, remedy)
    try:
        # A flat pass through C code: OTB-100's 59,000 rows of results are read in some 40 ms.
        values = np.fromiter(map(float, chain.from_iterable(rows)), np.float64, count=len(rows) * width)
    except ValueError:
        raise _not_a_number(file, rows, remedy) from None
    if b"_" in data:  # Python alone reads 1_0 as ten
        raise _not_a_number(file, rows, remedy)
    boxes = values.reshape(-1, width)
    faulty = np.isinf(boxes) if allow_nan else ~np.isfinite(boxes)
    if faulty.any():
        number = int(np.flatnonzero(faulty.any(axis=1))[0]) + 1
        token = rows[number - 1][int(np.flatnonzero(faulty[number - 1])[0])].decode(errors="replace")
        raise UserError(
            f"holds {token!r} where a finite number must stand", file=file, place=f"line {number}", remedy=remedy
        )
    return boxes


def read_flags(path: Path, frames: int, *, highest: int = 1, remedy: str, pad: bool = False) -> _IntArray:
    """Reads one whole number a frame, one a line (GOT-10k, VOT) or all on one line (LaSOT).

    Args:
        path: The file.
        frames: How many there must be.
        highest: Largest allowed value; the smallest is 0.
        remedy: What to do about a fault, for the error.
        pad: Whether missing last values are zeros (VOT's tags).

    Returns:
        (frames,) int64.
    """
    data = read_bytes(path, remedy)
    lines = text_lines(data, path, remedy)
    single = len(lines) == 1 and frames != 1
    tokens = [line.strip() for line in lines] if not single else lines[0].split()
    if len(tokens) == frames and set(tokens) <= {str(value).encode() for value in range(highest + 1)}:
        return np.fromiter(map(int, tokens), np.int64, count=frames)  # nothing to explain: LaSOT has 1.4 million
    labels = parse_boxes(data, path, columns=len(lines[0].split()) if single else 1, remedy=remedy).ravel()
    if len(labels) > frames or (len(labels) < frames and not pad):
        raise UserError(
            f"has {len(labels)} values, the sequence has {frames} annotated frames", file=path, remedy=remedy
        )
    faulty = np.flatnonzero((labels < 0) | (labels > highest) | (labels != np.round(labels)))
    if faulty.size:
        raise UserError(
            f"holds {labels[faulty[0]]:g}, not a whole number from 0 to {highest}",
            file=path,
            place=f"{'value' if single else 'line'} {faulty[0] + 1}",
            remedy=remedy,
        )
    return np.pad(labels.astype(np.int64), (0, frames - len(labels)))


def read_absence(path: Path, frames: int, *, remedy: str) -> BoolArray:
    """`read_flags` as truth values."""
    return read_flags(path, frames, remedy=remedy).astype(np.bool_)


def read_attributes(path: Path, names: Sequence[str], *, needed: int | None = None, remedy: str) -> frozenset[str]:
    """Reads one row of flags, one for each attribute of a sequence, and returns the short names of those set.

    Args:
        path: The file.
        names: Attributes in the order of the flags.
        needed: Flags that must be there, where old files hold fewer than `names`.
        remedy: What to do about a fault, for the error.
    """
    widths = (len(names),) if needed is None else (len(names), needed)
    flags = read_boxes(path, columns=widths, remedy=remedy)
    if len(flags) != 1 or not set(flags[0]) <= {0.0, 1.0}:
        raise UserError(f"must hold one row of {len(names)} flags 0 or 1", file=path, remedy=remedy)
    return frozenset(name for name, flag in zip(names, flags[0], strict=False) if flag)


def read_names(path: Path, *, remedy: str) -> list[str]:
    """Reads a list of sequence names, one a line; a name that is repeated or leaves the folder is an error."""
    try:
        lines = text_lines(read_bytes(path, remedy), path, remedy)
        names = [line.decode("utf-8").strip() for line in lines if line.strip()]
    except UnicodeDecodeError:
        raise UserError("is not a text file", file=path, remedy=remedy) from None
    require_plain_names(names, path, remedy=remedy)
    return names


def require_plain_names(names: Iterable[str], file: Path, *, remedy: str) -> None:
    """Raises `UserError` if a name is repeated or could lead out of its folder."""
    seen: set[str] = set()
    for name in names:
        if name in seen or name in {"", ".", ".."} or set(name) & set("/\\\0"):
            why = "twice" if name in seen else "which cannot be a folder's name"
            raise UserError(f"lists {name!r} {why}", file=file, remedy=remedy)
        seen.add(name)


def read_bytes(path: Path, remedy: str) -> bytes:
    """The bytes of a file that should hold text, at most 64 MB."""
    try:
        if path.stat().st_size > MAX_TEXT_BYTES:
            raise UserError("is larger than 64 MB, which no file of boxes is", file=path, remedy=remedy)
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError("does not exist", file=path, remedy=remedy) from None
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=path, remedy=remedy) from None


def text_lines(data: bytes, file: Path, remedy: str) -> list[bytes]:
    """The lines of a text file with spaces for its separators, without a byte-order mark; there is at least one."""
    if b"\0" in data:
        raise UserError("is not a plain text file", file=file, remedy=remedy)
    lines = data.removeprefix(_BOM).translate(_SEPARATORS).rstrip().splitlines()
    if not lines:
        raise UserError("is empty", file=file, remedy=remedy)
    return lines


def number_in(token: bytes) -> float:
    """The number that a token spells out; NaN where it is none. Python alone reads 1_0 as ten."""
    try:
        return math.nan if b"_" in token else float(token)
    except ValueError:
        return math.nan


def _wrong_width(rows: list[list[bytes]], width: int, choices: tuple[int, ...], file: Path, remedy: str) -> UserError:
    number = next(n for n, row in enumerate(rows, 1) if len(row) != width)
    found = len(rows[number - 1])
    wanted = " or ".join(map(str, choices)) if number == 1 else str(width)
    problem = f"has {found} values, {wanted} are expected" if found else "is empty"
    return UserError(problem, file=file, place=f"line {number}", remedy=remedy)


def _not_a_number(file: Path, rows: list[list[bytes]], remedy: str) -> UserError:
    for number, row in enumerate(rows, 1):
        for token in row:
            if math.isnan(number_in(token)) and token.strip(b"+-").lower() != b"nan":
                shown = token[:20].decode(errors="replace")
                return UserError(f"holds {shown!r}, not a number", file=file, place=f"line {number}", remedy=remedy)
    raise AssertionError("called without a faulty token")
