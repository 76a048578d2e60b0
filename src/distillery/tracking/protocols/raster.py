"""Overlap of quadrilaterals counted in pixels, as the VOT toolkits count it, in NumPy over all frames at once.

Both toolkits put a pair of regions into a window of the image, draw them, and count pixels (`pixels`). They differ in
how a box becomes a quadrilateral, what is rounded when, and what is drawn of a line.

Sources: `region.c` of the TraX library as pysot ships it (`compute_polygon_overlap`, `rasterize_polygon`), and
`vot/region/raster.py` of votchallenge/toolkit 0.8. Arithmetic is single or double precision where theirs is, so
overlaps are equal, not close.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distillery.tracking.boxes import FloatArray
from distillery.tracking.protocols.pixels import count

Single = npt.NDArray[np.float32]

_BATCH = 30_000
"""Pairs handled at a time, so that any number of them needs the same memory."""
_NEGLIGIBLE = 1e-10
"""Ratio of two bounding boxes' areas below which `region.c` does not draw at all."""
_FAR = 1e15
"""Corners further out than this are moved here, where single precision still has numbers for them."""


@dataclass(frozen=True, eq=False)
class _Drawing:
    """Pairs of quadrilaterals in the pixels of their windows; (0, 0) is the first pixel of a window."""

    settled: FloatArray
    """(N,) the overlap where no drawing is needed, else NaN."""
    first: FloatArray
    """(N, 4, 2) corners x, y, whole numbers."""
    second: FloatArray
    """(N, 4, 2)."""
    size: FloatArray
    """(N, 2) columns and rows of the window."""


@dataclass(frozen=True)
class Rule:
    """One toolkit's way from regions to pixels."""

    toolkit: str
    place: Callable[[FloatArray, FloatArray, FloatArray], _Drawing]
    """Puts pairs (N, 4, 2), (N, 4, 2) into their windows, given the last column and row that count (N, 2)."""
    box_corners: Callable[[FloatArray], FloatArray]
    """(N, 4) boxes x, y, w, h to (N, 8) corners."""
    draws_points: bool
    """Whether a row whose two nodes coincide is one pixel, or nothing."""
    precision: type[np.floating]
    """In what the quotient of two counts is taken."""
    nothing: float
    """The overlap of two regions that have an extent and yet cover no pixel (0 / 0)."""


def overlaps(first: npt.ArrayLike, second: npt.ArrayLike, last: npt.ArrayLike, rule: Rule) -> FloatArray:
    """Intersection over union of paired regions, in pixels.

    Args:
        first: (N, 8) corners x1, y1 … x4, y4 of quadrilaterals, finite.
        second: (N, 8) likewise, or (N, 4) boxes x, y, w, h, which become quadrilaterals by `rule.box_corners`.
        last: (2,) or (N, 2) the last column and row that count; regions are cut there and at 0.
        rule: Whose pixels, `TRAX` or `TOOLKIT`.

    Returns:
        (N,) in 0..1, or `rule.nothing`.
    """
    one, two = (_quadrilaterals(regions, rule) for regions in (first, second))
    limits = np.broadcast_to(np.asarray(last, dtype=np.float64), (len(one), 2))
    parts = [slice(begin, begin + _BATCH) for begin in range(0, len(one), _BATCH)]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.concatenate([np.zeros(0), *(_overlaps(one[part], two[part], limits[part], rule) for part in parts)])


def _overlaps(first: FloatArray, second: FloatArray, last: FloatArray, rule: Rule) -> FloatArray:
    drawing = rule.place(first, second, last)
    result = drawing.settled
    drawn = np.flatnonzero(np.isnan(result))
    counts = count(drawing.first[drawn], drawing.second[drawn], drawing.size[drawn], points=rule.draws_points)
    covered = counts.first + counts.second - counts.shared
    ratio = counts.shared.astype(rule.precision) / covered.astype(rule.precision)
    result[drawn] = np.where(covered > 0, ratio.astype(np.float64), rule.nothing)
    return result


def box_overlap(box: npt.ArrayLike, region: npt.ArrayLike, last: npt.ArrayLike, rule: Rule) -> float:
    """`overlaps` of one box (4,) or region (8,) with one region (8,)."""
    found, truth = (np.asarray(one, dtype=np.float64)[None] for one in (box, region))
    return float(overlaps(truth, found, last, rule)[0])


