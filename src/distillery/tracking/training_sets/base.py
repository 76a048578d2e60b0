"""What all training sets of trackers share: videos with the tracks of their objects, whatever the layout on disk.

A still picture is a video of one frame. Sets have millions of boxes, so readers give one video after the other and keep
columns instead of objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from distillery.data.checking import BoxRule, CheckReport, ImageGroup
from distillery.errors import UserError
from distillery.tracking.boxes import BoolArray, FloatArray

IntArray = npt.NDArray[np.int64]
RESTORE = "restore it from the official archive"
FARTHEST = 1e6
"""Coordinates beyond this many pixels are not those of a picture."""


class Track(NamedTuple):
    """One object through the frames of a video in which it is labelled."""

    name: str
    """The set's own number of the object in its video."""
    rows: IntArray
    """(N,) which of the video's frames, ascending."""
    boxes: FloatArray
    """(N, 4) left, top, width, height: 0-based pixels as everywhere (`tracking.boxes`), or shares of the frame."""
    occluded: BoolArray
    """(N,) whether the set says that something hides a part of the object; False where it says nothing."""
    generated: BoolArray
    """(N,) whether the box was interpolated rather than drawn by a person; False where the set says nothing."""


class Video(NamedTuple):
    """A video, or a still picture."""

    name: str
    """The set's own name of it, unique in the set."""
    images: tuple[str, ...]
    """Files below the set's root, one a frame."""
    frames: IntArray
    """(F,) the set's own numbers of the frames."""
    tracks: tuple[Track, ...]
    """Its objects."""
    relative: bool = False
    """Whether boxes are shares of the frame's width and height (YouTube-BB)."""


class TrainingSet(NamedTuple):
    """A set on disk before it is read."""

    title: str
    """Its name in sentences."""
    root: Path
    """Its folder."""
    total: int
    """Number of videos, for the progress; those without an object are among them."""
    videos: Callable[[], Iterator[Video]]
    """Reads them one after the other, in an order that depends on the files alone; raises `UserError`."""


def track(
    name: str,
    rows: npt.ArrayLike,
    boxes: npt.ArrayLike,
    occluded: npt.ArrayLike | None = None,
    generated: npt.ArrayLike | None = None,
) -> Track:
    """A `Track` from lists; flags that a set does not have are False."""
    numbers = np.asarray(rows, np.int64)
    nothing = np.zeros(len(numbers), np.bool_)
    return Track(
        name,
        numbers,
        np.asarray(boxes, np.float64).reshape(-1, 4),
        nothing if occluded is None else np.asarray(occluded, np.bool_),
        nothing if generated is None else np.asarray(generated, np.bool_),
    )


def require_folders(root: Path, title: str, *names: str) -> None:
    """Raises `UserError` unless `root` and these folders below it are there."""
    for folder in (root, *(root / name for name in names)):
        if not folder.is_dir():
            problem = "is not a folder" if folder.exists() else "does not exist"
            raise UserError(problem, file=folder, remedy=f"pass the folder that holds {title} in its official layout")


def survey(name: str, load: Callable[[Path], TrainingSet], root: Path, oddities: Mapping[str, str]) -> CheckReport:
    """Reads all annotations of a set and hands its images over to be decoded.

    A box that is empty or reaches past its image is an oddity of the official files, never a fault: it is left out, or
    cut by the border of its crop. A malformed annotation ends the reading of the set, as it does for the crops.

    Args:
        name: Of the set.
        load: Its reader.
        root: Its folder.
        oddities: What else the reader knows of the official files.
    """
    report = CheckReport(benchmark=name, root=root, known={"empty_box": EMPTY_BOX, **oddities})
    found = report.attempt(lambda: load(root))
    if found is None:
        return report
    counts = dict.fromkeys(("videos", "frames", "tracks", "boxes"), 0)

    def read() -> None:
        for video in found.videos():
            counts["videos"] += 1
            counts["frames"] += len(video.images)
            counts["tracks"] += len(video.tracks)
            counts["boxes"] += sum(len(one.rows) for one in video.tracks)
            for one in video.tracks:
                empty = int((~whole(one.boxes)).sum())
                report.odd("empty_box", f"{video.name}, object {one.name}", empty)
            report.images.append(_group(video, root))

    report.attempt(read)
    report.counts |= counts
    return report


EMPTY_BOX = "a box without width or height, which is left out"


def whole(boxes: FloatArray) -> BoolArray:
    """(N,) whether a box has a width and a height."""
    valid: BoolArray = (boxes[:, 2] > 0) & (boxes[:, 3] > 0)
    return valid


def _group(video: Video, root: Path) -> ImageGroup:
    boxes = rows = None
    if video.tracks and not video.relative:
        xywh = np.concatenate([one.boxes for one in video.tracks])
        there = whole(xywh)
        boxes = np.column_stack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]])[there]
        rows = np.concatenate([one.rows for one in video.tracks])[there]
    return ImageGroup(
        name=video.name,
        folder=root,
        files=video.images,
        boxes=boxes,
        rows=rows,
        rule=BoxRule(),
        video=len(video.images) > 1 and not video.relative,
    )
