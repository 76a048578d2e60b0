"""PRW (Zheng et al., "Person Re-identification in the Wild", CVPR 2017) and PRW-mini (Munjal et al., CVPR 2019).

Official layout::

    frames/c1s1_000151.jpg ...
    annotations/c1s1_000151.jpg.mat ...   (N, 5) id, x, y, width, height
    frame_train.mat  frame_test.mat  query_info.txt  prwmini_query_info.txt

A box is x1 = int(x), y1 = int(y), x2 = int(x + w), y2 = int(y + h), cut at 0 (some are negative), as NAE and AlignPS
have it. Every query's gallery is all test frames but its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distillery.errors import UserError
from distillery.person_search.benchmarks.base import UNLABELLED, Protocol, Query, SearchImage, SearchSplit
from distillery.person_search.benchmarks.fields import MAX_COORDINATE, REMEDY, image_name
from distillery.person_search.benchmarks.matlab import read_mat

TRAIN = (Path("frame_train.mat"), "img_index_train")
TEST = (Path("frame_test.mat"), "img_index_test")
QUERIES = {"prw": Path("query_info.txt"), "prw_mini": Path("prwmini_query_info.txt")}
ANNOTATIONS = Path("annotations")
IMAGE_FOLDER = Path("frames")
KEYS = ("box_new", "anno_file", "anno_previous")
"""Names of the matrix in an annotation file; the first that is there counts."""


@dataclass(frozen=True)
class Frame:
    """One annotated frame: its file name, boxes (N, 4) float32 x1, y1, x2, y2, ids (N,) int64 as stored or -1."""

    name: str
    boxes: NDArray[np.float32]
    ids: NDArray[np.int64]


def load_train(root: Path) -> SearchSplit:
    """The training frames; the ids 1 .. 483 and 932 of the files become 0 .. 482 in ascending order."""
    return _split(root, load_frames(root, *TRAIN))


def load_test_pool(root: Path) -> SearchSplit:
    """The test frames; identities are numbered in ascending order of the files' ids."""
    return _split(root, load_frames(root, *TEST))


def load_queries(root: Path, name: str) -> list[Query]:
    """The queries of "prw" or "prw_mini", in the file's order; identities as in `load_test_pool`, else unlabelled."""
    numbers = _numbers(load_frames(root, *TEST))
    return [
        Query(image, box, numbers.get(identity, UNLABELLED))
        for image, box, identity in read_queries(root / QUERIES[name])
    ]


def load_protocol(root: Path, name: str, *, cross_camera: bool = False) -> Protocol:
    """The protocol of "prw" or "prw_mini"; needs annotations, frame_test.mat and the file of queries, no image.

    Args:
        root: A folder in PRW's layout.
        name: Which queries.
        cross_camera: Whether only frames of other cameras than the query's are searched. The public evaluations of
            person search do not (`ignore_cam_id=True`): there, matches of the same camera count.
    """
    frames = load_frames(root, *TEST)
    numbers = _numbers(frames)
    index = {frame.name: i for i, frame in enumerate(frames)}
    cameras = np.array([camera_of(frame.name) for frame in frames]) if cross_camera else np.zeros(len(frames))
    places: dict[int, list[tuple[int, NDArray[np.float32]]]] = {}
    for i, frame in enumerate(frames):
        # Where an id stands twice in a frame, the first box is the truth, as in the public evaluations.
        for identity, row in dict(zip(frame.ids[::-1].tolist(), range(len(frame.ids))[::-1], strict=True)).items():
            places.setdefault(identity, []).append((i, frame.boxes[row]))
    queries, entries, positives, boxes, offsets = [], [], [], [], [0]
    for image, box, identity in read_queries(root / QUERIES[name]):
        queries.append(Query(image, box, numbers.get(identity, UNLABELLED)))
        searched = cameras != camera_of(image) if cross_camera else np.ones(len(frames), bool)
        if image in index:
            searched[index[image]] = False
        entry_of = np.cumsum(searched) - 1
        for i, truth in places.get(identity, ()):
            if searched[i]:
                positives.append(offsets[-1] + int(entry_of[i]))
                boxes.append(truth)
        entries.append(np.flatnonzero(searched).astype(np.int32))
        offsets.append(offsets[-1] + len(entries[-1]))
    return Protocol(
        name=name,
        gallery_size=-1,
        queries=queries,
        images=[frame.name for frame in frames],
        offsets=np.array(offsets, np.int64),
        entries=np.concatenate(entries),
        positives=np.array(positives, np.int64),
        positive_boxes=np.array(boxes, np.float32).reshape(-1, 4),
    )


def camera_of(name: str) -> int:
    """The camera of a frame: the digit after `c` in its name."""
    found = re.match(r"c(\d)", name)
    if found is None:
        raise UserError(f"the frame name {name!r} does not begin with its camera ('c1')", remedy=REMEDY)
    return int(found[1])


def load_frames(root: Path, file: Path, variable: str) -> list[Frame]:
    """The frames that a list names, in its order, with their annotations."""
    return [read_frame(root, name) for name in frame_names(root, file, variable)]


