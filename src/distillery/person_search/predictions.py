"""What a person-search model says about a benchmark, in one .npz file that anyone can write, in one of three forms.

Features: detections of the gallery images, compared with the queries by the cosine of their features.

========================= =========== ==========================================================
`gallery_image`           (N,) str    file name of the image of each detection
`gallery_box`             (N, 4)      x1, y1, x2, y2 in pixels
`gallery_score`           (N,)        confidence that the box holds a person
`gallery_feature`         (N, D)      its re-identification feature (the scorer normalises it)
`query_feature`           (Q, D)      features of the queries, in the protocol's order
`true_image`, `true_box`  (T,) (T, 4) optional: the annotated boxes of the gallery images, ...
`true_feature`            (T, D)      ... and their features, to measure re-identification alone
========================= =========== ==========================================================

Pairs: detections of each pair of a query and a gallery image, where what is found depends on whom one looks for.

========================= =========== ==========================================================
`pair_query`              (N,) int    row of the query in the protocol's order, 0 .. Q - 1
`pair_image`              (N,) str    file name of the gallery image; a pair without detections has no row
`pair_box`                (N, 4)      x1, y1, x2, y2 in pixels
`pair_score`              (N,)        confidence that the box holds a person
`pair_similarity`         (N,)        how surely it is the person of the query; only its order counts
`query_run`               (Q,) bool   which queries were run
`gallery_size`            () int      whose galleries were run (100 of TestG100, -1 the whole set); may be absent
========================= =========== ==========================================================

Detections: `gallery_image`, `gallery_box` and `gallery_score` alone. A file of pairs may hold these three as well; they
are then what detection is scored by.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distillery.errors import UserError
from distillery.files import atomic_file

_Arrays = dict[str, NDArray[Any]]
_STRINGS, _NUMBERS, _WHOLE, _FLAGS = "strings", "numbers", "whole numbers", "flags"
_KINDS = {_STRINGS: "U", _NUMBERS: "fiu", _WHOLE: "iu", _FLAGS: "b"}
# Array -> its dimensions and what it holds.
_ARRAYS = {
    "gallery_image": (1, _STRINGS),
    "gallery_box": (2, _NUMBERS),
    "gallery_score": (1, _NUMBERS),
    "gallery_feature": (2, _NUMBERS),
    "query_feature": (2, _NUMBERS),
    "true_image": (1, _STRINGS),
    "true_box": (2, _NUMBERS),
    "true_feature": (2, _NUMBERS),
    "pair_query": (1, _WHOLE),
    "pair_image": (1, _STRINGS),
    "pair_box": (2, _NUMBERS),
    "pair_score": (1, _NUMBERS),
    "pair_similarity": (1, _NUMBERS),
    "query_run": (1, _FLAGS),
    "gallery_size": (0, _WHOLE),
}
_DETECTIONS = ("gallery_image", "gallery_box", "gallery_score")
_FEATURES = (*_DETECTIONS, "gallery_feature", "query_feature")
_TRUE = ("true_image", "true_box", "true_feature")
_PAIRS = ("pair_query", "pair_image", "pair_box", "pair_score", "pair_similarity", "query_run")
_REMEDY = "write the file again as docs/predictions.md says"


@dataclass(frozen=True)
class Detections:
    """Detections in the gallery images, float32 once validated; the fields are described at the module's head."""

    gallery_image: NDArray[np.str_]
    gallery_box: NDArray[np.float32]
    gallery_score: NDArray[np.float32]


@dataclass(frozen=True)
class Predictions(Detections):
    """Detections with features, and features of the queries; the fields are described at the module's head.

    A query that was not run has a row of NaN; such a file is partial. The annotated boxes are there or they are not.
    """

    gallery_feature: NDArray[np.float32]
    query_feature: NDArray[np.float32]
    true_image: NDArray[np.str_] | None = None
    true_box: NDArray[np.float32] | None = None
    true_feature: NDArray[np.float32] | None = None

    def on_true_boxes(self) -> Predictions | None:
        """The annotated boxes in place of the detections, each with score 1; None where they are not there."""
        if self.true_image is None or self.true_box is None or self.true_feature is None:
            return None
        ones = np.ones(len(self.true_image), np.float32)
        return Predictions(self.true_image, self.true_box, ones, self.true_feature, self.query_feature)


