"""What all tracking benchmarks share: the `Sequence`, the set of sequences that must be there, and how it is read.

A reader (one module a benchmark) turns an official layout into a `SequenceSet`; `collect` loads it and `survey` looks
at every file of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from distillery.data.checking import MAX_PIXELS, CheckReport, decode_fault
from distillery.errors import UserError
from distillery.tracking.benchmarks.text_files import read_boxes
from distillery.tracking.boxes import FIRST_PIXEL, FloatArray

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
RESTORE = "restore it from the official archive"


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


def survey(wanted: SequenceSet, report: CheckReport, prefix: str = "") -> list[Sequence]:
    """Looks at every file of a set: what is absent, malformed or does not decode goes into the report's faults.

    Args:
        wanted: The set, to be read with its frames.
        report: Gets the counts `expected`, `sequences`, `frames` and `missing`, and the faults.
        prefix: Put before the names of the counts, where a benchmark has several sets ("train_").

    Returns:
        The sequences without a fault in their labels.
    """
    good: list[Sequence] = []
    decoded: dict[Path, str | None] = {}  # two targets in the same frames: each frame is decoded once
    missing = 0
    for name in wanted.names:
        try:
            sequence = wanted.read(name)
        except UserError as error:
            report.faults.append(str(error))
            continue
        if sequence is None:
            missing += 1
            report.faults.append(f"{wanted.root / name}: sequence {name} is missing; {RESTORE}.")
            continue
        good.append(sequence)
        for frame in sequence.frames:
            if frame not in decoded:
                decoded[frame] = decode_fault(frame)
                report.faults += [fault for fault in [decoded[frame]] if fault]
    counts = {"expected": len(wanted.names), "sequences": len(good), "missing": missing}
    counts["frames"] = sum(len(sequence.frames) for sequence in good)
    report.counts |= {prefix + key: count for key, count in counts.items()}
    return good


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


def numbered_frames(folder: Path, rows: int, truth_file: Path) -> tuple[Path, ...]:
    """The images of a folder, one for each of the truth's rows."""
    images = image_files(folder)
    if len(images) != rows:
        raise UserError(f"has {len(images)} images, {truth_file} has {rows} rows", file=folder, remedy=RESTORE)
    return tuple(images)


def unlabelled_frames(folder: Path) -> tuple[Path, ...]:
    """The images of a folder, of a sequence whose boxes a server keeps."""
    images = image_files(folder)
    if not images:
        raise UserError("has no images", file=folder, remedy=RESTORE)
    return tuple(images)


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


def listing(names: list[str], shown: int = 3) -> str:
    """The first few names and how many there are: "A, B, C and 4 more (7)"."""
    head = ", ".join(names[:shown])
    return head if len(names) <= shown else f"{head} and {len(names) - shown} more ({len(names)})"