def frame_names(root: Path, file: Path, variable: str) -> list[str]:
    """File names of the frames of `frame_train.mat` or `frame_test.mat`, which has them without `.jpg`."""
    path = root / file
    cells = read_mat(path, variable)
    if not isinstance(cells, list) or not cells:
        raise UserError("is not a cell array of frame names", file=path, place=variable, remedy=REMEDY)
    names = [_with_suffix(image_name(cell, path, f"{variable}({row + 1})")) for row, cell in enumerate(cells)]
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise UserError(f"lists the frame {twice} twice", file=path, place=variable, remedy=REMEDY)
    return names


def read_frame(root: Path, name: str) -> Frame:
    """One frame's annotation; boxes without area once cut are left out, negative ids (-2) are `UNLABELLED`."""
    file = annotation_file(root, name)
    return frame_of(name, read_mat(file, *KEYS), file)


def annotation_file(root: Path, name: str) -> Path:
    """Where a frame's annotation lies."""
    return root / ANNOTATIONS / f"{name}.mat"


def frame_of(name: str, stored: Any, file: Path) -> Frame:
    """`read_frame` of a matrix at hand; `file` names it in errors."""
    if not isinstance(stored, np.ndarray) or stored.dtype.kind not in "iuf":
        raise UserError("is not a matrix of numbers", file=file, remedy=REMEDY)
    if stored.size == 0:
        return Frame(name, np.empty((0, 4), np.float32), np.empty(0, np.int64))
    if stored.ndim != 2 or stored.shape[1] != 5:
        raise UserError(f"has a matrix of shape {stored.shape} instead of (N, 5)", file=file, remedy=REMEDY)
    rows = stored.astype(np.float64)  # MATLAB may store whole numbers as uint8, in which x + w would overflow
    if not (np.abs(rows) < MAX_COORDINATE).all():
        row = int((~(np.abs(rows) < MAX_COORDINATE)).any(axis=1).argmax())
        raise UserError("holds an impossible number", file=file, place=f"row {row + 1}", remedy=REMEDY)
    ids = rows[:, 0].astype(np.int64)
    if (ids != rows[:, 0]).any():
        row = int((ids != rows[:, 0]).argmax())
        raise UserError(f"has the id {rows[row, 0]:g}", file=file, place=f"row {row + 1}", remedy=REMEDY)
    boxes = corner_boxes(rows[:, 1:])
    kept = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return Frame(name, boxes[kept], np.where(ids < 0, UNLABELLED, ids)[kept])


def corner_boxes(stored: NDArray[np.float64]) -> NDArray[np.float32]:
    """Whole x1, y1, x2, y2 (N, 4) of stored x, y, w, h: truncated towards 0, then cut at 0."""
    corners = np.concatenate([stored[:, :2], stored[:, :2] + stored[:, 2:]], axis=1)
    return np.asarray(np.maximum(np.trunc(corners), 0), np.float32)


def read_queries(file: Path) -> list[tuple[str, NDArray[np.float32], int]]:
    """(image, box, id as stored) of each line `id x y w h frame`, whichever the line ends."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise UserError("does not exist", file=file, remedy="check the dataset's root folder") from None
    except (OSError, UnicodeDecodeError):
        raise UserError("cannot be read as text", file=file, remedy=REMEDY) from None
    queries = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            queries.append(_query(line.split(), file, f"line {number}"))
    if not queries:
        raise UserError("holds no query", file=file, remedy=REMEDY)
    return queries


def _query(words: list[str], file: Path, place: str) -> tuple[str, NDArray[np.float32], int]:
    try:
        identity, (x, y, w, h) = int(words[0]), map(float, words[1:5])
        frame = words[5]
    except (ValueError, IndexError):
        identity, x, y, w, h, frame = -1, np.nan, 0.0, 0.0, 0.0, ""
    stored = np.array([[x, y, w, h]])
    if len(words) != 6 or identity < 0 or not (np.abs(stored) < MAX_COORDINATE).all():
        raise UserError("is not `id x y w h frame`", file=file, place=place, remedy=REMEDY)
    box = corner_boxes(stored)[0]
    if not (box[2:] > box[:2]).all():
        raise UserError("has a box without area", file=file, place=place, remedy=REMEDY)
    return _with_suffix(image_name(frame, file, place)), box, identity


def _with_suffix(frame: str) -> str:
    return frame if frame.endswith(".jpg") else f"{frame}.jpg"


def _numbers(frames: Sequence[Frame]) -> dict[int, int]:
    """Id as stored -> identity 0, 1, ... in ascending order."""
    found = np.unique(np.concatenate([frame.ids for frame in frames]))
    return {int(identity): number for number, identity in enumerate(found[found >= 0])}


def _split(root: Path, frames: Sequence[Frame]) -> SearchSplit:
    numbers = _numbers(frames)
    known = np.array([*numbers, np.iinfo(np.int64).max])
    images = []
    for frame in sorted(frames, key=lambda frame: frame.name):
        ids = np.where(frame.ids >= 0, np.searchsorted(known, frame.ids), UNLABELLED)
        images.append(SearchImage(frame.name, root / IMAGE_FOLDER / frame.name, frame.boxes, ids))
    return SearchSplit(images, len(numbers))
