"""VOT2018 and VOT2019, short-term (Kristan et al., ICCV/ECCV workshops): `list.txt`, `NAME/color/00000001.jpg …`,
`NAME/groundtruth.txt` with polygons x1,y1 … x4,y4 (or boxes x,y,w,h) from 0, and five tags for each frame.

Images may also lie in `NAME/` itself. Without `list.txt` the official sequences of the year are expected. A folder with
pysot's `VOT2018.json` or `VOT2019.json` can be scored without the sequences' own files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from distillery.errors import UserError
from distillery.tracking.benchmarks.annotations import (
    Annotations,
    find_annotations,
    flags,
    frame_size,
    number_rows,
    read_annotations,
)
from distillery.tracking.benchmarks.base import (
    RESTORE,
    Sequence,
    SequenceSet,
    collect,
    header_size,
    image_files,
    numbered_frames,
    require_folder,
)
from distillery.tracking.benchmarks.text_files import read_boxes, read_flags, read_names, require_plain_names
from distillery.tracking.benchmarks.vot_table import SEQUENCES
from distillery.tracking.boxes import BoolArray, FloatArray

NAMES = tuple(SEQUENCES)
TAGS = {
    "camera_motion": ("camera_motion",),
    "illum_change": ("illum_change", "illu_change"),
    "motion_change": ("motion_change",),
    "size_change": ("size_change",),
    "occlusion": ("occlusion",),
}
"""Tag as pysot names it -> stems of the files `NAME/STEM.tag` or `.label` that hold it."""
FARTHEST = 1e5
"""Largest coordinate of a region: beyond any image, and small enough for exact arithmetic on its pixels."""


@dataclass(frozen=True, eq=False, kw_only=True)
class VOTSequence(Sequence):
    """A sequence with VOT's labels; `regions` and, where the frames or the JSON are there, `image_size` are set."""

    rectangle: bool
    """Whether the file holds boxes x,y,w,h, whose corners (x, y) .. (x+w, y+h) then stand in `regions`."""
    tags: Mapping[str, BoolArray]
    """Tag -> (N,) whether it applies to the frame; a difficulty that nobody labelled is left out."""


def load(
    root: Path, *, name: str | None = None, need_frames: bool = True, allow_partial: bool = False
) -> list[VOTSequence]:
    """Reads a VOT set.

    Args:
        root: The folder of `list.txt` and the sequences' folders, or of pysot's annotation file.
        name: "vot2018" or "vot2019": whose annotation file is read, and which sequences are expected without a list.
        need_frames: Whether the images must be there; scoring does without.
        allow_partial: Whether absent sequences are left out.

    Returns:
        The sequences in the benchmark's order; `truth` is the axis-aligned box that trackers start from.

    Raises:
        UserError: Naming what is absent, or the file and row that is malformed.
    """
    sequences = collect(_set(Path(root), name, need_frames), allow_partial=allow_partial)
    return [sequence for sequence in sequences if isinstance(sequence, VOTSequence)]


def expected(root: Path, *, name: str | None = None) -> list[str]:
    """Names of the sequences that `root` must hold: of `list.txt`, else of the annotations, else the official 60."""
    return list(_set(Path(root), name, False).names)


def wanted(root: Path, name: str | None = None) -> SequenceSet:
    """The set with its frames, before it is read: what `distillery check` looks at one by one."""
    return _set(Path(root), name, True)


def axis_aligned(regions: FloatArray) -> FloatArray:
    """The boxes that trackers start from.

    Centre of the corners, aspect of the extent, and the area of the polygon (pysot's `get_axis_aligned_bbox`, with the
    +1 of its sides and the corner cx - (w - 1) / 2 of its `tools/test.py`). A polygon without extent gives one pixel.

    Args:
        regions: (N, 8) corners x1,y1 .. x4,y4.

    Returns:
        (N, 4) left, top, width, height in the same numbering.
    """
    corners = regions.reshape(-1, 4, 2)
    extent = corners.max(axis=1) - corners.min(axis=1)
    area = np.linalg.norm(corners[:, 0] - corners[:, 1], axis=1) * np.linalg.norm(corners[:, 1] - corners[:, 2], axis=1)
    bounding = extent.prod(axis=1)
    flat = bounding <= 0
    sides = np.sqrt(np.where(flat, 0, area) / np.where(flat, 1, bounding))[:, None] * extent + 1
    return np.concatenate([corners.mean(axis=1) - (sides - 1) / 2, sides], axis=1)


