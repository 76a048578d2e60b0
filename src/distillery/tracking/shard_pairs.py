"""Training pairs from shards of several sets, drawn as pysot draws them (`dataset.py: TrkDataset`, `SubDataset`).

A round takes `use` videos of each set, shuffled together. Of a video one object is drawn, of it one labelled frame for
the exemplar and one at most `max_gap` labelled frames away for the search region; a still picture is its own partner.
With probability `negative` the search region is instead of any object of any set, each set being equally likely. Unlike
pysot, which fixes the videos of a set that is used in part for the whole training, each round draws them anew, and a
negative pair never shows one video twice where there is another.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from distillery.config.pairs import Pairs, Source
from distillery.config.shards import shard_job
from distillery.engine.randomness import numpy_generator
from distillery.errors import UserError
from distillery.tracking.crops import Surroundings
from distillery.tracking.pair_batches import Drawn, Geometry, IntArray, Sampler
from distillery.tracking.shard_store import INNER, OUTER, ShardedSet, open_shards

_CHANCES = 8
"""Numbers that a pair takes: object, frame, partner; negative, and of the stranger set, video, object, frame."""


class ShardSampler(Sampler):
    """Draws batches of pairs from shards; what a batch holds depends on (seed, step, size) alone.

    Args:
        sidecar: `FOLDER.json` of the shards.
        pairs: How pairs are drawn, with sources.
        geometry: Sizes of the crops.
        seed: The job's seed.
        threads, ahead: As of every sampler.

    Raises:
        UserError: If the shards are damaged, or not those of these pairs.
    """

    def __init__(
        self,
        sidecar: Path,
        pairs: Pairs,
        geometry: Geometry,
        seed: int,
        *,
        threads: int = 1,
        ahead: bool = True,
    ) -> None:
        super().__init__(pairs, geometry, seed, threads=threads, ahead=ahead)
        wanted = shard_job(pairs, geometry.exemplar, geometry.train_search, geometry.context)
        job, sets = open_shards(sidecar)
        free = {"shards"}
        if job.model_dump(exclude=free) != wanted.model_dump(exclude=free):
            raise UserError("holds crops of other sets or other sizes", file=sidecar, remedy="make the shards again")
        self.sets: list[ShardedSet] = [sets[source.name] for source in pairs.sources]
        self._uses = [source.use or one.videos for source, one in zip(pairs.sources, self.sets, strict=True)]

    @property
    def round(self) -> int:
        """Pairs in a round through all sets."""
        return sum(self._uses)

    def _draw(self, step: int, chances: npt.NDArray[np.float64]) -> Drawn:
        size = len(chances)
        own = numpy_generator(self.seed, "sources", step).random((size, _CHANCES))
        targets = np.empty((size, 2, 2), np.int64)
        positive = own[:, 3] >= self.pairs.negative
        for row in range(size):
            number, video = self._video(step * size + row)
            first, second = self._pair(self.pairs.sources[number], self.sets[number], video, own[row, :3])
            targets[row] = (number, first), (number, second)
            if not positive[row]:
                targets[row, 1] = self._stranger(number, video, own[row, 4:])
        return Drawn(targets, positive)

    def _video(self, index: int) -> tuple[int, int]:
        """Set and video of pair `index`."""
        number, position = divmod(index, self.round)
        if self._order[0] != number:
            self._order = number, self._round_of(number)
        found, video = divmod(int(self._order[1][position]), 1 << 40)
        return found, video

    def _round_of(self, number: int) -> IntArray:
        """Set (times 2**40) and video of every pair of a round."""
        parts = []
        for at, (source, one, use) in enumerate(zip(self.pairs.sources, self.sets, self._uses, strict=True)):
            draw = numpy_generator(self.seed, "videos", source.name, number)
            times = -(-use // one.videos)
            picks = np.concatenate([draw.permutation(one.videos) for _ in range(times)])[:use]
            parts.append(picks + (at << 40))
        order = numpy_generator(self.seed, "round", number).permutation(self.round)
        shuffled: IntArray = np.concatenate(parts)[order]
        return shuffled

    @staticmethod
    def _pair(source: Source, one: ShardedSet, video: int, chances: npt.NDArray[np.float64]) -> tuple[int, int]:
        """Crops of exemplar and search region."""
        begin, end = one.crops_of(_of(one.tracks_of(video), chances[0]))
        exemplar = _of((begin, end), chances[1])
        near = max(begin, exemplar - source.max_gap), min(end, exemplar + source.max_gap + 1)
        return exemplar, _of(near, chances[2])

    def _stranger(self, number: int, video: int, chances: npt.NDArray[np.float64]) -> tuple[int, int]:
        """Set and crop of an object of another video."""
        other = _of((0, len(self.sets)), chances[0])
        one = self.sets[other]
        found = _of((0, one.videos), chances[1])
        if (other, found) == (number, video):
            found = (found + 1) % one.videos
        track = _of(one.tracks_of(found), chances[2])
        return other, _of(one.crops_of(track), chances[3])

    def _size(self, one: int, other: int) -> tuple[float, float]:
        return self.sets[one].size(other)

    def _wide(self, one: int, other: int) -> Surroundings:
        return self.sets[one].read(other, OUTER)

    def _near(self, one: int, other: int) -> Surroundings:
        return self.sets[one].read(other, INNER)

    def _border(self, one: int, other: int) -> tuple[float, float, float]:
        return self.sets[one].border(other)


def _of(span: tuple[int, int], chance: float) -> int:
    """One of the numbers from `span[0]` to before `span[1]`, by a number in [0, 1)."""
    return span[0] + int(chance * (span[1] - span[0]))
