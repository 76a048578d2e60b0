"""One-pass evaluation (Wu, Lim, Yang, CVPR 2013): success and precision of boxes against ground truth, in NumPy.

The field's toolkits agree on the idea and differ in how they treat the first frame, invalid ground truth and
invalid results. Each is a row of `VARIANTS`; on OTB-100 they differ by at most 0.0004 AUC and 0.0006 precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distillery.tracking.boxes import FARTHEST, BoolArray, FloatArray, iou, within_reach, xywh_to_centre

PRECISION_PX = 20
SUCCESS_50 = 10
"""Index of the overlap threshold 0.5."""
NORMALIZED_20 = 20
"""Index of the normalised distance 0.20."""

_NOWHERE = (FARTHEST, FARTHEST, 0.0, 0.0)

SUCCESS_THRESHOLDS: FloatArray = np.linspace(0, 1, 21)
PRECISION_THRESHOLDS: FloatArray = np.arange(51.0)
NORMALIZED_THRESHOLDS: FloatArray = np.arange(51.0) / 100


@dataclass(frozen=True)
class Variant:
    """How one toolkit scores; the defaults are "take everything as it is given"."""

    toolkit: str
    """Whose definition this is."""
    first_from_truth: bool = False
    """The first frame's box counts as the ground truth, whatever the result file holds."""
    overlap_needs: tuple[int, ...] = ()
    """Columns of the ground truth that must be positive, else the overlap is -1: a failure at every threshold."""
    centre_needs: str = ""
    """What must be positive in the ground truth for a distance: "" nothing, "centre" its centre, "box" all columns."""
    invalid_distance: float = -1.0
    """The distance of the other frames: -1 counts as a success at every threshold, infinity as a failure."""
    invalid_normalized: float = -1.0
    """The same for the normalised distance."""
    repeat_invalid: bool = False
    """A result row with NaN or an empty box takes the row before it."""
    repeat_zero: bool = False
    """A result row whose width or height is zero takes the row before it."""
    refuses_negative: bool = False
    """A result row of negative width or height is an error, not a failure."""
    absent_fails: bool = False
    """Frames without the target fail at every threshold. Toolkits that remove such frames but divide by the length
    of the whole sequence do just that."""
    smallest_side: float = 1e-16
    """Sides of the true box count as at least so many pixels where a distance is divided by them."""
    divides_centres: bool = True
    """Centres are divided before they are subtracted, which rounds otherwise: a distance upon a threshold may fail."""
    drop_zero: bool = False
    """Sequences whose curve is zero throughout are left out of that curve's mean."""
    normalized_mean: bool = False
    """Normalised precision is the mean of its curve, rather than its value at 0.20."""


_BOX = (0, 1, 2, 3)
VARIANTS: dict[str, Variant] = {
    "got10k": Variant(
        "got-10k/toolkit", first_from_truth=True, normalized_mean=True, smallest_side=1.0, divides_centres=False
    ),
    "pysot": Variant("STVIR/pysot", overlap_needs=(2, 3), centre_needs="centre"),
    "pysot_toolkit": Variant("StrangerZhang/pysot-toolkit", overlap_needs=_BOX, centre_needs="centre"),
    "dasiam": Variant("foolwood/DaSiamRPN eval_otb"),
    "pytracking": Variant(
        "visionml/pytracking",
        first_from_truth=True,
        overlap_needs=_BOX,
        centre_needs="box",
        invalid_distance=np.inf,
        repeat_zero=True,
        refuses_negative=True,
    ),
    "matlab": Variant(
        "tracker_benchmark v1.0 (calcSeqErrRobust.m, plotDrawSave.m)",
        first_from_truth=True,
        overlap_needs=_BOX,
        centre_needs="box",
        repeat_invalid=True,
        drop_zero=True,
    ),
}
DEFAULT = "got10k"


@dataclass(frozen=True, eq=False)
class Curves:
    """Shares of frames, 0..1, over the thresholds of this module."""

    success: FloatArray
    """(21,) overlap > 0, 0.05 … 1; the last is 0 by definition, so a perfect tracker's AUC is 20/21."""
    precision: FloatArray
    """(51,) centre distance <= 0, 1 … 50 px."""
    normalized_precision: FloatArray
    """(51,) centre distance in units of the true width and height <= 0, 0.01 … 0.5."""


