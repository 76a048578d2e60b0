"""The interval of clip lengths over which VOT averages its expected-overlap curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

OFFICIAL = {"vot2018": (100, 356), "vot2019": (46, 291)}
"""Intervals that the challenges computed from their sequences' lengths, first and last length."""
_MASS = 0.5
"""Share of the sequences' length distribution that the interval holds."""


@dataclass(frozen=True)
class Interval:
    """Lengths low … high in frames, and where they come from."""

    low: int
    high: int
    source: str
    """`official`, `derived` from the lengths of the sequences, or the file or argument that gave it."""


def interval_for(benchmark: str, lengths: Sequence[int]) -> Interval:
    """The challenge's interval where the curve reaches its end, else one derived from the sequences at hand.

    Args:
        benchmark: "vot2018", "vot2019", or any other set in their layout.
        lengths: Frames of each sequence.
    """
    low, high = OFFICIAL.get(benchmark, (0, 0))
    if high and high <= max(lengths):
        return Interval(low, high, "official")
    return Interval(*derived(lengths), "derived")


def derived(lengths: Sequence[int]) -> tuple[int, int]:
    """VOT's rule (Kristan et al., VOT2015 challenge, section 3.2): around the most likely length, between two equally
    likely ones, half of the mass of the lengths' density.

    The density is a sum of Gaussians of Scott's width; for VOT2018's 60 lengths it gives 96 to 379, where the
    challenge's own estimate of the density gave 100 to 356.
    """
    values = np.asarray(lengths, dtype=np.float64)
    width = values.std(ddof=1) * len(values) ** -0.2 if len(values) > 1 else 0.0
    if width == 0:
        return int(values[0]), int(values[0])
    grid = np.arange(1, values.max() + 1)
    density = np.exp(-0.5 * ((grid[:, None] - values) / width) ** 2).sum(axis=1)
    likeliest = np.argsort(-density, kind="stable")
    needed = np.searchsorted(np.cumsum(density[likeliest]), _MASS * density.sum()) + 1
    chosen = grid[likeliest[:needed]]
    return int(chosen.min()), int(chosen.max())
