"""Batches of training pairs, wherever their frames come from: draws, crops, augments and collates.

What a batch holds depends on (seed, step, size) alone; of several ranks each makes its share of the pairs. Where a
pair's two targets come from is a subclass's business: `pairs.PairSampler` (clips), `shard_pairs.ShardSampler` (shards
of crops).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch

from distillery.config.pairs import Pairs
from distillery.engine import distributed
from distillery.engine.randomness import numpy_generator
from distillery.tracking.augmentation import UNIFORMS, Augmentations, augmentations, boxes, cut
from distillery.tracking.crops import Surroundings

IntArray = npt.NDArray[np.int64]


class Geometry(Protocol):
    """What the sampler needs of a family's geometry."""

    @property
    def exemplar(self) -> int:
        """Side of the exemplar crop."""

    @property
    def train_search(self) -> int:
        """Side of the search crop."""

    @property
    def context(self) -> float:
        """Context around the target."""


class PairBatch(NamedTuple):
    """The pairs of a step."""

    exemplar: torch.Tensor
    """(B, 3, z, z) float32 RGB in 0..255."""
    search: torch.Tensor
    """(B, 3, x, x) float32 RGB in 0..255."""
    box: torch.Tensor
    """(B, 4) float32 x1, y1, x2, y2 of the search crop's object, in its pixels; the crop's centre is at (x - 1) / 2."""
    positive: torch.Tensor
    """(B,) bool; False where the exemplar shows another clip's object."""

    def to(self, device: torch.device) -> PairBatch:
        """The same pairs on a device."""
        return PairBatch(*(values.to(device) for values in self))


class Drawn(NamedTuple):
    """The targets of a batch's pairs."""

    targets: IntArray
    """(B, 2, 2) of exemplar and search crop, two numbers that name a target."""
    positive: npt.NDArray[np.bool_]
    """(B,) whether both show the same object."""


class _Plan(NamedTuple):
    """All that chance decides about a batch."""

    drawn: Drawn
    exemplar: Augmentations
    search: Augmentations


class Sampler(ABC):
    """Makes batches of pairs.

    Args:
        pairs: How pairs are drawn.
        geometry: Sizes of the crops.
        seed: The job's seed.
        threads: Threads that read and crop; with more than one, `ahead` makes the next batch in the background.
    """

    def __init__(self, pairs: Pairs, geometry: Geometry, seed: int, *, threads: int = 1, ahead: bool = True) -> None:
        self.pairs, self.geometry, self.seed = pairs, geometry, seed
        self._order: tuple[int, IntArray] = (-1, np.empty(0, np.int64))
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self._next: tuple[tuple[int, int], Future[PairBatch]] | None = None
        self._background = ThreadPoolExecutor(1) if threads > 1 and ahead else None

    @abstractmethod
    def _draw(self, step: int, chances: npt.NDArray[np.float64]) -> Drawn:
        """Targets of a step.

        Args:
            step: Of the job.
            chances: (B, 5) numbers in [0, 1).
        """

    @abstractmethod
    def _size(self, one: int, other: int) -> tuple[float, float]:
        """Width and height of a target at the scale of the crops."""

    @abstractmethod
    def _wide(self, one: int, other: int) -> Surroundings:
        """A target with all that a search crop can show."""

    def _near(self, one: int, other: int) -> Surroundings:
        """A target with all that an exemplar can show, where that can be had for less."""
        return self._wide(one, other)

    def _border(self, one: int, other: int) -> tuple[float, float, float]:
        """Colour of what lies beyond the pixels of a target; clips are cropped so wide that nothing does."""
        return 0.0, 0.0, 0.0

    def batch(self, step: int, size: int) -> PairBatch:
        """The pairs of a step, `size` in all; of several ranks each gets its share."""
        if self._background is None:
            return self._make(step, size)
        if self._next is None or self._next[0] != (step, size):
            self._next = (step, size), self._background.submit(self._make, step, size)
        made = self._next[1].result()
        self._next = ((step + 1, size), self._background.submit(self._make, step + 1, size))
        return made

    def epoch(self, step: int, size: int) -> int:
        """0-based epoch of a step."""
        return step * size // self.pairs.epoch

    def _make(self, step: int, size: int) -> PairBatch:
        plan, geometry, rows = self._plan(step, size), self.geometry, range(size)[distributed.share(size)]
        targets = plan.drawn.targets
        # Empty rather than stacked: every crop is written to its place.
        exemplars = np.empty((len(rows), geometry.exemplar, geometry.exemplar, 3), np.uint8)
        searches = np.empty((len(rows), geometry.train_search, geometry.train_search, 3), np.uint8)

        def fill(row: int) -> None:
            exemplar, search = targets[row].tolist()
            near, far = self._border(*exemplar), self._border(*search)
            mine = row - rows.start
            cut(self._near(*exemplar), row, plan.exemplar, geometry.exemplar, exemplars[mine], near)
            cut(self._wide(*search), row, plan.search, geometry.train_search, searches[mine], far)

        list(map(fill, rows) if self._pool is None else self._pool.map(fill, rows))
        shown = np.array([self._size(int(one), int(other)) for one, other in targets[:, 1]])
        found = boxes(shown, plan.search, geometry.train_search).astype(np.float32)
        return PairBatch(
            _tensor(exemplars),
            _tensor(searches),
            torch.from_numpy(found[rows]),
            torch.from_numpy(plan.drawn.positive[rows]),
        )

    def _plan(self, step: int, size: int) -> _Plan:
        draw, pairs = numpy_generator(self.seed, "pairs", step), self.pairs
        uniform = draw.random((size, 6 + 2 * UNIFORMS))
        normal = draw.standard_normal((2, size, 3))
        drawn = self._draw(step, uniform[:, :5])
        grey = uniform[:, 5] < pairs.grey
        exemplar = augmentations(
            uniform[:, 6 : 6 + UNIFORMS],
            normal[0],
            grey,
            pairs,
            stretch=pairs.exemplar_stretch,
            shift=pairs.exemplar_shift,
            blur=0.0,
            side=self.geometry.exemplar,
        )
        search = augmentations(
            uniform[:, 6 + UNIFORMS :],
            normal[1],
            grey,
            pairs,
            stretch=pairs.stretch,
            shift=pairs.shift,
            blur=pairs.blur,
            side=self.geometry.train_search,
        )
        return _Plan(drawn, exemplar, search)


def _tensor(crops: npt.NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(crops).permute(0, 3, 1, 2).float()
