"""Intervals of paired differences over seeds and test units (sequences, queries): Student's t and the bootstrap.

Three networks of a method, tested on the same twenty sequences, are a table of three rows and twenty columns. Rows are
random (initialisation, data order), columns are random (another test set would hold other sequences), and neither kind
of variation stands for the other. So two intervals are taken, each blind to what the other sees:

- Student's t over the rows' means. It is right for few seeds, and knows nothing of other test sets.
- The percentile bootstrap of the mean, with rows and columns drawn with replacement and independently of each other
  (Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 2007). It knows both, but of three rows alone its 95 %
  interval covers 75 % (docs/claims.md), as any bootstrap of three numbers.

What is reported reaches from the lower of the two low ends to the higher of the two high ends.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from distillery.engine.randomness import numpy_generator

Matrix = npt.NDArray[np.float64]
_BATCH_VALUES = 4_000_000


@dataclass(frozen=True)
class Sampled:
    """A mean over seeds and units, and what it could have been."""

    mean: float
    """The mean."""
    rows: Matrix
    """Its value for each seed, shape (seeds,)."""
    resampled: Matrix
    """Bootstrap distribution of the mean, shape (resamples,)."""

    def t(self, confidence: float) -> tuple[float, float]:
        """Student's t interval over the seeds."""
        seeds = self.rows.size
        spread = float(self.rows.std(ddof=1)) / math.sqrt(seeds)
        half = float(stats.t.ppf(0.5 + confidence / 2, seeds - 1)) * spread
        return self.mean - half, self.mean + half

    def bootstrap(self, confidence: float) -> tuple[float, float]:
        """Percentile interval of the bootstrap distribution."""
        low, high = np.quantile(self.resampled, [0.5 - confidence / 2, 0.5 + confidence / 2])
        return float(low), float(high)

    def interval(self, confidence: float) -> tuple[float, float]:
        """From the lower of both low ends to the higher of both high ends."""
        lows, highs = zip(self.t(confidence), self.bootstrap(confidence), strict=True)
        return min(lows), max(highs)


def sample(blocks: Sequence[Matrix], weights: Sequence[float], resamples: int, name: str) -> Sampled:
    """The weighted mean of several tables' means, with its distribution.

    Args:
        blocks: Differences, each of shape (seeds, units). Row k of all blocks is seed k, drawn for all at once; the
            units of each block are drawn on their own. A block of one column holds what is known of the whole test set
            only: then its units cannot vary.
        weights: Weight of each block, with sum 1.
        resamples: Size of the distribution.
        name: Names the stream of random numbers; equal names and shapes give equal draws.

    Raises:
        ValueError: If there are fewer than two seeds, or blocks of different numbers of seeds.
    """
    seeds = {block.shape[0] for block in blocks}
    if len(seeds) != 1 or min(seeds) < 2:
        raise ValueError("a sample needs two seeds or more, the same in all blocks")
    (count,) = seeds
    rows = np.sum([w * block.mean(axis=1) for w, block in zip(weights, blocks, strict=True)], axis=0)
    varying = [block for block in blocks if block.shape[1] > 1]

    def mean(*drawn: npt.NDArray[np.float64], axis: int = -1) -> Matrix:
        """Weighted mean with these rows and columns; the last axis of each array holds the places that were drawn."""
        places = [indices.astype(np.intp) for indices in drawn]
        shares = (places[0][..., None] == np.arange(count)).mean(axis=-2)  # share of each seed among those drawn
        columns = iter(places[1:])
        total: Matrix = np.zeros(shares.shape[:-1])
        for weight, block in zip(weights, blocks, strict=True):
            values = shares @ block
            if block.shape[1] > 1:
                values = np.take_along_axis(values, next(columns), axis=-1)
            total = total + weight * values.mean(axis=-1)
        return total

    data = (np.arange(count), *(np.arange(block.shape[1]) for block in varying))
    widest = max(part.size for part in data)
    found = stats.bootstrap(
        data,
        mean,
        n_resamples=resamples,
        batch=max(1, _BATCH_VALUES // widest),
        vectorized=True,
        paired=False,
        axis=-1,
        method="percentile",
        rng=numpy_generator(0, "claims", name),
    )
    return Sampled(float(rows.mean()), rows, np.asarray(found.bootstrap_distribution, dtype=np.float64))