def evaluate(boxes: FloatArray, truth: FloatArray, how: Variant, absent: BoolArray | None = None) -> Curves:
    """Scores one sequence.

    Args:
        boxes: (N, 4) predicted left, top, width, height; NaN only where `how.repeat_invalid`.
        truth: (N, 4) ground truth in the same numbering.
        how: The toolkit's definition.
        absent: (N,) frames without the target, where the benchmark knows them.

    Raises:
        ValueError: If there are not as many boxes as frames, or the toolkit refuses one (`first_refused`).
    """
    truth = within_reach(truth)
    boxes = _prepared(boxes, truth, how)
    overlap = iou(boxes, truth)
    overlap[~_positive(truth, how.overlap_needs)] = -1.0
    centre = xywh_to_centre(truth)
    found = xywh_to_centre(boxes)
    offset = found[:, :2] - centre[:, :2]
    distance = np.sqrt((offset**2).sum(axis=1))
    sides = np.maximum(truth[:, 2:], how.smallest_side)
    scaled = found[:, :2] / sides - centre[:, :2] / sides if how.divides_centres else offset / sides
    relative = np.sqrt((scaled**2).sum(axis=1))
    valid = _positive(truth, _BOX) if how.centre_needs == "box" else np.ones(len(truth), dtype=np.bool_)
    if how.centre_needs == "centre":
        valid = _positive(centre, (0, 1))
    distance[~valid] = how.invalid_distance
    relative[~valid] = how.invalid_normalized
    if how.absent_fails and absent is not None:
        overlap[absent] = -1.0
        distance[absent] = relative[absent] = np.inf
    return Curves(
        success=_share_above(overlap, SUCCESS_THRESHOLDS),
        precision=_share_at_most(distance, PRECISION_THRESHOLDS),
        normalized_precision=_share_at_most(relative, NORMALIZED_THRESHOLDS),
    )


def first_refused(boxes: FloatArray, how: Variant) -> int | None:
    """Index of the first box for which the toolkit refuses the results of a sequence; None where there is none."""
    if not how.refuses_negative:
        return None
    negative = np.flatnonzero((boxes[:, 2:] < 0).any(axis=1))
    return int(negative[0]) if len(negative) else None


def mean(curves: Sequence[Curves], how: Variant) -> Curves:
    """The benchmark's curves: the mean over sequences (not frames)."""
    return Curves(
        success=_mean([curve.success for curve in curves], how),
        precision=_mean([curve.precision for curve in curves], how),
        normalized_precision=_mean([curve.normalized_precision for curve in curves], how),
    )


def numbers(curves: Curves, how: Variant) -> dict[str, float]:
    """The ranked numbers of a sequence's or a benchmark's curves, fractions in 0..1."""
    normalized = curves.normalized_precision
    return {
        "auc": float(curves.success.mean()),
        "precision": float(curves.precision[PRECISION_PX]),
        "normalized_precision": float(normalized.mean() if how.normalized_mean else normalized[NORMALIZED_20]),
        "success_rate_50": float(curves.success[SUCCESS_50]),
    }


def _prepared(boxes: FloatArray, truth: FloatArray, how: Variant) -> FloatArray:
    boxes = np.array(boxes, dtype=np.float64)
    if boxes.shape != truth.shape:
        raise ValueError(f"{boxes.shape} boxes cannot be scored against {truth.shape} boxes")
    if (row := first_refused(boxes, how)) is not None:
        raise ValueError(f"{how.toolkit} refuses the negative size of box {row}")
    if how.repeat_invalid or how.repeat_zero:
        sides = boxes[:, 2:]
        valid = (sides != 0).all(axis=1)
        if how.repeat_invalid:
            valid &= np.isfinite(boxes).all(axis=1) & (sides > 0).all(axis=1)
        if not np.isfinite(boxes[0]).all():  # nothing stands before it: those that repeat it fail
            boxes[0] = _NOWHERE
        boxes = boxes[np.maximum.accumulate(np.where(valid, np.arange(len(boxes)), 0))]
    boxes = within_reach(boxes)
    if how.first_from_truth:
        boxes[0] = truth[0]
    return boxes


def _positive(rows: FloatArray, columns: tuple[int, ...]) -> BoolArray:
    positive: BoolArray = np.all(rows[:, list(columns)] > 0, axis=1)
    return positive


def _share_above(values: FloatArray, thresholds: FloatArray) -> FloatArray:
    counts: npt.NDArray[np.intp] = np.searchsorted(np.sort(values), thresholds, side="right")
    return (len(values) - counts) / len(values)


def _share_at_most(values: FloatArray, thresholds: FloatArray) -> FloatArray:
    counts: npt.NDArray[np.intp] = np.searchsorted(np.sort(values), thresholds, side="right")
    return counts / len(values)


def _mean(curves: list[FloatArray], how: Variant) -> FloatArray:
    stack = np.stack(curves)
    kept = stack[stack.any(axis=1)] if how.drop_zero else stack
    mean_curve: FloatArray = kept.mean(axis=0) if len(kept) else np.zeros(stack.shape[1])
    return mean_curve