@dataclass(frozen=True)
class PairPredictions:
    """Detections of pairs of a query and a gallery image; the fields are described at the module's head.

    `gallery_size` is None where all galleries were run; `detections` are those without a query, where there are such.
    """

    pair_query: NDArray[np.int64]
    pair_image: NDArray[np.str_]
    pair_box: NDArray[np.float32]
    pair_score: NDArray[np.float32]
    pair_similarity: NDArray[np.float32]
    query_run: NDArray[np.bool_]
    gallery_size: int | None = None
    detections: Detections | None = None


AnyPredictions = Predictions | PairPredictions | Detections


def write_predictions(path: Path, predictions: AnyPredictions) -> None:
    """Writes validated predictions of any form, whole or not at all; the same predictions give the same bytes."""
    checked = _arrays_of(validated_form(_arrays_of(predictions), path))
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        # savez dates its members 1980-01-01, so the bytes do not depend on the clock (a test holds this).
        np.savez(stream, allow_pickle=False, **checked)


def read_predictions(path: Path) -> Predictions:
    """Reads and validates predictions with features; nothing in the file is unpickled.

    Raises:
        UserError: the file is missing or no .npz archive, or an array is missing or malformed (named in the message).
    """
    return validated(_read(path, (*_FEATURES, *_TRUE)), path)


def read_any_predictions(path: Path) -> AnyPredictions:
    """Reads and validates predictions of whatever form the names of the arrays tell; see `read_predictions`."""
    return validated_form(_read(path), path)


def validated(arrays: dict[str, Any], path: Path | None = None) -> Predictions:
    """Predictions with features in the types of the contract, or a `UserError` that names the array at fault."""
    checked = _checked(arrays, _FEATURES, path)
    _check_boxes(checked, "gallery", ("box", "score", "feature"), path)
    if not set(_TRUE).isdisjoint(arrays):
        checked |= _checked(arrays, _TRUE, path)
        _check_boxes(checked, "true", ("box", "feature"), path)
    width = checked["gallery_feature"].shape[1]
    for name in ("query_feature", "true_feature"):
        if name in checked and checked[name].shape[1] != width:
            raise _fault(name, f"has {checked[name].shape[1]} dimensions, 'gallery_feature' has {width}", path)
    if width == 0:
        raise _fault("query_feature", "has no dimension", path)
    finite = np.isfinite(checked["query_feature"]).all(axis=1)
    absent = np.isnan(checked["query_feature"]).all(axis=1)
    if (bad := ~(finite | absent)).any():
        raise _fault("query_feature", f"holds NaN or infinity in row {int(bad.argmax())}", path)
    return Predictions(**checked)


def validated_form(arrays: dict[str, Any], path: Path | None = None) -> AnyPredictions:
    """Predictions of the form that the arrays have: pairs, features, or else detections; see `validated`."""
    if not {"pair_query", "query_run"}.isdisjoint(arrays):
        return _validated_pairs(arrays, path)
    if not {"gallery_feature", "query_feature"}.isdisjoint(arrays):
        return validated(arrays, path)
    return _validated_detections(arrays, path)


def _validated_detections(arrays: dict[str, Any], path: Path | None) -> Detections:
    checked = _checked(arrays, _DETECTIONS, path)
    _check_boxes(checked, "gallery", ("box", "score"), path)
    return Detections(**checked)


