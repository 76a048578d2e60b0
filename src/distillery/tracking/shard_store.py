"""Reads shards of crops: the files are mapped, and of a crop only its own bytes are touched and decoded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open

from distillery.config.base import parse
from distillery.config.shards import FORMAT, ShardJob
from distillery.errors import UserError
from distillery.files import read_json
from distillery.tracking.crops import Surroundings

_REMEDY = "run `distillery crop-shards` again"
_JPEG_END = b"\xff\xd9"
INNER, OUTER = 0, 1
IntArray = npt.NDArray[np.int64]


class _Shard(NamedTuple):
    """Mapped arrays; their pages are loaded when they are asked for, and shared by the jobs of a machine."""

    path: Path
    data: npt.NDArray[np.uint8]
    place: IntArray
    length: npt.NDArray[np.int32]
    view: npt.NDArray[np.float32]
    border: npt.NDArray[np.uint8]
    box: npt.NDArray[np.float32]


class ShardedSet:
    """The crops of one set.

    Args:
        folder: Of its shards.
        about: The set's entry in the sidecar.
        job: Parameters of the shards.
    """

    def __init__(self, folder: Path, about: dict[str, Any], job: ShardJob) -> None:
        self._scale = job.outer / (job.outer - 1)
        self._shards: list[_Shard] = []
        tracks, videos, first = [np.zeros(1, np.int64)], [np.zeros(1, np.int64)], [0]
        for entry in about["shards"]:
            shard, track, video = _open(folder, entry)
            self._shards.append(shard)
            videos.append(video[1:] + tracks_so_far(tracks))
            tracks.append(track[1:] + first[-1])
            first.append(first[-1] + len(shard.place))
        self._first = np.array(first, np.int64)
        self.track = np.concatenate(tracks)
        """(T + 1,) number of each track's first crop."""
        self.video = np.concatenate(videos)
        """(V + 1,) number of each video's first track."""

    @property
    def videos(self) -> int:
        """Number of videos."""
        return len(self.video) - 1

    def crops_of(self, track: int) -> tuple[int, int]:
        """The first crop of a track and the one after its last: consecutive frames."""
        return int(self.track[track]), int(self.track[track + 1])

    def tracks_of(self, video: int) -> tuple[int, int]:
        """The first track of a video and the one after its last."""
        return int(self.video[video]), int(self.video[video + 1])

    def size(self, crop: int) -> tuple[float, float]:
        """Width and height of a target in pixels at the scale of the exemplar."""
        shard, row = self._find(crop)
        left, top, right, bottom = shard.box[row].tolist()
        return (right - left) * self._scale, (bottom - top) * self._scale

    def read(self, crop: int, which: int) -> Surroundings:
        """Decodes a crop, RGB.

        Args:
            crop: Its number.
            which: `INNER` or `OUTER`.

        Raises:
            UserError: If its bytes are damaged.
        """
        shard, row = self._find(crop)
        begin = int(shard.place[row, which])
        data = shard.data[begin : begin + int(shard.length[row, which])]
        whole = len(data) > 2 and data[-2:].tobytes() == _JPEG_END
        image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if whole else None
        if image is None:
            raise UserError("is damaged", file=shard.path, place=f"crop {row}", remedy=_REMEDY)
        x, y, scale = shard.view[row, which].tolist()
        return Surroundings(image, (x, y), scale)  # type: ignore[arg-type]

    def border(self, crop: int) -> tuple[float, float, float]:
        """Colour beyond the pixels of a crop."""
        shard, row = self._find(crop)
        red, green, blue = shard.border[row].tolist()
        return red, green, blue

    def _find(self, crop: int) -> tuple[_Shard, int]:
        shard = int(np.searchsorted(self._first, crop, side="right")) - 1
        return self._shards[shard], crop - int(self._first[shard])


def tracks_so_far(tracks: list[IntArray]) -> int:
    """How many tracks the given arrays of first crops speak of, the first of which is the 0 before all."""
    return sum(map(len, tracks)) - 1


def open_shards(sidecar: Path) -> tuple[ShardJob, dict[str, ShardedSet]]:
    """The job that made shards, and each set's crops.

    Args:
        sidecar: `FOLDER.json` of `crop_shards.build_shards`.

    Raises:
        UserError: If the sidecar, a shard or an index is missing, truncated or another one than the sidecar says.
    """
    content = read_json(sidecar)
    if not isinstance(content, dict) or content.get("format") != FORMAT or not isinstance(content.get("sets"), dict):
        raise UserError("does not describe shards of crops of this version", file=sidecar, remedy=_REMEDY)
    job = parse(ShardJob, content.get("job"), source=str(sidecar))
    folder = sidecar.with_suffix("")
    try:
        return job, {name: ShardedSet(folder / name, about, job) for name, about in content["sets"].items()}
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(f"is malformed ({error})", file=sidecar, remedy=_REMEDY) from error


def _open(folder: Path, entry: dict[str, Any]) -> tuple[_Shard, IntArray, IntArray]:
    data, index = (folder / f"{entry['name']}{suffix}" for suffix in (".jpegs", ".safetensors"))
    for file in (data, index):
        if not file.is_file():
            raise UserError("does not exist", file=file, remedy=_REMEDY)
    try:
        with safe_open(index, framework="pt") as file:
            told = json.loads((file.metadata() or {})["shard"])
            names = ("place", "length", "view", "border", "box", "track", "video")
            place, length, view, border, box, track, video = (file.get_tensor(name).numpy() for name in names)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"is truncated or no index of crops ({error})", file=index, remedy=_REMEDY) from error
    if told.get("sha256") != entry["sha256"] or data.stat().st_size != told.get("bytes"):
        raise UserError("is not the shard of which its index and the sidecar speak", file=data, remedy=_REMEDY)
    # Mapped without a descriptor that stays open: there may be more shards than a process may open files.
    size = int(told["bytes"])
    if size:
        mapped = torch.from_file(str(data), shared=False, size=size, dtype=torch.uint8).numpy()
    else:  # of videos that are all gone
        mapped = np.empty(0, np.uint8)
    return _Shard(data, mapped, place, length, view, border, box), track, video
