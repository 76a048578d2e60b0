"""The supervised VOT protocol (Kristan et al., TPAMI 2016): accuracy, robustness, expected average overlap, in NumPy.

A tracker that loses its target is started again five frames later. Accuracy is the mean overlap of the frames that it
tracks, without the ten after each start; robustness tells how often it fails. The expected average overlap asks what
overlap to expect on a clip of a given length: a run is cut at its failures, a piece that ends by a failure goes on
with zeros, any other counts up to its own end, and the curve over lengths is averaged over the interval of usual ones.

Two definitions are in use (`VARIANTS`). On VOT2018 they differ by up to 0.011 EAO; pysot's gives the numbers that the
literature of 2018 to 2021 prints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from distillery.tracking.boxes import BoolArray, FloatArray
from distillery.tracking.protocols import raster
from distillery.tracking.protocols.vot_curve import Piece, curves, legacy_pieces, toolkit_pieces
from distillery.tracking.protocols.vot_interval import Interval
from distillery.tracking.protocols.vot_runs import TRACKED, Case, Run


@dataclass(frozen=True)
class Variant:
    """How one toolkit scores."""

    toolkit: str
    rule: raster.Rule
    """How it draws regions."""
    margins: tuple[int, int]
    """The last column and row that count are width and height minus this: for accuracy, and for expected overlap."""
    pieces: Callable[[Run], Iterator[Piece]]
    """How it cuts a run."""
    offset: int
    """The interval's lengths are moved by this much when the curve is averaged."""
    pooled: bool
    """Accuracy and failures are taken over all frames at once, rather than per sequence and weighted by its length."""


@dataclass(frozen=True, eq=False)
class Scores:
    """What a tracker reaches; None is a number that its runs do not define."""

    numbers: dict[str, float | None]
    """eao, accuracy, robustness (pooled: failures per 100 frames; else failures per sequence, weighted), lost."""
    curve: list[float]
    """Expected average overlap of clips of 1, 2, … frames."""
    per_sequence: dict[str, dict[str, Any]]
    by_tag: dict[str, dict[str, Any]]


def evaluate(cases: list[Case], how: Variant, interval: Interval) -> Scores:
    """Scores a tracker.

    Args:
        cases: The sequences with its runs.
        how: The toolkit's definition.
        interval: Lengths over which the expected-overlap curve is averaged.
    """
    for_accuracy, expected = _overlaps(cases, how)
    accuracy = [_frame_accuracy(case, found) for case, found in zip(cases, for_accuracy, strict=True)]
    lost = np.array([np.mean([len(run.failures) for run in case.runs]) for case in cases])
    lengths = np.array([len(case) for case in cases], dtype=np.float64)
    own = [
        _defined_mean(frames) if how.pooled else _run_mean(case, found)
        for case, frames, found in zip(cases, accuracy, for_accuracy, strict=True)
    ]
    tags = sorted({tag for case in cases for tag in case.tags})
    expected_overlap = curves(cases, expected, how.pieces, tags)
    eao = [_eao(curve, interval, how.offset) for curve in expected_overlap]
    accuracy_of_all = _defined_mean(np.concatenate(accuracy)) if how.pooled else _weighted(own, lengths)
    robustness = 100 * lost.sum() / lengths.sum() if how.pooled else np.average(lost, weights=lengths)
    return Scores(
        numbers={
            "eao": eao[0],
            "accuracy": accuracy_of_all,
            "robustness": float(robustness),
            "lost": float(lost.sum()),
        },
        curve=np.nan_to_num(expected_overlap[0]).tolist(),
        per_sequence={
            case.name: {"accuracy": value, "lost": float(failures), "frames": len(case)}
            for case, value, failures in zip(cases, own, lost, strict=True)
        },
        by_tag={tag: _tagged(cases, accuracy, tag) | {"eao": eao[n]} for n, tag in enumerate(tags, 1)},
    )