def _quadrilaterals(regions: npt.ArrayLike, rule: Rule) -> FloatArray:
    array = np.asarray(regions, dtype=np.float64)
    corners = rule.box_corners(array) if array.shape[1] == 4 else array
    return np.clip(corners, -_FAR, _FAR).reshape(-1, 4, 2)


def _place_trax(first: FloatArray, second: FloatArray, last: FloatArray) -> _Drawing:
    """`compute_polygon_overlap` up to the drawing; single precision throughout."""
    one, two, limit = (array.astype(np.float32) for array in (first, second, last))
    low_1, high_1 = _outward(one, limit)
    low_2, high_2 = _outward(two, limit)
    origin = np.minimum(low_1, low_2)
    size = np.trunc((np.maximum(high_1, high_2) - origin).astype(np.float64)) + 1
    area_1, area_2 = _area(low_1, high_1), _area(low_2, high_2)
    ratio = area_1.astype(np.float64) / area_2
    shared = _area(np.maximum(low_1, low_2), np.minimum(high_1, high_2))
    boxes = shared / (area_1 + area_2 - shared)
    apart = (ratio < _NEGLIGIBLE) | (1 / ratio < _NEGLIGIBLE) | (size < 1).any(axis=1) | (boxes <= 0)
    return _Drawing(
        settled=np.where(apart, 0.0, np.nan),
        first=_half_away(one - origin[:, None]),
        second=_half_away(two - origin[:, None]),
        size=size,
    )


def _outward(corners: Single, limit: Single) -> tuple[Single, Single]:
    low = np.maximum(np.floor(corners.min(axis=1)), np.float32(0))
    return low, np.minimum(np.ceil(corners.max(axis=1)), limit)


def _area(low: Single, high: Single) -> Single:
    sides: Single = high - low
    area: Single = sides[:, 0] * sides[:, 1]
    return area


def _half_away(values: Single) -> FloatArray:
    """C's `round`: halves away from zero (NumPy's goes to the even neighbour)."""
    exact = values.astype(np.float64)
    rounded: FloatArray = np.trunc(exact + np.copysign(0.5, exact))
    return rounded


def _place_toolkit(first: FloatArray, second: FloatArray, last: FloatArray) -> _Drawing:
    """`_calculate_overlap` up to the drawing; coordinates are rounded first, in single precision."""
    one, two = (np.round(corners.astype(np.float32)).astype(np.float64) for corners in (first, second))
    both = np.concatenate([one, two], axis=1)
    low, high = both.min(axis=1), both.max(axis=1)
    origin, end = np.maximum(low, 0), np.minimum(high, last)
    settled = np.where((origin >= end).any(axis=1), 0.0, np.nan)
    settled[(low >= high).any(axis=1)] = 1.0  # two regions without extent are called identical
    return _Drawing(settled=settled, first=one - origin[:, None], second=two - origin[:, None], size=end - origin + 1)


def _corners_trax(boxes: FloatArray) -> FloatArray:
    return _corners(boxes[:, :2], boxes[:, :2] + boxes[:, 2:])


def _corners_toolkit(boxes: FloatArray) -> FloatArray:
    """A box covers x … x + w - 1 after rounding; one that is not a pixel wide becomes a point outside every image."""
    rounded = np.round(boxes.astype(np.float32)).astype(np.float64)
    corners = _corners(rounded[:, :2], rounded[:, :2] + rounded[:, 2:] - 1)
    corners[(rounded[:, 2:] < 1).any(axis=1)] = -2.0
    return corners


def _corners(low: FloatArray, high: FloatArray) -> FloatArray:
    left, top, right, bottom = low[:, 0], low[:, 1], high[:, 0], high[:, 1]
    return np.stack([left, top, right, top, right, bottom, left, bottom], axis=1)


TRAX = Rule(
    "TraX region.c, as in STVIR/pysot",
    _place_trax,
    _corners_trax,
    draws_points=False,
    precision=np.float32,
    nothing=np.nan,
)
TOOLKIT = Rule(
    "votchallenge/toolkit 0.8",
    _place_toolkit,
    _corners_toolkit,
    draws_points=True,
    precision=np.float64,
    nothing=0.0,
)
