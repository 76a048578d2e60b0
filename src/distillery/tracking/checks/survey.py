"""Looking at every file of a set of sequences: what all tracking sets' checks share."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np

from distillery.data.checking import CheckReport, ImageGroup
from distillery.errors import UserError
from distillery.tracking.benchmarks.base import IMAGE_SUFFIXES, RESTORE, Sequence, SequenceSet, require_start
from distillery.tracking.boxes import BoolArray, FloatArray, to_pixels, xywh_to_xyxy

Look = Callable[[Sequence, CheckReport], None]
_ANYWHERE = (1 << 30, 1 << 30)


def survey(
    wanted: SequenceSet, report: CheckReport, prefix: str = "", *, tracked: bool = True, look: Look | None = None
) -> int:
    """Looks at every sequence of a set: what is absent or malformed goes into the report, its images are handed over.

    So does a first box from which no tracker can start.

    Args:
        wanted: The set, to be read with its frames.
        report: Gets the counts `expected`, `sequences`, `frames` and `missing`, faults, oddities and images.
        prefix: Put before the names of the counts, where a benchmark has several sets ("train_").
        tracked: Whether trackers start from the first boxes, which they do not where the set is for training only.
        look: Told every sequence without a fault, for what is odd in this set alone.

    Returns:
        How many sequences without a fault have no attributes.
    """
    good = missing = frames = unlabelled = 0
    folders: set[Path] = set()
    for name in wanted.names:
        faults = len(report.faults)
        sequence = report.attempt(lambda name=name: wanted.read(name))  # type: ignore[misc]
        if sequence is None:
            if len(report.faults) == faults:
                missing += 1
                report.missing(f"{wanted.root / name}: sequence {name} is missing; {RESTORE}.")
            continue
        good += 1
        frames += len(sequence.frames)
        unlabelled += not sequence.attributes
        _boxes(sequence, report, tracked)
        _stray_files(sequence, report, folders)
        text_oddities(sequence.truth_file, report)
        if look:
            report.attempt(lambda sequence=sequence: look(sequence, report))  # type: ignore[misc]
    counts = {"expected": len(wanted.names), "sequences": good, "missing": missing, "frames": frames}
    report.counts |= {prefix + key: count for key, count in counts.items()}
    return unlabelled


def text_oddities(file: Path, report: CheckReport) -> None:
    """Counts what is odd about the form of a file of numbers."""
    if file.suffix != ".txt":  # a collection of annotations in JSON
        return
    data = file.read_bytes()
    lines = data.splitlines()
    kinds = {name for name, mark in (("comma", b","), ("tab", b"\t"), ("semicolon", b";")) if mark in data}
    if not kinds and any(b" " in line.strip() for line in lines):
        kinds = {"space"}
    elif any(_spaced(line) for line in lines):
        kinds.add("space")
    where = f"{file.parent.name}/{file.name}"
    for kind in kinds - {"comma"} if len(kinds) == 1 else ({"mixed"} if kinds else set()):
        report.odd(f"separator_{kind}", where)
    report.odd("line_ends_crlf", where, int(b"\r\n" in data))
    report.odd("no_final_newline", where, int(not data.endswith((b"\n", b"\r"))))
    report.odd("byte_order_mark", where, int(data.startswith(b"\xef\xbb\xbf")))


def _spaced(line: bytes) -> bool:
    """Whether spaces alone separate two of a line's numbers, not only stand beside another separator."""
    words = line.replace(b",", b" , ").replace(b"\t", b" , ").replace(b";", b" , ").split()
    return any(b"," not in (one, other) for one, other in pairwise(words))


def _boxes(sequence: Sequence, report: CheckReport, tracked: bool) -> None:
    """Hands over a sequence's images with the edges of its boxes, and counts those that have none."""
    truth = to_pixels(sequence.truth, sequence.first_pixel)
    if tracked and len(truth) and not (truth[0, 2:] > 0).all():
        try:
            require_start(sequence, _ANYWHERE)
        except UserError as error:
            report.faults.append(str(error))
    edges = _extents(sequence.regions) if sequence.regions is not None else xywh_to_xyxy(truth)
    full = (edges[:, 2] > edges[:, 0]) & (edges[:, 3] > edges[:, 1])
    if sequence.regions is None:
        if "empty_box" in report.known:
            report.odd("empty_box", _first(sequence, ~full), int((~full).sum()))
        before = full & ((truth[:, 0] < 0) | (truth[:, 1] < 0))
        report.odd("coordinate_below_first", _first(sequence, before), int(before.sum()))
    if not sequence.frames:
        return
    folder = sequence.frames[0].parent
    report.images.append(
        ImageGroup(
            name=sequence.name,
            folder=folder,
            files=tuple(frame.name for frame in sequence.frames),
            boxes=edges[full],
            rows=np.flatnonzero(full),
            starts_in=sequence.truth_file if tracked else None,
        )
    )


def _extents(regions: FloatArray) -> FloatArray:
    corners = regions.reshape(-1, 4, 2)
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def _first(sequence: Sequence, found: BoolArray) -> str:
    return f"{sequence.name}, frame {int(found.argmax()) + 1}" if found.any() else ""


def _stray_files(sequence: Sequence, report: CheckReport, seen: set[Path]) -> None:
    """Counts files that are no images in a folder that holds images and nothing else (`img`, `color`)."""
    folder = sequence.frames[0].parent if sequence.frames else None
    if folder is None or folder.name not in ("img", "color") or folder in seen:
        return
    seen.add(folder)
    strays = sorted(
        path.name for path in folder.iterdir() if path.suffix.lower() not in IMAGE_SUFFIXES or path.name[0] == "."
    )
    report.odd("stray_file", f"{sequence.name}, {strays[0]}" if strays else "", len(strays))
