"""One shard: the crops of some videos, JPEG after JPEG in one file, and the index of them in another.

`shard-00000.jpegs` is whole when `shard-00000.safetensors` exists: the index is written last and holds the hash of the
other. Bytes depend on the videos, their images and the job's parameters alone.

The index, one row a crop (N), sorted by video, track and frame:

- `place` (N, 2) int64, where the inner and the outer JPEG begin; `length` (N, 2) int32, their bytes;
- `view` (N, 2, 3) float32, x and y of the target's centre in the decoded image, and its pixels in a pixel at the
  exemplar's scale;
- `border` (N, 3) uint8, RGB beyond the decoded image; `box` (N, 4) float32, x1, y1, x2, y2 of the target in the whole
  outer crop, whose middle is its centre; `frame` (N,) int64, the set's number of it; `flags` (N,) uint8, 1 occluded, 2
  generated;
- `track` (T + 1,) int64, first row of each track; `video` (V + 1,) int64, first track of each video.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import cv2
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from distillery.config.shards import ShardJob, ShardSource
from distillery.data.images import read_bgr
from distillery.errors import UserError
from distillery.files import atomic_file, sha256_of_file
from distillery.tracking.boxes import FloatArray, xywh_to_centre
from distillery.tracking.crop_parts import Colour, Scale, part_of
from distillery.tracking.crops import Image, context_side, mean_colour
from distillery.tracking.training_sets.base import Video, whole

OCCLUDED, GENERATED = 1, 2


class ShardTask(NamedTuple):
    """What a process is told."""

    base: Path
    """Path of the shard without a suffix."""
    key: str
    """What its bytes follow from; a shard of another key is made again."""
    root: Path
    """Folder of the set."""
    videos: tuple[Video, ...]
    job: ShardJob
    source: ShardSource
    partial: bool
    """Whether images may be missing."""

    @property
    def data_file(self) -> Path:
        """File of the crops."""
        return self.base.with_suffix(".jpegs")

    @property
    def index_file(self) -> Path:
        """File of their index."""
        return self.base.with_suffix(".safetensors")


class _Crop(NamedTuple):
    """A row of the index."""

    place: tuple[int, int]
    length: tuple[int, int]
    view: tuple[tuple[float, float, float], tuple[float, float, float]]
    border: tuple[int, int, int]
    box: tuple[float, float, float, float]
    frame: int
    flags: int


_TYPES = {
    "place": np.int64,
    "length": np.int32,
    "view": np.float32,
    "border": np.uint8,
    "box": np.float32,
    "frame": np.int64,
    "flags": np.uint8,
}
_SHAPES = {"place": (-1, 2), "length": (-1, 2), "view": (-1, 2, 3), "border": (-1, 3), "box": (-1, 4)}


def write_shard(task: ShardTask) -> dict[str, Any]:
    """Makes a shard.

    Returns:
        What the index's metadata say too: key, sha256 and bytes of the crops, counts, and the images that were skipped.

    Raises:
        UserError: If an image is corrupt and may not be skipped, or the disk is full.
    """
    rows: dict[tuple[int, int], list[_Crop]] = {}
    told: dict[str, Any] = {"skipped": [], "missing": 0, "images": 0, "outside": 0}
    with atomic_file(task.data_file) as temporary, temporary.open("wb") as stream:
        writer = _Writer(stream)
        for number, video in enumerate(task.videos):
            for track, crop in _crops(task, video, writer, told):
                rows.setdefault((number, track), []).append(crop)
        stream.flush()
        os.fsync(stream.fileno())
    tracks = sorted(rows)
    crops = [crop for track in tracks for crop in rows[track]]
    owners = sorted({number for number, _ in tracks})
    told |= {"key": task.key, "sha256": writer.digest.hexdigest(), "bytes": writer.at}
    told |= {"crops": len(crops), "tracks": len(tracks), "videos": len(owners)}
    names = {
        "videos": [task.videos[number].name for number in owners],
        "tracks": [task.videos[number].tracks[track].name for number, track in tracks],
    }
    _write_index(
        task.index_file, crops, [len(rows[track]) for track in tracks], [number for number, _ in tracks], told, names
    )
    return told


class _Writer:
    """Appends to the file of crops."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.at, self.digest = stream, 0, hashlib.sha256()

    def __call__(self, data: bytes) -> int:
        place, self.at = self.at, self.at + len(data)
        self._stream.write(data)
        self.digest.update(data)
        return place


