"""COCO 2017: `annotations/instances_train2017.json` and `train2017/000000000009.jpg`, each object a still track.

Format: cocodataset.org, "Data format": `bbox` is x, y, width, height from the image's upper left corner, so that pixel
i lies between i and i + 1, which is this project's notation. Crowds (`iscrowd` 1, one box around many) are left out:
our choice, pysot keeps them.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from distillery.data.checking import CheckReport
from distillery.errors import UserError
from distillery.tracking.training_sets.base import (
    FARTHEST,
    RESTORE,
    TrainingSet,
    Video,
    require_folders,
    survey,
    track,
)
from distillery.tracking.training_sets.json_stream import items

NAME = "coco"
TITLE = "COCO"
ANNOTATIONS, IMAGES = Path("annotations/instances_train2017.json"), Path("train2017")


def load(root: Path) -> TrainingSet:
    """The training part below the folder that holds `annotations` and `train2017`.

    The annotations are read as a stream; what is kept of them is 60 bytes a box and 150 an image.

    Raises:
        UserError: If the file of annotations is missing, truncated or malformed.
    """
    require_folders(root, TITLE, str(ANNOTATIONS.parent), str(IMAGES))
    file = root / ANNOTATIONS
    names: dict[int, str] = {}
    owners, numbers, values = array("q"), array("q"), array("d")
    for count, (key, item) in enumerate(items(file, ("images", "annotations"), remedy=RESTORE)):
        place = f"item {count + 1}, of {key}"
        if not isinstance(item, dict):
            raise UserError("is not an object", file=file, place=place, remedy=RESTORE)
        if key == "images":
            names[_integer(item, "id", file, place)] = _name(item, file, place)
        elif _integer(item, "iscrowd", file, place, default=0) == 0:
            owners.append(_integer(item, "image_id", file, place))
            numbers.append(_integer(item, "id", file, place))
            values.extend(_box(item, file, place))
    owner = np.frombuffer(owners, np.int64) if owners else np.empty(0, np.int64)
    strangers = np.setdiff1d(owner, np.fromiter(names, np.int64, len(names)))
    if len(strangers):
        problem = f"annotates image {strangers[0]}, which it does not list"
        raise UserError(problem, file=file, remedy=RESTORE)
    boxes = np.frombuffer(values, np.float64).reshape(-1, 4) if values else np.empty((0, 4))
    return TrainingSet(TITLE, root, len(names), partial(_videos, names, owner, np.array(numbers, np.int64), boxes))


def check(root: Path) -> CheckReport:
    """Reads the annotations; the images are decoded by the caller."""
    return survey(NAME, load, Path(root), {})


def _videos(names: dict[int, str], owner: Any, number: Any, boxes: Any) -> Iterator[Video]:
    """Images in the order of the file, their objects in the order of their annotations."""
    order = np.argsort(owner, kind="stable")
    sorted_owner = owner[order]
    for image, name in names.items():
        low, high = np.searchsorted(sorted_owner, [image, image + 1]).tolist()
        yield Video(
            name=name.rsplit(".", 1)[0],
            images=(str(IMAGES / name),),
            frames=np.zeros(1, np.int64),
            tracks=tuple(track(str(number[row]), [0], boxes[row]) for row in order[low:high].tolist()),
        )


def _integer(item: dict[str, Any], key: str, file: Path, place: str, default: int | None = None) -> int:
    value = item.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not -(2**62) < value < 2**62:
        raise UserError(f"has no whole number {key!r}", file=file, place=place, remedy=RESTORE)
    return value


def _name(item: dict[str, Any], file: Path, place: str) -> str:
    name = item.get("file_name")
    # A path that leads out of the folder would make other files of this machine into training data.
    if not isinstance(name, str) or PurePosixPath(name).name != name or "\0" in name or name in ("", ".."):
        raise UserError("has no plain file name", file=file, place=place, remedy=RESTORE)
    return name


def _box(item: dict[str, Any], file: Path, place: str) -> list[float]:
    box = item.get("bbox")
    fine = isinstance(box, list) and len(box) == 4 and all(type(side) in (int, float) for side in box)
    if not fine or not all(math.isfinite(side) and abs(side) <= FARTHEST for side in box or ()):
        raise UserError("has no bbox of four numbers", file=file, place=place, remedy=RESTORE)
    return [float(side) for side in box or ()]
