"""TrackingNet's evaluation server (Müller et al., ECCV 2018): `metrics.py` of SilvioGiancola/TrackingNet-devkit.

It is not OPE under another name: boxes are rounded to whole pixels, an overlap equal to the threshold succeeds,
curves are integrated by trapezoids, and "precision" is the area under the curve over 0 … 50 px, not the value at 20.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from distillery.tracking.boxes import BoolArray, FloatArray

_STEPS = np.linspace(0, 1, 21)
"""Also the places of all three curves on the axis along which the server integrates them."""
SUCCESS_THRESHOLDS: FloatArray = _STEPS
PRECISION_THRESHOLDS: FloatArray = np.linspace(0, 50, 21)
NORMALIZED_THRESHOLDS: FloatArray = np.linspace(0, 0.5, 21)

VARIANTS = {"server": "SilvioGiancola/TrackingNet-devkit"}
DEFAULT = "server"


@dataclass(frozen=True, eq=False)
class Curves:
    """Shares of frames, 0..1, over the thresholds of this module, (21,) each."""

    success: FloatArray
    precision: FloatArray
    normalized_precision: FloatArray
    coverage: FloatArray
    """(N,) 1 for the frames with an answer. The server takes a box of a positive sum x + y + w + h for one."""


def evaluate(boxes: FloatArray | None, truth: FloatArray) -> Curves:
    """Scores one sequence.

    Args:
        boxes: (M, 4) predicted left, top, width, height; rows after the truth's last are ignored, missing ones fail
            everywhere. None stands for a file that was not sent in: zeros, with which the server lets overlap 0
            succeed at threshold 0.
        truth: (N, 4) ground truth in the same numbering.
    """
    real = np.round(truth)
    # Sides of the true box may be 0; numbers that no image has overflow to infinity, and fail as on the server.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return _curves(boxes, real)


def _curves(boxes: FloatArray | None, real: FloatArray) -> Curves:
    found = np.full(real.shape, np.nan if boxes is not None else 0.0)
    if boxes is not None:
        found[: len(boxes)] = np.round(boxes[: len(real)])
    found[0] = real[0]
    low = np.maximum(real[:, :2], found[:, :2])
    high = np.minimum(real[:, :2] + real[:, 2:], found[:, :2] + found[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=1)
    overlap = shared / (real[:, 2:].prod(axis=1) + found[:, 2:].prod(axis=1) - shared)
    offset = (real[:, :2] + real[:, 2:] / 2) - (found[:, :2] + found[:, 2:] / 2)
    distance = np.sqrt((offset**2).sum(axis=1))
    relative = np.sqrt(((offset / real[:, 2:]) ** 2).sum(axis=1))
    return Curves(  # NaN compares as false: a failure
        success=(overlap[:, None] >= SUCCESS_THRESHOLDS).mean(axis=0),
        precision=(distance[:, None] <= PRECISION_THRESHOLDS).mean(axis=0),
        normalized_precision=(relative[:, None] <= NORMALIZED_THRESHOLDS).mean(axis=0),
        coverage=_answered(found).astype(np.float64),
    )


def _answered(found: FloatArray) -> BoolArray:
    answered: BoolArray = found.sum(axis=1) > 0
    return answered


def mean(curves: Sequence[Curves]) -> Curves:
    """The benchmark's curves: means over sequences; `coverage` is that of all frames."""
    return Curves(
        success=np.mean([curve.success for curve in curves], axis=0),
        precision=np.mean([curve.precision for curve in curves], axis=0),
        normalized_precision=np.mean([curve.normalized_precision for curve in curves], axis=0),
        coverage=np.concatenate([curve.coverage for curve in curves]),
    )


def numbers(curves: Curves) -> dict[str, float]:
    """What the server prints, as fractions in 0..1: its success is `auc`."""
    return {
        "auc": _area(curves.success),
        "precision": _area(curves.precision),
        "normalized_precision": _area(curves.normalized_precision),
        "coverage": float(curves.coverage.mean()),
    }


def _area(curve: FloatArray) -> float:
    return float(((curve[1:] + curve[:-1]) / 2 * np.diff(_STEPS)).sum())