def _crops(task: ShardTask, video: Video, writer: _Writer, told: dict[str, Any]) -> Iterator[tuple[int, _Crop]]:
    """Number of the track and the crop, frame by frame: each is decoded once for all its objects."""
    wanted: dict[int, list[tuple[int, int]]] = {}
    for number, track in enumerate(video.tracks):
        kept = whole(track.boxes) if task.source.occluded else whole(track.boxes) & ~track.occluded
        for row in np.flatnonzero(kept).tolist():
            wanted.setdefault(int(track.rows[row]), []).append((number, row))
    for place in sorted(wanted):
        file = task.root / video.images[place]
        if task.partial and not file.exists():
            told["missing"] += 1
            continue
        told["images"] += 1
        try:
            frame = read_bgr(file)
        except UserError as error:
            if task.job.shards.on_corrupt == "fail":
                raise
            told["skipped"].append([video.images[place], error.problem])
            continue
        border = mean_colour(frame)
        for number, row in wanted[place]:
            track = video.tracks[number]
            box = track.boxes[row] * ([frame.shape[1], frame.shape[0]] * 2) if video.relative else track.boxes[row]
            if min(box[2:]) < task.source.smallest:
                continue
            flags = OCCLUDED * bool(track.occluded[row]) + GENERATED * bool(track.generated[row])
            made = _crop(frame, box, border, int(video.frames[place]), flags, task.job, writer)
            if made is None:
                told["outside"] += 1
            else:
                yield number, made


def _crop(
    frame: Image, box: FloatArray, border: Colour, number: int, flags: int, job: ShardJob, writer: _Writer
) -> _Crop | None:
    """Encodes and writes the two crops of a target; None if it lies outside the frame."""
    x, y, width, height = (float(value) for value in xywh_to_centre(box))
    scale = Scale(job.exemplar, job.context)
    near, far = (part_of(frame, (x, y), (width, height), side, scale, border) for side in (job.inner, job.outer))
    if near is None or far is None:
        return None
    data = [_jpeg(part.image, job.shards.quality) for part in (near, far)]
    # The first and the last pixel of a crop lie on the square's edges, so it is shown a little smaller than it says.
    zoom = context_side(width, height, job.context) / job.exemplar * job.outer / (job.outer - 1)
    middle, across, down = (job.outer - 1) / 2, width / zoom / 2, height / zoom / 2
    blue, green, red = (round(value) for value in border)
    return _Crop(
        place=(writer(data[0]), writer(data[1])),
        length=(len(data[0]), len(data[1])),
        view=((*near.centre, near.scale), (*far.centre, far.scale)),
        border=(red, green, blue),
        box=(middle - across, middle - down, middle + across, middle + down),
        frame=number,
        flags=flags,
    )


def _jpeg(image: Image, quality: int) -> bytes:
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done  # of 8-bit pixels it always is
    return data.tobytes()


def _write_index(
    path: Path, crops: list[_Crop], lengths: list[int], owners: list[int], told: dict[str, Any], names: dict[str, Any]
) -> None:
    """The index of crops that are sorted by track.

    Args:
        path: File to write.
        crops: Of all tracks.
        lengths: (T,) crops of each track.
        owners: (T,) video of each track, ascending.
        told: For the metadata.
        names: Of videos and tracks, for people.
    """
    tensors = {
        name: np.array([getattr(crop, name) for crop in crops], kind).reshape(_SHAPES.get(name, (-1,)))
        for name, kind in _TYPES.items()
    }
    tensors["track"] = np.cumsum([0, *lengths], dtype=np.int64)
    begins = np.flatnonzero(np.diff(owners, prepend=-1, append=-1)) if owners else np.zeros(1, np.int64)
    tensors["video"] = begins.astype(np.int64)
    with atomic_file(path) as temporary:
        # One entry: safetensors writes several in any order.
        save_file(tensors, temporary, {"shard": json.dumps(told | {"names": names}, sort_keys=True)})


def finished(task: ShardTask) -> dict[str, Any] | None:
    """What `write_shard` told of a shard that is whole and of the same key, else None; the crops are hashed."""
    try:
        with safe_open(task.index_file, framework="np") as file:
            told: dict[str, Any] = json.loads((file.metadata() or {})["shard"])
        if told["key"] != task.key or task.data_file.stat().st_size != told["bytes"]:
            return None
        if sha256_of_file(task.data_file) != told["sha256"]:
            return None
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None
    told.pop("names", None)
    return told


def make_shard(task: ShardTask) -> dict[str, Any]:
    """What `write_shard` tells, of a finished shard or one that is made now; `index` is the hash of its index."""
    told = finished(task) or write_shard(task)
    return told | {"name": task.base.name, "index": sha256_of_file(task.index_file)}
