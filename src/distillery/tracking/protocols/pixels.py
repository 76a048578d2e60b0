"""Pixels that pairs of quadrilaterals cover, each alone and both together.

A row of a quadrilateral crosses its outline in "nodes": columns cut to whole numbers, between which it is filled.
Nearly every annotated quadrilateral has its highest and its lowest corner opposite each other; then each side of it
has two edges, a row has two nodes, and all that is needed is arithmetic on arrays of rows. Any other is painted pixel
by pixel (`_painted`), the way of the toolkits' own code.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from distillery.tracking.boxes import BoolArray, FloatArray

Index = npt.NDArray[np.intp]

_CHUNK = 16_000
"""Rows handled at a time: their arrays stay in the processor's cache."""


class Counts(NamedTuple):
    """Pixels (N,) of pairs."""

    first: FloatArray
    second: FloatArray
    shared: FloatArray


def count(first: FloatArray, second: FloatArray, size: FloatArray, *, points: bool) -> Counts:
    """Counts the pixels of pairs of quadrilaterals within their windows.

    Args:
        first: (N, 4, 2) corners x, y, whole numbers; (0, 0) is the window's first pixel.
        second: (N, 4, 2).
        size: (N, 2) columns and rows of the window.
        points: Whether a row whose two nodes coincide is one pixel, or nothing.
    """
    one, two = _Sides(first, size), _Sides(second, size)
    counts = Counts(*np.zeros((3, len(first))))
    regular, upright = one.regular & two.regular, two.upright()
    rows = np.flatnonzero(regular)
    counts.first[rows], counts.shared[rows] = _pixels(one, two, upright, rows, points)
    aslant, straight = np.flatnonzero(regular & ~upright), np.flatnonzero(regular & upright)
    counts.second[aslant] = _pixels(two, None, upright, aslant, points)[0]
    counts.second[straight] = two.box_pixels(straight, points)
    for row in np.flatnonzero(~regular):
        masks = [_painted(corners[row], size[row], points) for corners in (first, second)]
        for total, mask in zip(counts, (*masks, masks[0] & masks[1]), strict=True):
            total[row] = mask.sum()
    return counts


class _Sides:
    """N quadrilaterals as two chains of edges each, from the highest corner down to the lowest.

    An edge keeps the direction in which the toolkits walk it (from corner i to corner i - 1), since that decides how
    its nodes are rounded.
    """

    def __init__(self, corners: FloatArray, size: FloatArray) -> None:
        x, y = corners[..., 0], corners[..., 1]
        top, bottom = y.min(axis=1), y.max(axis=1)
        highest, lowest = y == top[:, None], y == bottom[:, None]
        starts = highest & np.roll(lowest, -2, axis=1)
        # Three corners in a row may be a spike, whose tip neither side would draw.
        self.regular: BoolArray = starts.any(axis=1) & (highest.sum(axis=1) < 3) & (lowest.sum(axis=1) < 3)
        self.x, self.y, self.last_column = x, y, size[:, 0] - 1
        self.first_row = np.maximum(top, 0)
        self.last_row = np.minimum(bottom, size[:, 1] - 1)
        start = starts.argmax(axis=1)[:, None]
        edges = np.add(start, [1, 2, 0, 3]) % 4
        rise = np.roll(y, 1, axis=1) - y
        rise[rise == 0] = 1.0  # the nodes of a flat edge are not looked at
        columns = x, y, rise, np.roll(x, 1, axis=1) - x
        self.edges = np.stack([np.take_along_axis(values, edges, axis=1) for values in columns])
        """(4, N, 4): x, y, run in y, run in x of the edges upper and lower of one side, upper and lower of the other"""
        turns = np.take_along_axis(y, np.add(start, [1, 3]) % 4, axis=1)
        # Where the upper edge lies flat in the top row, even that row's node belongs to the lower edge.
        self.turns = np.where(turns > top[:, None], turns, -np.inf)

    def upright(self) -> BoolArray:
        """(N,) which are boxes with corners in the order left top, right top, right bottom, left bottom."""
        x, y = self.x, self.y
        flat: BoolArray = (y[:, 0] == y[:, 1]) & (y[:, 2] == y[:, 3]) & (x[:, 0] == x[:, 3]) & (x[:, 1] == x[:, 2])
        return flat

    def box_spans(self, rows: Index, points: bool) -> tuple[FloatArray, FloatArray]:
        """First and last column (F,) of upright ones within their windows; the last is less where nothing is drawn."""
        ends = np.sort(self.x[rows][:, :2], axis=1)
        low, high = ends[:, 0], ends[:, 1]
        if not points:
            high = np.where(low < high, high, -1.0)
        return np.maximum(low, 0), np.minimum(high, self.last_column[rows])

    def box_pixels(self, rows: Index, points: bool) -> FloatArray:
        """Pixels (F,) of upright ones within their windows."""
        low, high = self.box_spans(rows, points)
        pixels: FloatArray = np.maximum(high - low + 1, 0) * np.maximum(self.last_row - self.first_row + 1, 0)[rows]
        return pixels

    def spans(self, rows: Index, heights: FloatArray, points: bool) -> tuple[FloatArray, FloatArray]:
        """First and last column (F, H) of each row of `heights`; the last is less where nothing is drawn."""
        x, y, rise, run = self.edges[:, rows, :, None]
        sides = []
        for upper, turn in ((0, 0), (2, 1)):
            nodes = [(heights - y[:, e]) / rise[:, e] * run[:, e] + x[:, e] for e in (upper, upper + 1)]
            sides.append(np.trunc(np.where(heights <= self.turns[rows, turn, None], *nodes)))
        low, high = np.minimum(*sides), np.maximum(*sides)
        drawn = heights <= self.last_row[rows, None]
        if not points:
            drawn &= low < high
        high = np.where(drawn, high, -1.0)
        return np.maximum(low, 0, out=low), np.minimum(high, self.last_column[rows, None], out=high)


