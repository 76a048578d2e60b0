"""VOT's definitions written out in loops over pixels and frames: slow, literal, and sharing nothing with the product.

`drawn_*` follow `rasterize_polygon` of TraX's region.c and of votchallenge/toolkit; `overlap_*` what surrounds them;
`scores` the steps of pysot's two benchmark classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Points = list[tuple[float, float]]
Row = Sequence[float]


def points(region: Row) -> Points:
    """Corners of a polygon; a box x, y, w, h becomes one whose last corner is (x + w, y + h)."""
    if len(region) == 4:
        x, y, w, h = region
        region = [x, y, x + w, y, x + w, y + h, x, y + h]
    return [(float(np.float32(x)), float(np.float32(y))) for x, y in zip(region[::2], region[1::2], strict=True)]


def filled(corners: Points, width: int, height: int, toolkit: bool) -> set[tuple[int, int]]:
    pixels = set()
    for row in range(height):
        nodes = []
        for (x, y), (x_before, y_before) in zip(corners, [corners[-1], *corners[:-1]], strict=True):
            if not min(y, y_before) <= row <= max(y, y_before):
                continue
            if y_before != y:
                nodes.append(int(x + (row - y) / (y_before - y) * (x_before - x)))
            elif toolkit:
                nodes.append(int(x))
        nodes.sort()
        at = 0
        while at < len(nodes) - 1:
            if nodes[at] == nodes[at + 1] and (not toolkit or at < len(nodes) - 2):
                at += 1
                continue
            pixels |= {(column, row) for column in range(max(nodes[at], 0), min(nodes[at + 1], width - 1) + 1)}
            at += 2
    return pixels


def overlap_trax(first: Row, second: Row, last: tuple[float, float]) -> float:
    """compute_polygon_overlap(first, second) within columns 0 … last[0] and rows 0 … last[1]."""
    single = np.float32
    ends = []
    for corners in (points(first), points(second)):
        low = [max(math.floor(min(values)), 0) for values in zip(*corners, strict=True)]
        high = [
            min(math.ceil(max(values)), limit) for values, limit in zip(zip(*corners, strict=True), last, strict=True)
        ]
        ends.append((low, high))
    (low_1, high_1), (low_2, high_2) = ends
    left, top = min(low_1[0], low_2[0]), min(low_1[1], low_2[1])
    width, height = int(max(high_1[0], high_2[0]) - left) + 1, int(max(high_1[1], high_2[1]) - top) + 1
    area_1, area_2 = (float((high[0] - low[0]) * (high[1] - low[1])) for low, high in ends)
    smaller = [_quotient(area_1, area_2), _quotient(area_2, area_1)]
    if any(value < 1e-10 for value in smaller) or width < 1 or height < 1:
        return 0.0
    shared = (min(high_1[0], high_2[0]) - max(low_1[0], low_2[0])) * (
        min(high_1[1], high_2[1]) - max(low_1[1], low_2[1])
    )
    if _quotient(shared, area_1 + area_2 - shared) <= 0:
        return 0.0
    masks = []
    for region in (first, second):
        moved = [(float(single(x) - single(left)), float(single(y) - single(top))) for x, y in points(region)]
        masks.append(filled([(_away(x), _away(y)) for x, y in moved], width, height, toolkit=False))
    union = masks[0] | masks[1]
    return float(single(len(masks[0] & masks[1])) / single(len(union))) if union else math.nan


def overlap_toolkit(first: Row, second: Row, size: tuple[int, int]) -> float:
    """calculate_overlap(first, second, size); four numbers are a Rectangle."""
    regions = [[float(np.round(np.float32(value))) for value in region] for region in (first, second)]
    bounds = []
    for region in regions:
        if len(region) == 4:
            x, y, w, h = region
            bounds.append((x, y, x + w - 1, y + h - 1))
        else:
            bounds.append((min(region[::2]), min(region[1::2]), max(region[::2]), max(region[1::2])))
    left, top = (min(bound[axis] for bound in bounds) for axis in (0, 1))
    right, bottom = (max(bound[axis] for bound in bounds) for axis in (2, 3))
    if left >= right or top >= bottom:
        return 1.0
    left, top, right, bottom = max(0, left), max(0, top), min(size[0] - 1, right), min(size[1] - 1, bottom)
    if left >= right or top >= bottom:
        return 0.0
    masks = []
    for region in regions:
        width, height = int(right - left) + 1, int(bottom - top) + 1
        if len(region) == 4:
            x, y, w, h = region
            columns = range(int(max(x - left, 0)), int(min(x + w - 1 - left, width - 1)) + 1)
            rows = range(int(max(y - top, 0)), int(min(y + h - 1 - top, height - 1)) + 1)
            masks.append({(column, row) for column in columns for row in rows})
        else:
            corners = [(x - left, y - top) for x, y in zip(region[::2], region[1::2], strict=True)]
            masks.append(filled(corners, width, height, toolkit=True))
    union = masks[0] | masks[1]
    return len(masks[0] & masks[1]) / len(union) if union else 0.0


def scores(
    truths: list[list[Row]], runs: list[list[list[Row]]], sizes: list[tuple[int, int]], low: int, high: int
) -> dict[str, float]:
    """pysot's accuracy, robustness, lost and eao of sequences (truth rows, runs of rows, frame size)."""
    frames, lost, pieces, weights = [], 0.0, [], []
    longest = max(map(len, truths))
    for truth, repetitions, (width, height) in zip(truths, runs, sizes, strict=True):
        per_run = []
        for run in repetitions:
            burnt = {start + n for start, row in enumerate(run) if list(row) == [1] for n in range(10)}
            per_run.append(
                [
                    overlap_trax(row, real, (width, height)) if len(row) > 1 and index not in burnt else math.nan
                    for index, (row, real) in enumerate(zip(run, truth, strict=True))
                ]
            )
            failures = [index for index, row in enumerate(run) if list(row) == [2]]
            lost += len(failures) / len(repetitions)
            overlaps = [
                overlap_trax(row, real, (width - 1, height - 1)) if len(row) > 1 else 0.0
                for row, real in zip(run, truth, strict=True)
            ]
            cuts = [0] + [failure + 5 for failure in failures if failure + 5 <= len(run)]
            for number, cut in enumerate(cuts):
                if number < len(cuts) - 1:
                    piece = overlaps[cut : cuts[number + 1] + 1]
                    weights.append(len(piece) / (cuts[number + 1] - cut + 1) / len(repetitions))
                    pieces.append(piece + [0.0] * (longest - len(piece)))
                elif cut < len(run):
                    weights.append(1 / len(repetitions))
                    pieces.append(overlaps[cut:])
        for values in zip(*per_run, strict=True):
            known = [value for value in values if not math.isnan(value)]
            frames += [sum(known) / len(known)] if known else []
    curve = [1.0]
    for length in range(2, longest + 1):
        total = weight = 0.0
        for piece, share in zip(pieces, weights, strict=True):
            if len(piece) >= length:
                total += share * sum(piece[1:length]) / (length - 1)
                weight += share
        curve.append(total / weight if weight else 0.0)
    window = curve[low - 1 : high]
    return {
        "eao": sum(window) / len(window),
        "accuracy": sum(frames) / len(frames) if frames else math.nan,
        "robustness": 100 * lost / sum(map(len, truths)),
        "lost": lost,
    }


def _quotient(one: float, other: float) -> float:
    if other:
        return one / other
    return math.nan if one == 0 or math.isnan(one) else math.copysign(math.inf, one)


def _away(value: float) -> float:
    return math.copysign(math.floor(abs(value) + 0.5), value)
