"""Axis-aligned boxes: conversions between the field's notations and their overlap, in NumPy.

The project's notation for trackers is `xywh`: left, top, width, height in pixels, as float64. A coordinate is a
position on the pixel grid, so a box that covers one pixel has width 1 and its right edge is x + w.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

FIRST_PIXEL = 1
"""Number of an image's first column and row in the files of OTB-100, DTB70, LaSOT, GOT-10k (MATLAB counts from 1)."""


FARTHEST = 1e9
"""Coordinates beyond this count as this: farther than any image reaches, and products of two stay exact enough."""


def within_reach(boxes: npt.ArrayLike) -> FloatArray:
    """Boxes whose coordinates are at most `FARTHEST`, as arithmetic on them wants; NaN stays."""
    return np.clip(np.asarray(boxes, dtype=np.float64), -FARTHEST, FARTHEST)


def to_pixels(boxes: npt.ArrayLike, first_pixel: int = FIRST_PIXEL) -> FloatArray:
    """From a benchmark file's numbering to array indices (0-based), which is what trackers get. (..., 4) xywh."""
    return np.subtract(boxes, [first_pixel, first_pixel, 0.0, 0.0], dtype=np.float64)


def from_pixels(boxes: npt.ArrayLike, first_pixel: int = FIRST_PIXEL) -> FloatArray:
    """The inverse of `to_pixels`: from a tracker's box to the numbering of the benchmark's files. (..., 4) xywh."""
    return np.add(boxes, [first_pixel, first_pixel, 0.0, 0.0], dtype=np.float64)


def xywh_to_xyxy(boxes: npt.ArrayLike) -> FloatArray:
    """(..., 4) left, top, width, height to left, top, right, bottom with right = x + w."""
    xywh = np.asarray(boxes, dtype=np.float64)
    return np.concatenate([xywh[..., :2], xywh[..., :2] + xywh[..., 2:]], axis=-1)


def xyxy_to_xywh(boxes: npt.ArrayLike) -> FloatArray:
    """The inverse of `xywh_to_xyxy`."""
    xyxy = np.asarray(boxes, dtype=np.float64)
    return np.concatenate([xyxy[..., :2], xyxy[..., 2:] - xyxy[..., :2]], axis=-1)


def xywh_to_centre(boxes: npt.ArrayLike) -> FloatArray:
    """(..., 4) xywh to (..., 4) centre x, centre y, width, height.

    The centre is that of the middle pixel, x + (w - 1) / 2: the OTB toolkit's definition (`calcSeqErrRobust.m`)
    and SiamFC's, in which a box of width 1 is centred on its only pixel.
    """
    xywh = np.asarray(boxes, dtype=np.float64)
    return np.concatenate([xywh[..., :2] + (xywh[..., 2:] - 1) / 2, xywh[..., 2:]], axis=-1)


def centre_to_xywh(boxes: npt.ArrayLike) -> FloatArray:
    """The inverse of `xywh_to_centre`."""
    centre = np.asarray(boxes, dtype=np.float64)
    return np.concatenate([centre[..., :2] - (centre[..., 2:] - 1) / 2, centre[..., 2:]], axis=-1)


def iou(first: npt.ArrayLike, second: npt.ArrayLike) -> FloatArray:
    """Intersection over union of paired (or broadcastable) xywh boxes.

    Args:
        first: (..., 4) boxes; a box whose width or height is not positive is empty and overlaps nothing.
        second: (..., 4) boxes.

    Returns:
        (...) values in 0..1.
    """
    a, b = within_reach(first), within_reach(second)
    size_a, size_b = np.maximum(a[..., 2:], 0), np.maximum(b[..., 2:], 0)
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + size_a, b[..., :2] + size_b)
    sides: Any = np.maximum(high - low, 0)
    shared = sides[..., 0] * sides[..., 1]
    union = size_a[..., 0] * size_a[..., 1] + size_b[..., 0] * size_b[..., 1] - shared
    # The quotient of two equal boxes may miss 1 by a rounding error; an empty pair has no union.
    ratio: FloatArray = np.clip(shared / (union + np.finfo(np.float64).eps), 0.0, 1.0)
    return ratio
