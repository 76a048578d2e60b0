"""Whether a PRW root is whole: what `distillery check --benchmark prw` says, file by file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from tqdm import tqdm

from distillery.data.checking import CheckReport, decoded_size
from distillery.errors import UserError
from distillery.person_search.benchmarks import prw
from distillery.person_search.benchmarks.matlab import read_mat
from distillery.person_search.benchmarks.prw import Frame

_SAMPLE = 200
_ID_LISTS = {"train": (Path("ID_train.mat"), "ID_train"), "test": (Path("ID_test.mat"), "ID_test2")}
_Value = TypeVar("_Value")


def check(root: Path, *, images: Literal["full", "sampled"] = "full") -> CheckReport:
    """Checks lists, annotations, queries, their agreement, and the images.

    Args:
        root: A folder in PRW's layout; ID_train.mat, ID_test.mat and query_box/ may be absent.
        images: "full" decodes every image, "sampled" about 200 of them evenly spread (all must exist in either case).

    Returns:
        The report; nothing that is wrong with the data raises.
    """
    report = CheckReport("prw", Path(root))
    if not report.root.is_dir():
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
    _check_images(report, [*found["train"], *found["test"]], images)
    return report


def _frames(report: CheckReport, part: str, listed: tuple[Path, str]) -> list[Frame]:
    """The frames of a part that can be read; what cannot is among the faults."""
    names = _attempt(report, lambda: prw.frame_names(report.root, *listed)) or []
    read = [_attempt(report, partial(prw.read_frame, report.root, name)) for name in names]
    frames = [frame for frame in read if frame is not None]
    report.counts[f"{part}_frames"] = len(frames)
    report.counts[f"{part}_boxes"] = sum(len(frame.boxes) for frame in frames)
    report.counts[f"{part}_identities"] = len(_identities(frames))
    twice = sum(len(set(ids)) < len(ids) for ids in (frame.ids[frame.ids >= 0].tolist() for frame in frames))
    if twice:
        report.notes.append(f"{report.root}: {twice} {part} frames hold an id twice; its first box counts.")
    if frames and not _identities(frames):
        report.faults.append(f"{report.root / listed[0]}: nobody in its frames has an id.")
    return frames


def _attempt(report: CheckReport, load: Callable[[], _Value]) -> _Value | None:
    try:
        return load()
    except UserError as error:
        report.faults.append(str(error))
        return None


def _identities(frames: Sequence[Frame]) -> set[int]:
    return {identity for frame in frames for identity in frame.ids.tolist() if identity >= 0}


def _check_ids(report: CheckReport, file: Path, variable: str, people: set[int]) -> None:
    """Compares an optional list of ids with those of the frames."""
    if not file.is_file() or not people:
        return
    listed = _attempt(report, lambda: np.asarray(read_mat(file, variable), np.float64).ravel())
    if listed is not None and (differing := people ^ set(listed.tolist())):
        report.notes.append(f"{file}: {len(differing)} ids are only there or only in the frames; the frames count.")


def _check_queries(report: CheckReport, name: str, frames: Sequence[Frame]) -> None:
    file = report.root / prw.QUERIES[name]
    if name == "prw_mini" and not file.is_file():
        report.notes.append(f"{file}: does not exist; PRW-mini cannot be scored.")
        return
    queries = _attempt(report, lambda: prw.read_queries(file))
    if queries is None:
        return
    report.counts[f"queries_{name}"] = len(queries)
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


def _check_images(report: CheckReport, frames: Sequence[Frame], images: Literal["full", "sampled"]) -> None:
    folder = report.root / prw.IMAGE_FOLDER
    if not folder.is_dir():
        report.faults.append(f"{folder}: does not exist.")
        return
    present = {path.name for path in folder.iterdir()}
    report.faults += [f"{folder / frame.name}: does not exist." for frame in frames if frame.name not in present]
    if extra := present - {frame.name for frame in frames}:
        report.notes.append(f"{folder}: holds {len(extra)} files that no list names ({min(extra)} for one).")
    there = [frame for frame in frames if frame.name in present]
    step = max(1, len(there) // _SAMPLE) if images == "sampled" else 1
    report.counts["images_decoded"] = 0
    for frame in tqdm(there[::step], desc="images", unit="image", disable=None):
        size, fault = decoded_size(folder / frame.name)
        if size is None:
            report.faults.append(str(fault))
            continue
        report.counts["images_decoded"] += 1
        outside = (frame.boxes[:, :2] >= size).any(axis=1)
        if outside.any():
            box = frame.boxes[outside.argmax()].astype(int).tolist()
            report.faults.append(
                f"{folder / frame.name}: box {box} is outside the image ({size[0]} x {size[1]} pixels)."
            )
