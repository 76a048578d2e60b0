"""Whether a PRW root is whole: what `distillery check --benchmark prw` says, file by file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from distillery.data.checking import CheckReport
from distillery.errors import UserError
from distillery.person_search.benchmarks import prw
from distillery.person_search.benchmarks.matlab import read_mat
from distillery.person_search.benchmarks.prw import Frame
from distillery.person_search.check_parts import PRW, add_images

_ID_LISTS = {"train": (Path("ID_train.mat"), "ID_train"), "test": (Path("ID_test.mat"), "ID_test2")}


def check(root: Path) -> CheckReport:
    """Checks lists, annotations, queries and their agreement, and hands the images over.

    Args:
        root: A folder in PRW's layout; ID_train.mat, ID_test.mat and query_box/ may be absent.

    Returns:
        The report; nothing that is wrong with the data raises.
    """
    report = CheckReport("prw", Path(root), known=PRW)
    root = report.root
    if not root.is_dir():
        report.faults.append(f"{root}: does not exist or is not a folder.")
        return report
    found = {"train": _frames(report, "train", prw.TRAIN), "test": _frames(report, "test", prw.TEST)}
    shared = {frame.name for frame in found["train"]} & {frame.name for frame in found["test"]}
    if shared:
        report.faults.append(f"{root}: {len(shared)} frames are both in training and in test ({min(shared)} for one).")
    people = {part: _identities(frames) for part, frames in found.items()}
    if both := people["train"] & people["test"]:
        report.faults.append(f"{root}: {len(both)} people are both in training and in test (id {min(both)} for one).")
    for part, (file, variable) in _ID_LISTS.items():
        _check_ids(report, root / file, variable, people[part])
    for name in prw.QUERIES:
        _check_queries(report, name, found["test"])
    _check_folders(report, [*found["train"], *found["test"]])
    return report


def _frames(report: CheckReport, part: str, listed: tuple[Path, str]) -> list[Frame]:
    """The frames of a part that can be read; what cannot is among the faults."""
    file = report.root / listed[0]
    names = report.attempt(lambda: prw.frame_names(report.root, *listed), needs=file) or []
    folder = report.root / prw.ANNOTATIONS
    if names and not folder.exists():
        report.missing(f"{folder}: does not exist.")
        names = []
    read = [_frame(report, name) for name in names]
    frames = [frame for frame in read if frame is not None]
    report.counts[f"{part}_frames"] = len(frames)
    report.counts[f"{part}_boxes"] = sum(len(frame.boxes) for frame in frames)
    people = sorted(_identities(frames))
    report.counts[f"{part}_identities"] = len(people)
    for before, after in pairwise(people):
        report.odd("gap_in_ids", f"{part}: {after} after {before}", int(after > before + 1))
    if frames and not people:
        report.faults.append(f"{file}: nobody in its frames has an id.")
    return frames


def _frame(report: CheckReport, name: str) -> Frame | None:
    """A frame, with what is odd about its annotation."""
    file = prw.annotation_file(report.root, name)
    found = report.attempt(lambda: _stored(file), needs=file)
    frame = None if found is None else report.attempt(lambda: prw.frame_of(name, found[1], file))
    if found is None or frame is None:
        return None
    key, stored = found
    if key != prw.KEYS[0]:
        report.odd(f"key_{key}", name)
    rows = np.asarray(stored, np.float64).reshape(-1, 5)
    report.odd("negative_coordinate", name, int((rows[:, 1:3] < 0).any(axis=1).sum()))
    report.odd("fractional_coordinate", name, int((rows[:, 1:] % 1 != 0).any(axis=1).sum()))
    report.odd("box_without_area", name, len(rows) - len(frame.boxes))
    report.odd("unlabelled", name, int((frame.ids < 0).sum()))
    labelled = frame.ids[frame.ids >= 0].tolist()
    report.odd("id_twice", name, int(len(set(labelled)) < len(labelled)))
    report.odd("nobody_labelled", name, int(bool(len(frame.ids)) and not labelled))
    return frame


def _stored(file: Path) -> tuple[str, Any]:
    """An annotation's matrix and what it is called."""
    for key in prw.KEYS:
        try:
            return key, read_mat(file, key)
        except UserError:  # of another name, or damaged, which is said below
            continue
    return prw.KEYS[0], read_mat(file, *prw.KEYS)


def _identities(frames: Sequence[Frame]) -> set[int]:
    return {identity for frame in frames for identity in frame.ids.tolist() if identity >= 0}


def _check_ids(report: CheckReport, file: Path, variable: str, people: set[int]) -> None:
    """Compares an optional list of ids with those of the frames."""
    if not file.is_file() or not people:
        return
    listed = report.attempt(lambda: read_mat(file, variable))
    if listed is None:
        return
    if not isinstance(listed, np.ndarray):
        report.faults.append(f"{file}: {variable} is not a list of numbers.")
    elif differing := people ^ set(listed.ravel().tolist()):
        report.notes.append(f"{file}: {len(differing)} ids are only there or only in the frames; the frames count.")


def _check_queries(report: CheckReport, name: str, frames: Sequence[Frame]) -> None:
    file = report.root / prw.QUERIES[name]
    if name == "prw_mini" and not file.exists():
        report.notes.append(f"{file}: does not exist; PRW-mini cannot be scored.")
        return
    queries = report.attempt(lambda: prw.read_queries(file), needs=file)
    if queries is None:
        return
    report.counts[f"queries_{name}"] = len(queries)
    report.odd("line_ends_crlf", file.name, int(b"\r\n" in file.read_bytes()))
    if not frames:
        return
    seen: dict[int, set[str]] = {}
    for frame in frames:
        for identity in frame.ids.tolist():
            seen.setdefault(identity, set()).add(frame.name)
    boxes = {frame.name: frame.boxes for frame in frames}
    lost = sum(image not in boxes for image, _, _ in queries)
    if lost:
        report.notes.append(f"{file}: {lost} queries are in frames that frame_test.mat does not list.")
    lonely = sum(not seen.get(identity, set()) - {image} for image, _, identity in queries)
    if lonely:
        report.notes.append(f"{file}: {lonely} queries have no positive; they score 0.")
    moved = sum(image in boxes and not (boxes[image] == box).all(axis=1).any() for image, box, _ in queries)
    if moved:
        report.notes.append(f"{file}: {moved} boxes equal no annotated box of their frame.")


def _check_folders(report: CheckReport, frames: Sequence[Frame]) -> None:
    """Hands the frames over, and says what lies among them and their annotations besides."""
    folder = report.root / prw.IMAGE_FOLDER
    extra = add_images(report, folder, {frame.name: frame.boxes for frame in frames})
    annotations = report.root / prw.ANNOTATIONS
    found = report.attempt(partial(_names, annotations)) if annotations.is_dir() else None
    strays = {name for name in extra if not name.endswith(".jpg")}
    strays |= {name for name in found or () if not name.endswith(".mat")}
    for name in sorted(strays):
        report.odd("stray_file", name)
    if unlisted := extra - strays:
        report.notes.append(f"{folder}: holds {len(unlisted)} files that no list names ({min(unlisted)} for one).")


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
