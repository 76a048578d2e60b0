"""What all tracking benchmarks share: the `Sequence`, the set of sequences that must be there, and how it is read.

A reader (one module a benchmark) turns an official layout into a `SequenceSet`; `collect` loads it, and
`distillery.tracking.checks` looks at every file of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from distillery.data.decoding import MAX_PIXELS
from distillery.errors import UserError
from distillery.tracking.benchmarks.text_files import read_boxes
from distillery.tracking.boxes import FIRST_PIXEL, FloatArray, to_pixels

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
_MOST_DIGITS = 18
"""Digits of a file name's number that are read: no video is longer, and Python refuses numbers of thousands of them."""
RESTORE = "restore it from the official archive"
SHOWN = 3
"""Names that a message spells out before it only counts."""


@dataclass(frozen=True, eq=False)
class Sequence:
    """One video with one target."""

    name: str
    """The benchmark's name of the sequence ("Jogging-1")."""
    frames: tuple[Path, ...]
    """Image files in order; empty when the sequence was loaded for scoring only. There are more of them than boxes
    where an evaluation server keeps all boxes but the first (TrackingNet's and GOT-10k's test sets)."""
    truth: FloatArray
    """(N, 4) left, top, width, height in pixels, numbered as in the benchmark's file."""
    truth_file: Path
    """Where `truth` was read; many sequences may share one file."""
    attributes: frozenset[str] = frozenset()
    """Short names of the sequence's difficulties ("OCC"); empty when they are not known."""
    aliases: tuple[str, ...] = ()
    """Other names under which result files of this sequence are found."""
    omitted: int = 0
    """Rows before the first scored frame that some toolkits' files hold too (5 for OTB-100's Tiger1)."""
    runs_on: bool = False
    """Whether result files may go on after the last annotated frame; those rows are not scored (LaSOT's monkey-17)."""
    first_pixel: int = FIRST_PIXEL
    """Number of the image's first column and row in `truth`."""
    image_size: tuple[int, int] | None = None
    """Width and height of the frames in pixels, where the benchmark's protocol needs it and it is known."""
    regions: FloatArray | None = None
    """(N, 8) corners x1,y1 .. x4,y4 where the truth is a polygon (VOT); `truth` then is the box trackers start from."""

    def __len__(self) -> int:
        return len(self.truth)


@dataclass(frozen=True)
class SequenceSet:
    """A benchmark on the disk before it is read."""

    title: str
    """The benchmark's name in sentences ("OTB-100")."""
    root: Path
    """Its folder or archive."""
    names: tuple[str, ...]
    """The sequences that must be there, in order."""
    read: Callable[[str], Sequence | None]
    """Reads one of them; None when it is not on the disk. Raises `UserError` when it is malformed."""


def collect(wanted: SequenceSet, *, allow_partial: bool) -> list[Sequence]:
    """Loads every sequence that is there; the others are an error unless `allow_partial`, and so are all of them."""
    loaded = {name: sequence for name in wanted.names if (sequence := wanted.read(name)) is not None}
    missing = [name for name in wanted.names if name not in loaded]
    if missing and (not allow_partial or not loaded):
        raise UserError(
            f"{listing(missing)} of {wanted.title}'s {len(wanted.names)} sequences are not there",
            file=wanted.root,
            remedy="complete the folder" + (", or pass --allow-partial for what is there" if loaded else ""),
        )
    return list(loaded.values())


def require_start(sequence: Sequence, size: tuple[int, int]) -> None:
    """Raises `UserError` if a tracker cannot start from a sequence's first box: it is empty, or outside the image.

    Args:
        sequence: Its truth's first row is looked at.
        size: Width and height of the first frame in pixels.
    """
    x, y, w, h = to_pixels(sequence.truth[0], sequence.first_pixel).tolist()
    problem = None
    if not (w > 0 and h > 0):
        problem = "is empty"
    elif x >= size[0] or y >= size[1] or x + w <= 0 or y + h <= 0:
        problem = f"lies outside the image of {size[0]} x {size[1]} pixels"
    if problem:
        raise UserError(
            f"the first box {problem}, no tracker can start from it",
            file=sequence.truth_file,
            place=f"frame 1 of {sequence.name}",
            remedy="correct the ground truth",
        )


def image_files(folder: Path) -> list[Path]:
    """The images of a folder in the order of their numbers; hidden and other files are left out."""
    return [file for _, file in _numbered(folder)]


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    """`image_files` with the last number in each name, -1 where there is none."""
    try:
        files = [item for item in folder.iterdir() if item.suffix.lower() in IMAGE_SUFFIXES and item.name[0] != "."]
    except OSError:
        return []
    numbers = ((re.findall(r"\d+", file.stem), file) for file in files)
    found = [(int(digits[-1][-_MOST_DIGITS:]) if digits else -1, file) for digits, file in numbers]
    return sorted(found, key=lambda pair: (pair[0], pair[1].name))