def _pixels(
    one: _Sides, two: _Sides | None, upright: BoolArray, rows: Index, points: bool
) -> tuple[FloatArray, FloatArray]:
    """Pixels (F,) of quadrilaterals `rows` of `one`, and those that they share with `two`."""
    own, shared = np.zeros(len(rows)), np.zeros(len(rows))
    tall = np.maximum(one.last_row - one.first_row + 1, 0)[rows]
    for chosen in _chunks(tall, upright[rows]):
        part = rows[chosen]
        heights = one.first_row[part, None] + np.arange(tall[chosen].max())
        low, high = one.spans(part, heights, points)
        own[chosen] = np.maximum(high - low + 1, 0).sum(axis=1)
        if two is None:
            continue
        inside = heights >= two.first_row[part, None]
        if upright[part[0]]:
            inside &= heights <= two.last_row[part, None]
            other_low, other_high = (ends[:, None] for ends in two.box_spans(part, points))
        else:
            # Above the other's top these are nodes of prolonged edges; below its bottom nothing is drawn.
            other_low, other_high = two.spans(part, heights, points)
        np.maximum(low, other_low, out=low)
        np.minimum(high, other_high, out=high)
        shared[chosen] = (np.maximum(high - low + 1, 0) * inside).sum(axis=1)
    return own, shared


def _chunks(tall: FloatArray, kinds: BoolArray) -> Iterator[Index]:
    """Indices of about `_CHUNK` rows at a time, of one kind and of like height, so that hardly any row is padding."""
    for kind in (False, True):
        left = np.flatnonzero(kinds == kind)
        left = left[np.argsort(-tall[left], kind="stable")]
        while len(left):
            several = max(1, int(_CHUNK // max(tall[left[0]], 1)))
            yield left[:several]
            left = left[several:]


def _painted(corners: FloatArray, size: FloatArray, points: bool) -> BoolArray:
    """The mask (rows, columns) of any quadrilateral (4, 2): all nodes of a row, sorted, filled pair by pair."""
    x, y = corners[:, 0], corners[:, 1]
    x_before, y_before = np.roll(x, 1), np.roll(y, 1)
    columns, heights = np.arange(size[0]), np.arange(size[1])[:, None]
    crosses = (heights >= np.minimum(y, y_before)) & (heights <= np.maximum(y, y_before))
    flat = y == y_before
    if not points:
        crosses &= ~flat
    nodes = np.trunc((heights - y) / np.where(flat, 1.0, y_before - y) * (x_before - x) + x)
    nodes = np.sort(np.where(crosses, np.where(flat, x, nodes), np.inf), axis=1)
    count, at = crosses.sum(axis=1), np.zeros(len(heights), dtype=np.intp)
    mask = np.zeros((len(heights), len(columns)), dtype=np.bool_)
    for step in range(3):
        here = (at == step) & (step < count - 1)
        # Coinciding nodes are a corner within a line: the first of them is passed over.
        passed = here & (nodes[:, step] == nodes[:, step + 1])
        if points:
            passed &= step < count - 2
        filled = here & ~passed
        low, high = nodes[filled, step, None], nodes[filled, step + 1, None]
        mask[filled] |= (columns >= low) & (columns <= high)
        at += passed + 2 * filled
    return mask
