"""Means over seeds and what they leave open: Student's t intervals, of values and of paired differences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its interval; one seed has no interval, and none is made up."""

    mean: float
    """Mean, in the unit of the values."""
    low: float | None
    """Lower end of the interval, None for a single seed."""
    high: float | None
    """Upper end of the interval, None for a single seed."""
    seeds: int
    """Number of seeds."""

    @property
    def half_width(self) -> float | None:
        """Half the interval's length, None for a single seed."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    @property
    def excludes_zero(self) -> bool | None:
        """Whether the interval lies on one side of zero; None for a single seed."""
        return None if self.low is None or self.high is None else self.low > 0 or self.high < 0


def estimate(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Mean and two-sided Student t interval: mean ± t(1 - (1 - confidence) / 2, n - 1) * s / sqrt(n).

    Args:
        values: One number a seed; s is their standard deviation with n - 1.
        confidence: Coverage, 0..1.

    Raises:
        ValueError: If there is no value, or one that is not finite.
    """
    data = np.asarray(values, dtype=np.float64)
    if data.size == 0 or not np.isfinite(data).all():
        raise ValueError("an estimate needs at least one number, all finite")
    mean = math.fsum(data) / data.size
    if data.size == 1:
        return Estimate(mean=mean, low=None, high=None, seeds=1)
    quantile = float(stats.t.ppf(0.5 + confidence / 2, data.size - 1))
    half = quantile * float(data.std(ddof=1)) / math.sqrt(data.size)
    return Estimate(mean=mean, low=mean - half, high=mean + half, seeds=int(data.size))


def paired_difference(
    minuend: Mapping[int, float], subtrahend: Mapping[int, float], confidence: float = CONFIDENCE
) -> Estimate | None:
    """Interval of the differences over the seeds that both have; None if they share no seed.

    Runs of equal seed share what the seed decides (data order, initialisation), so their difference varies less than
    either; this is the paired t interval.
    """
    seeds = sorted(minuend.keys() & subtrahend.keys())
    return estimate([minuend[seed] - subtrahend[seed] for seed in seeds], confidence) if seeds else None