def _set(root: Path, name: str | None, need_frames: bool) -> SequenceSet:
    if name is not None and name not in NAMES:
        raise UserError(f"unknown VOT set {name!r}", remedy=f"choose one of {', '.join(NAMES)}")
    title = (name or "VOT").upper()
    require_folder(root, title)
    collection = _collection(root, name)
    annotations = read_annotations(collection) if collection else {}
    if annotations and collection:
        require_plain_names(annotations, collection, remedy=RESTORE)
    names = _names(root, name, tuple(annotations))
    return SequenceSet(title, root, names, partial(_read, root, collection, annotations, need_frames=need_frames))


def _names(root: Path, name: str | None, annotated: tuple[str, ...]) -> tuple[str, ...]:
    listed = root / "list.txt"
    if listed.exists() or not (annotated or name):
        return tuple(read_names(listed, remedy=RESTORE))
    return annotated or SEQUENCES[name or ""]


def _collection(root: Path, name: str | None) -> Path | None:
    files = tuple(f"{one.upper()}.json" for one in ([name] if name else NAMES))
    found = find_annotations(root, files)
    if name is None and len([file for file in files if (root / file).is_file()]) > 1:
        raise UserError(f"holds {' and '.join(files)}", file=root, remedy="say which benchmark is meant")
    return found


def _read(
    root: Path, collection: Path | None, annotations: Annotations, name: str, *, need_frames: bool
) -> VOTSequence | None:
    folder = root / name
    file = folder / "groundtruth.txt"
    images = folder / "color" if (folder / "color").is_dir() else folder
    if file.is_file():
        rows = read_boxes(file, columns=(8, 4), remedy=RESTORE)
        tags = _tags(folder, len(rows))
        size = _first_size(images)
    elif collection is not None and name in annotations and (images.is_dir() or not need_frames):
        file, entry = collection, annotations[name]
        rows = number_rows(entry, "gt_rect", columns=(8, 4), file=file, name=name)
        given = {tag: flags(entry, tag, len(rows), file=file, name=name) for tag in TAGS}
        tags = {tag: values.astype(np.bool_) for tag, values in given.items() if values is not None}
        size = frame_size(entry) or _first_size(images)
    else:
        return None
    if (far := np.flatnonzero((np.abs(rows) > FARTHEST).any(axis=1))).size:
        place = f"frame {far[0] + 1} of {name}"
        raise UserError("holds a coordinate that no image has", file=file, place=place, remedy=RESTORE)
    rectangle = rows.shape[1] == 4
    regions = _corners(rows) if rectangle else rows
    return VOTSequence(
        name=name,
        frames=numbered_frames(images, len(rows), file) if need_frames else (),
        truth=_shifted(rows) if rectangle else axis_aligned(rows),
        truth_file=file,
        first_pixel=0,
        image_size=size,
        regions=regions,
        rectangle=rectangle,
        tags=tags,
    )


def _corners(boxes: FloatArray) -> FloatArray:
    x, y, w, h = boxes.T
    return np.stack([x, y, x + w, y, x + w, y + h, x, y + h], axis=1)


def _shifted(boxes: FloatArray) -> FloatArray:
    """Boxes as pysot hands them to a tracker: the centre x + w/2 taken for that of the middle pixel."""
    return np.add(boxes, [0.5, 0.5, 0.0, 0.0])


def _tags(folder: Path, frames: int) -> dict[str, BoolArray]:
    found = {}
    for tag, stems in TAGS.items():
        paths = (folder / f"{stem}{suffix}" for stem in stems for suffix in (".tag", ".label"))
        file = next((path for path in paths if path.is_file() and path.stat().st_size), None)
        if file is not None:  # the official files may end before the sequence does (vot-toolkit pads them, too)
            found[tag] = read_flags(file, frames, remedy=RESTORE, pad=True).astype(np.bool_)
    return found


def _first_size(folder: Path) -> tuple[int, int] | None:
    images = image_files(folder)
    return header_size(images[0]) if images else None
