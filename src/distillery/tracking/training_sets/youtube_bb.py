"""YouTube-BoundingBoxes, the detection part: a table of boxes, and the frames that one cuts from the videos oneself.

Table (research.google.com/youtube-bb): `youtube_boundingboxes_detection_train.csv`, named `yt_bb_detection_train.csv`
in its archive, packed or not; no head, columns as `COLUMNS`, coordinates as shares of the frame, one box a second.
Frames as `youtube-bb-utility` writes and pysot reads them:
`yt_bb_detection_train/CLASS/YOUTUBE-ID_MILLISECONDS_CLASS_OBJECT.jpg`. Videos vanish from YouTube, so frames may be
missing.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from distillery.data.checking import CheckReport
from distillery.errors import UserError
from distillery.tracking.training_sets.base import RESTORE, TrainingSet, Video, require_folders, survey, track

NAME = "youtube_bb"
TITLE = "YouTube-BB"
IMAGES = Path("yt_bb_detection_train")
TABLES = tuple(
    f"{name}.csv{packed}"
    for name in ("youtube_boundingboxes_detection_train", "yt_bb_detection_train")
    for packed in ("", ".gz")
)
COLUMNS: dict[str, Any] = {
    "youtube_id": "category",
    "timestamp_ms": np.int64,
    "class_id": np.int32,
    "class_name": "category",
    "object_id": np.int32,
    "object_presence": "category",
    "xmin": np.float64,
    "xmax": np.float64,
    "ymin": np.float64,
    "ymax": np.float64,
}
"""Columns of the table and how they are kept: about 70 bytes a row."""
_PLAIN: Any = {"header": None, "index_col": False, "encoding": "utf-8", "keep_default_na": False}
"""An id may be "NA" or "null"."""
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,32}")
_WHOLE = re.compile(r"-?\d{1,15}")
ODDITIES = {"frame_of_no_video": "a frame that could not be cut because its video has left YouTube; it is left out"}


def load(root: Path) -> TrainingSet:
    """The training part below the folder that holds the table and `yt_bb_detection_train`.

    Raises:
        UserError: If the table is missing or malformed, naming the line.
    """
    require_folders(root, TITLE, str(IMAGES))
    table = next((root / name for name in TABLES if (root / name).is_file()), None)
    if table is None:
        raise UserError(f"has no {TABLES[0]}", file=root, remedy="put the table of boxes there, packed or not")
    return _set(root, _columns(table))


def check(root: Path) -> CheckReport:
    """Reads the table; the images that are there are decoded by the caller."""
    root = Path(root)
    report = survey(NAME, load, root, ODDITIES)
    for number, group in enumerate(report.images):
        there = tuple(file for file in group.files if (root / file).is_file())
        report.odd("frame_of_no_video", group.name, len(group.files) - len(there))
        report.images[number] = type(group)(group.name, root, there, rule=group.rule, video=False)
    report.counts["frames_there"] = sum(len(group.files) for group in report.images)
    if report.counts.get("frames") and not report.counts["frames_there"]:
        report.missing(f"{root / IMAGES}: has none of the frames that the table speaks of.")
    return report


def _set(root: Path, columns: dict[str, npt.NDArray[Any]]) -> TrainingSet:
    """Videos (of a class) in the order of their first row, their objects by number, frames by time."""
    key = columns["class_id"].astype(np.int64) << 32 | columns["video"].astype(np.int64)
    _, first, video = np.unique(key, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    video = rank[video]
    order = np.lexsort((columns["timestamp_ms"], columns["object_id"], video))
    begins = np.searchsorted(video[order], np.arange(len(first) + 1))
    return TrainingSet(TITLE, root, len(first), partial(_videos, columns, order, begins))


def _videos(columns: dict[str, npt.NDArray[Any]], order: Any, begins: Any) -> Iterator[Video]:
    names = columns["names"]
    for low, high in zip(begins[:-1].tolist(), begins[1:].tolist(), strict=True):
        rows = order[low:high]
        moments, objects = columns["timestamp_ms"][rows], columns["object_id"][rows]
        kind, name = int(columns["class_id"][rows[0]]), str(names[columns["video"][rows[0]]])
        left, top, right, bottom = (columns[corner][rows] for corner in _CORNERS)
        boxes = np.column_stack([left, top, right - left, bottom - top])
        tracks = []
        for number in np.unique(objects).tolist():
            own = np.flatnonzero(objects == number)
            # A moment that is given twice: the first row counts.
            own = own[np.unique(moments[own], return_index=True)[1]]
            tracks.append(track(f"{number:02d}", own, boxes[own]))
        files = zip(moments.tolist(), objects.tolist(), strict=True)
        yield Video(
            name=f"{kind}/{name}",
            images=tuple(str(IMAGES / f"{kind}" / f"{name}_{moment}_{kind}_{thing}.jpg") for moment, thing in files),
            frames=moments.astype(np.int64),
            tracks=tuple(tracks),
            relative=True,
        )


def _columns(table: Path) -> dict[str, npt.NDArray[Any]]:
    """The rows that show an object, by column; `video` counts into `names`."""
    import pandas as pd

    try:
        frame = pd.read_csv(table, names=list(COLUMNS), dtype=COLUMNS, **_PLAIN)
    except (ValueError, OSError, EOFError, OverflowError) as error:  # pandas' parser errors are ValueErrors
        raise _fault(table, str(error)) from error
    names = np.asarray(frame["youtube_id"].cat.categories, dtype=object)
    if any(not isinstance(name, str) or not _IDENTIFIER.fullmatch(name) for name in names):
        raise _fault(table, "has a YouTube id of other characters")
    corners = frame[list(_CORNERS)].to_numpy()
    if len(frame) and (frame["youtube_id"].cat.codes.min() < 0 or not np.isfinite(corners).all()):
        raise _fault(table, "has empty cells")
    # As pysot: absent objects, and corners outside the frame, which stand for "unknown".
    left, top, right, bottom = corners.T
    shown = (frame["object_presence"] != "absent").to_numpy() & (corners >= 0).all(axis=1)
    shown &= (right > left) & (bottom > top) & (corners <= 1).all(axis=1)
    if not shown.any():
        raise _fault(table, "has no row that shows an object")
    kept = {name: frame[name].to_numpy()[shown] for name in ("timestamp_ms", "class_id", "object_id", *_CORNERS)}
    return kept | {"video": frame["youtube_id"].cat.codes.to_numpy()[shown].astype(np.int64), "names": names}


def _fault(table: Path, reason: str) -> UserError:
    """The first faulty line of a table that did not read, or the reason alone."""
    opened = gzip.open if table.suffix == ".gz" else open
    try:
        with opened(table, "rt", encoding="utf-8", newline="") as stream:
            for number, row in enumerate(csv.reader(stream), start=1):
                if problem := _problem(row):
                    return UserError(problem, file=table, place=f"line {number}", remedy=RESTORE)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        return UserError(f"is truncated or not a table ({error})", file=table, remedy=RESTORE)
    return UserError(f"cannot be used: {' '.join(reason.split())[:100]}", file=table, remedy=RESTORE)


def _problem(row: list[str]) -> str | None:
    if len(row) != len(COLUMNS):
        return f"has {len(row)} cells, not {len(COLUMNS)}"
    cells = dict(zip(COLUMNS, row, strict=True))
    if not _IDENTIFIER.fullmatch(cells["youtube_id"]):
        return "has no YouTube id"
    for name in ("timestamp_ms", "class_id", "object_id"):
        if not _WHOLE.fullmatch(cells[name]):
            return f"has {name} {cells[name][:30]!r}"
    for name in _CORNERS:
        try:
            if not np.isfinite(float(cells[name])):
                return f"has {name} {cells[name][:30]!r}"
        except ValueError:
            return f"has {name} {cells[name][:30]!r}"
    return None