def require_folder(root: Path, benchmark: str) -> None:
    """Raises `UserError` unless `root` is a folder."""
    if not root.is_dir():
        problem = "is not a folder" if root.exists() else "does not exist"
        raise UserError(problem, file=root, remedy=f"pass the folder that holds {benchmark} in its official layout")


def numbered_frames(
    folder: Path, rows: int, truth_file: Path, *, first: int = FIRST_PIXEL, surplus: bool = False
) -> tuple[Path, ...]:
    """The images of a folder, one for each of the truth's rows, by their numbers: none may be missing in between.

    Args:
        folder: Where they lie.
        rows: How many there must be.
        truth_file: Named in errors.
        first: Number of the first.
        surplus: Whether others may lie before and after them, which are left out.
    """
    numbered = _numbered(folder)
    chosen = [pair for pair in numbered if not surplus or first <= pair[0] < first + rows]
    if [number for number, _ in chosen] != list(range(first, first + rows)):
        problem = f"has {len(numbered)} images, {truth_file} has {rows} rows"
        raise UserError(problem + _difference(chosen, first, rows), file=folder, remedy=RESTORE)
    return tuple(file for _, file in chosen)


def unlabelled_frames(folder: Path, *, first: int = FIRST_PIXEL) -> tuple[Path, ...]:
    """The images of a folder, of a sequence whose boxes a server keeps: numbered from `first` without a gap."""
    numbered = _numbered(folder)
    if not numbered:
        raise UserError("has no images", file=folder, remedy=RESTORE)
    rows = max(numbered[-1][0] - first + 1, 0)
    if len(numbered) != rows or [number for number, _ in numbered] != list(range(first, first + rows)):
        problem = f"has {len(numbered)} images, the last is {numbered[-1][1].name}"
        raise UserError(problem + _difference(numbered, first, rows), file=folder, remedy=RESTORE)
    return tuple(file for _, file in numbered)


def _difference(numbered: list[tuple[int, Path]], first: int, rows: int) -> str:
    """Names the images that are missing from a run of numbers, and those that are not of it."""
    if not numbered:
        return ""
    have = {number for number, _ in numbered}
    # Long runs of which nearly nothing is there are not spelt out to the end.
    missing = [number for number in range(first, first + min(rows, len(have) + SHOWN)) if number not in have]
    lost = rows - sum(first <= number < first + rows for number in have)
    others = [
        file.name
        for index, (number, file) in enumerate(numbered)
        if not first <= number < first + rows or (index and numbered[index - 1][0] == number)
    ]
    parts = []
    if lost:
        model = next((file for number, file in numbered if number >= 0), numbered[0][1])
        names = [_name_like(model, number) for number in missing]
        parts.append(f"{listing(names, total=lost)} {'is' if lost == 1 else 'are'} missing")
    if others:
        parts.append(f"{listing(others)} {'is' if len(others) == 1 else 'are'} not expected")
    return ": " + ", ".join(parts)


def _name_like(file: Path, number: int) -> str:
    """The name that an image of another number would have beside `file`, of the lowest number in its folder."""
    found = list(re.finditer(r"\d+", file.stem))
    if not found:
        return str(number)
    begin, end = found[-1].span()
    return f"{file.stem[:begin]}{number:0{end - begin}d}{file.stem[end:]}{file.suffix}"


def first_box(file: Path) -> FloatArray:
    """(1, 4) the only box of a sequence whose other boxes a server keeps."""
    truth = read_boxes(file, remedy=RESTORE)
    if len(truth) != 1:
        raise UserError(f"has {len(truth)} rows, a test set's file has the first box alone", file=file, remedy=RESTORE)
    return truth


def header_size(file: Path) -> tuple[int, int]:
    """(width, height) in pixels of a JPEG or PNG file, from its header alone."""
    try:
        with Image.open(file, formats=("JPEG", "PNG")) as opened:
            width, height = opened.size
    except Exception as error:  # many types on hostile bytes
        raise UserError("is not a JPEG or PNG image", file=file, remedy=RESTORE) from error
    if width * height > MAX_PIXELS:
        raise UserError(f"is too large ({width} x {height} pixels)", file=file, remedy=RESTORE)
    return width, height


def listing(names: list[str], shown: int = SHOWN, total: int | None = None) -> str:
    """The first few names and how many there are: "A, B, C and 4 more (7)"; `total` where not all are given."""
    total = len(names) if total is None else total
    head = ", ".join(names[:shown])
    return head if total <= shown else f"{head} and {total - shown} more ({total})"
