"""What a person-search model says about a benchmark, in one .npz file that anyone can write.

========================= =========== ==========================================================
`gallery_image`           (N,) str    file name of the image of each detection
`gallery_box`             (N, 4)      x1, y1, x2, y2 in pixels
`gallery_score`           (N,)        confidence that the box holds a person
`gallery_feature`         (N, D)      its re-identification feature (the scorer normalises it)
`query_feature`           (Q, D)      features of the queries, in the protocol's order
========================= =========== ==========================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distillery.errors import UserError
from distillery.files import atomic_file

_DIMENSIONS = {
    "gallery_image": 1,
    "gallery_box": 2,
    "gallery_score": 1,
    "gallery_feature": 2,
    "query_feature": 2,
}
_REMEDY = "write the file again as the predictions page of the documentation says"


@dataclass(frozen=True)
class Predictions:
    """Detections in the gallery images and features of the queries; the fields are described at the module's head.

    Numbers are float32 once validated. A query that was not run has a row of NaN; such a file is partial.
    """

    gallery_image: NDArray[np.str_]
    gallery_box: NDArray[np.float32]
    gallery_score: NDArray[np.float32]
    gallery_feature: NDArray[np.float32]
    query_feature: NDArray[np.float32]


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Writes validated predictions, whole or not at all; the same predictions give the same bytes."""
    checked = validated(vars(predictions), path)
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        # savez dates its members 1980-01-01, so the bytes do not depend on the clock (a test holds this).
        np.savez(stream, allow_pickle=False, **vars(checked))


def read_predictions(path: Path) -> Predictions:
    """Reads and validates predictions; nothing in the file is unpickled.

    Raises:
        UserError: the file is missing or no .npz archive, or an array is missing or malformed (named in the message).
    """
    try:
        archive = np.load(path, allow_pickle=False)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise UserError("does not exist", file=path, remedy="give the .npz file with the predictions") from error
    except Exception as error:  # zip and header parsers raise many types on hostile bytes; each means the same
        raise UserError("is not an .npz archive, or is truncated", file=path, remedy=_REMEDY) from error
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise UserError("is a single array, not an .npz archive", file=path, remedy=_REMEDY)
    arrays = {}
    with archive:
        for name in _DIMENSIONS:
            if name not in archive.files:
                raise UserError("is missing", file=path, place=f"array '{name}'", remedy=_REMEDY)
            try:
                arrays[name] = archive[name]
            except Exception as error:
                problem = "cannot be read (truncated, or it holds Python objects)"
                raise UserError(problem, file=path, place=f"array '{name}'", remedy=_REMEDY) from error
    return validated(arrays, path)


def validated(arrays: dict[str, Any], path: Path | None = None) -> Predictions:
    """Predictions in the types of the contract, or a `UserError` that names the array at fault."""

    def refuse(name: str, problem: str) -> UserError:
        return UserError(problem, file=path, place=f"array '{name}'", remedy=_REMEDY)

    checked: dict[str, NDArray[Any]] = {}
    for name, dimensions in _DIMENSIONS.items():
        array = np.asarray(arrays[name])
        if array.ndim != dimensions:
            raise refuse(name, f"has {array.ndim} dimensions instead of {dimensions}")
        if name == "gallery_image":
            if array.dtype.kind != "U" and array.size:
                raise refuse(name, f"holds {array.dtype} instead of strings")
            checked[name] = array.astype(np.str_)
            continue
        if array.dtype.kind not in "fiu":
            raise refuse(name, f"holds {array.dtype} instead of numbers")
        with np.errstate(over="ignore"):
            checked[name] = np.ascontiguousarray(array, np.float32)

    detections = len(checked["gallery_image"])
    for name in ("gallery_box", "gallery_score", "gallery_feature"):
        if len(checked[name]) != detections:
            raise refuse(name, f"has {len(checked[name])} rows, 'gallery_image' has {detections}")
        bad = ~np.isfinite(checked[name]).reshape(detections, -1).all(axis=1) if detections else np.zeros(0, bool)
        if bad.any():
            raise refuse(name, f"holds NaN or infinity in row {int(bad.argmax())}")
    if checked["gallery_box"].shape[1] != 4:
        raise refuse("gallery_box", f"has {checked['gallery_box'].shape[1]} columns instead of 4 (x1, y1, x2, y2)")
    corners = checked["gallery_box"].reshape(-1, 2, 2)
    if (turned := (corners[:, 1] < corners[:, 0]).any(axis=1)).any():
        raise refuse("gallery_box", f"is not x1, y1, x2, y2 in row {int(turned.argmax())}: x2 < x1 or y2 < y1")
    width, query_width = checked["gallery_feature"].shape[1], checked["query_feature"].shape[1]
    if width != query_width:
        raise refuse("query_feature", f"has {query_width} dimensions, 'gallery_feature' has {width}")
    if width == 0:
        raise refuse("query_feature", "has no dimension")
    finite = np.isfinite(checked["query_feature"]).all(axis=1)
    absent = np.isnan(checked["query_feature"]).all(axis=1)
    if (bad := ~(finite | absent)).any():
        raise refuse("query_feature", f"holds NaN or infinity in row {int(bad.argmax())}")
    return Predictions(**checked)