def _overlaps(cases: list[Case], how: Variant) -> tuple[list[FloatArray], list[FloatArray]]:
    """Overlaps (runs, N) of every case, for accuracy and for expected overlap; NaN where the tracker gave no region."""
    places = [(case, [run.codes == TRACKED for run in case.runs]) for case in cases]
    truth = [_corners(case.truth, how)[mask] for case, masks in places for mask in masks]
    found = [_corners(run.regions[run.codes == TRACKED], how) for case in cases for run in case.runs]
    sizes = [np.tile(case.image_size, (int(mask.sum()), 1)) for case, masks in places for mask in masks]
    one, two, size = (np.concatenate(parts).astype(np.float64) for parts in (truth, found, sizes))
    flat = [raster.overlaps(one, two, size - how.margins[0], how.rule)]
    if how.margins[1] == how.margins[0]:
        flat.append(flat[0])
    else:
        # The two margins differ for those regions alone that reach the image's last column or row.
        corners = np.concatenate([one, two], axis=1).reshape(len(one), 8, 2)
        rows = np.flatnonzero((np.ceil(corners.max(axis=1)) > size - max(how.margins)).any(axis=1))
        flat.append(flat[0].copy())
        flat[1][rows] = raster.overlaps(one[rows], two[rows], size[rows] - how.margins[1], how.rule)
    spread = [_spread(values, [masks for _, masks in places]) for values in flat]
    return spread[0], spread[1]


def _corners(regions: FloatArray, how: Variant) -> FloatArray:
    if regions.shape[1] == 4:
        return how.rule.box_corners(regions)
    boxes = np.isnan(regions[:, 4])
    corners = regions.copy()
    corners[boxes] = how.rule.box_corners(regions[boxes, :4])
    return corners


def _spread(values: FloatArray, masks: list[list[BoolArray]]) -> list[FloatArray]:
    result, begin = [], 0
    for runs in masks:
        overlaps = np.full((len(runs), len(runs[0])), np.nan)
        for row, mask in zip(overlaps, runs, strict=True):
            end = begin + int(mask.sum())
            row[mask] = values[begin:end]
            begin = end
        result.append(overlaps)
    return result


def _frame_accuracy(case: Case, overlaps: FloatArray) -> FloatArray:
    """(N,) overlap of each frame, the mean over the runs in which it counts; NaN where it counts in none."""
    counted = np.stack([run.counts_for_accuracy for run in case.runs]) & ~np.isnan(overlaps)
    times = counted.sum(axis=0)
    mean: FloatArray = np.full(len(case), np.nan)
    np.divide(np.where(counted, overlaps, 0).sum(axis=0), times, out=mean, where=times > 0)
    return mean


def _run_mean(case: Case, overlaps: FloatArray) -> float:
    """Mean over the runs of a run's mean overlap; a run without a counted frame has 0."""
    counted = [run.counts_for_accuracy for run in case.runs]
    return float(
        np.mean([row[mask].mean() if mask.any() else 0.0 for row, mask in zip(overlaps, counted, strict=True)])
    )


def _defined_mean(values: FloatArray) -> float | None:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else None


def _weighted(values: list[float | None], weights: FloatArray) -> float:
    return float(np.average([value or 0.0 for value in values], weights=weights))


def _tagged(cases: list[Case], accuracy: list[FloatArray], tag: str) -> dict[str, Any]:
    """Accuracy and failures per 100 frames of the frames with a tag, over all sequences at once."""
    chosen = [(case, frames, case.tags[tag]) for case, frames in zip(cases, accuracy, strict=True) if tag in case.tags]
    lost = sum(float(np.mean([mask[run.failures].sum() for run in case.runs])) for case, _, mask in chosen)
    count = int(sum(mask.sum() for _, _, mask in chosen))
    return {
        "accuracy": _defined_mean(np.concatenate([frames[mask] for _, frames, mask in chosen])),
        "robustness": 100 * lost / count if count else None,
        "lost": lost,
        "frames": count,
        "sequences": sum(bool(mask.any()) for _, _, mask in chosen),
    }


def _eao(curve: FloatArray, interval: Interval, offset: int) -> float | None:
    return _defined_mean(curve[interval.low - 1 + offset : interval.high + offset])


VARIANTS: dict[str, Variant] = {
    "pysot": Variant("STVIR/pysot, as VOT's MATLAB toolkit", raster.TRAX, (0, 1), legacy_pieces, 0, pooled=True),
    "vottoolkit": Variant("votchallenge/toolkit 0.8", raster.TOOLKIT, (1, 1), toolkit_pieces, 1, pooled=False),
}
DEFAULT = "pysot"