def _validated_pairs(arrays: dict[str, Any], path: Path | None) -> PairPredictions:
    checked = _checked(arrays, _PAIRS, path)
    _check_boxes(checked, "pair", ("box", "score", "similarity", "query"), path)
    queries, run = checked["pair_query"], checked["query_run"]
    if (outside := (queries < 0) | (queries >= len(run))).any():
        row = int(outside.argmax())
        raise _fault("pair_query", f"names query {queries[row]} in row {row}, 'query_run' has {len(run)} rows", path)
    if (idle := ~run[queries]).any():
        row = int(idle.argmax())
        raise _fault("query_run", f"says that query {queries[row]} was not run, row {row} is a detection of it", path)
    found = None if set(_DETECTIONS).isdisjoint(arrays) else _validated_detections(arrays, path)
    size = int(_checked(arrays, ("gallery_size",), path)["gallery_size"]) if "gallery_size" in arrays else None
    return PairPredictions(**checked, gallery_size=size, detections=found)


def _arrays_of(predictions: AnyPredictions) -> dict[str, Any]:
    arrays = {name: value for name, value in vars(predictions).items() if value is not None}
    detections = arrays.pop("detections", None)
    return arrays if detections is None else arrays | vars(detections)


def _read(path: Path, names: tuple[str, ...] | None = None) -> dict[str, Any]:
    """The named arrays of an archive, or all that a form knows."""
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
        for name in names or _ARRAYS:
            if name not in archive.files:
                continue
            try:
                arrays[name] = archive[name]
            except Exception as error:
                raise _fault(name, "cannot be read (truncated, or it holds Python objects)", path) from error
    return arrays


def _fault(name: str, problem: str, path: Path | None) -> UserError:
    return UserError(problem, file=path, place=f"array '{name}'", remedy=_REMEDY)


def _checked(arrays: dict[str, Any], names: tuple[str, ...], path: Path | None) -> _Arrays:
    """The named arrays with the right dimensions, in the types of the contract."""
    checked: _Arrays = {}
    for name in names:
        if name not in arrays:
            raise _fault(name, "is missing", path)
        dimensions, holds = _ARRAYS[name]
        array = np.asarray(arrays[name])
        if array.ndim != dimensions:
            raise _fault(name, f"has {array.ndim} dimensions instead of {dimensions}", path)
        # An empty list has no type of its own.
        if array.dtype.kind not in _KINDS[holds] and (array.size or holds == _NUMBERS):
            raise _fault(name, f"holds {array.dtype} instead of {holds}", path)
        if holds == _NUMBERS:
            with np.errstate(over="ignore"):
                checked[name] = np.ascontiguousarray(array, np.float32)
        elif holds == _WHOLE and array.size and int(array.max()) > np.iinfo(np.int64).max:
            raise _fault(name, f"holds {array.max()}", path)
        else:
            checked[name] = array.astype({_STRINGS: np.str_, _WHOLE: np.int64, _FLAGS: np.bool_}[holds])
    return checked


def _check_boxes(checked: _Arrays, prefix: str, columns: tuple[str, ...], path: Path | None) -> None:
    """Refuses columns of different length, NaN and infinity, and boxes that are not x1, y1, x2, y2."""
    rows = len(checked[f"{prefix}_image"])
    for name in (f"{prefix}_{column}" for column in columns):
        if len(checked[name]) != rows:
            raise _fault(name, f"has {len(checked[name])} rows, '{prefix}_image' has {rows}", path)
        bad = ~np.isfinite(checked[name]).reshape(rows, -1).all(axis=1) if rows else np.zeros(0, bool)
        if bad.any():
            raise _fault(name, f"holds NaN or infinity in row {int(bad.argmax())}", path)
    name = f"{prefix}_box"
    if checked[name].shape[1] != 4:
        raise _fault(name, f"has {checked[name].shape[1]} columns instead of 4 (x1, y1, x2, y2)", path)
    corners = checked[name].reshape(-1, 2, 2)
    if (turned := (corners[:, 1] < corners[:, 0]).any(axis=1)).any():
        raise _fault(name, f"is not x1, y1, x2, y2 in row {int(turned.argmax())}: x2 < x1 or y2 < y1", path)
