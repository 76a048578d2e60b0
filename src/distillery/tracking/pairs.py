"""Training pairs: an exemplar and a search region from two frames of a clip, for every family of trackers.

The draw follows siamfc-pytorch (`datasets.py: Pair`): the same filter of frames, the exemplar's frame first, at most
`max_gap` apart; pairs of two clips follow pysot. Each frame is cropped once with a margin and kept.
"""

from __future__ import annotations

from collections.abc import Sequence as Sequences
from typing import Protocol

import numpy as np
import numpy.typing as npt

from distillery.config.pairs import Pairs
from distillery.data.images import read_image
from distillery.engine.randomness import numpy_generator
from distillery.tracking.augmentation import margin
from distillery.tracking.benchmarks.base import Sequence
from distillery.tracking.boxes import FloatArray, to_pixels, xywh_to_centre
from distillery.tracking.crops import Image, Surroundings, context_side, surroundings
from distillery.tracking.pair_batches import Drawn, Geometry, PairBatch, Sampler
from distillery.tracking.usable import usable_clips, usable_frames

__all__ = ["Geometry", "PairBatch", "PairSampler", "usable_clips", "usable_frames", "wide_crop", "wide_crop_of"]

CACHE_BYTES = 1_500_000_000
"""Crops beyond this are made anew each time, which changes the speed and not the result."""


class Store(Protocol):
    """Where crops may lie ready (`tracking.crop_store`)."""

    def get(self, clip: str, frame: int) -> Surroundings | None:
        """The target of a frame with margin, or None."""


class PairSampler(Sampler):
    """Draws batches of pairs from clips; what a batch holds depends on (seed, step, size) alone.

    Args:
        clips: Training sequences with frames.
        pairs: How pairs are drawn.
        geometry: Sizes of the crops.
        seed: The job's seed.
        threads: Threads that read and crop; with more than one, `ahead` makes the next batch in the background.
        store: Crops that were made before; those that it lacks are made when they are needed.

    Raises:
        UserError: If no clip has two usable frames.
    """

    def __init__(
        self,
        clips: Sequences[Sequence],
        pairs: Pairs,
        geometry: Geometry,
        seed: int,
        *,
        threads: int = 1,
        ahead: bool = True,
        store: Store | None = None,
    ) -> None:
        super().__init__(pairs, geometry, seed, threads=threads, ahead=ahead)
        self._store = store
        self.clips = usable_clips(clips)
        self.margin_size = margin(pairs, geometry.exemplar, geometry.train_search)
        self._kept: dict[tuple[int, int], Surroundings] = {}
        self._bytes = 0

    def _draw(self, step: int, chances: npt.NDArray[np.float64]) -> Drawn:
        size = len(chances)
        targets = np.array([self._targets(step * size + row, chances[row].tolist()) for row in range(size)])
        return Drawn(targets, targets[:, 0, 0] == targets[:, 1, 0])

    def _targets(self, index: int, chance: list[float]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Clip and frame of the exemplar and of the search region of pair `index`."""
        one, other, negative, stranger, moment = chance
        epoch, position = divmod(index, self.pairs.epoch)
        if self._order[0] != epoch:
            order = numpy_generator(self.seed, "order", epoch).permutation(self.pairs.epoch)
            self._order = (epoch, order)
        clip = int(self._order[1][position]) % len(self.clips)
        first, second = _frames(self.clips[clip][1], self.pairs.max_gap, one, other)
        if negative < self.pairs.negative and len(self.clips) > 1:
            # Any clip but this one.
            shown = (clip + 1 + int(stranger * (len(self.clips) - 1))) % len(self.clips)
            frames = self.clips[shown][1]
            return (shown, int(frames[int(moment * len(frames))])), (clip, second)
        return (clip, first), (clip, second)

    def _size(self, clip: int, frame: int) -> tuple[float, float]:
        """Width and height of a target at the scale of the crops."""
        width, height = (float(value) for value in self.clips[clip][0].truth[frame, 2:])
        scale = self.geometry.exemplar / context_side(width, height, self.geometry.context)
        return width * scale, height * scale

    def _wide(self, clip: int, frame: int) -> Surroundings:
        """The target with margin."""
        key = (clip, frame)
        if (kept := self._kept.get(key)) is not None:
            return kept
        sequence = self.clips[clip][0]
        stored = self._store.get(sequence.name, frame) if self._store else None
        if stored is not None:
            return stored
        made = wide_crop_of(sequence, frame, self.margin_size, self.geometry)
        if self._bytes + made.image.nbytes <= CACHE_BYTES and self._kept.setdefault(key, made) is made:
            self._bytes += made.image.nbytes
        return made


def wide_crop_of(clip: Sequence, frame: int, size: int, geometry: Geometry) -> Surroundings:
    """`wide_crop` of the target in a frame of a clip."""
    image, box = read_image(clip.frames[frame]), to_pixels(clip.truth[frame], clip.first_pixel)
    return wide_crop(image, box, size, geometry)


def wide_crop(image: Image, box: FloatArray, size: int, geometry: Geometry) -> Surroundings:
    """A box with what a crop of `size` pixels at the exemplar's scale shows, the image's mean colour outside.

    Args:
        image: (H, W, 3) RGB.
        box: x, y, w, h in 0-based pixels.
        size: Side of the crop.
        geometry: Exemplar side and context.
    """
    x, y, width, height = (float(value) for value in xywh_to_centre(box))
    scale = context_side(width, height, geometry.context) / geometry.exemplar
    return surroundings(image, (x, y), scale, size)


def _frames(usable: npt.NDArray[np.int64], gap: int, one: float, other: float) -> tuple[int, int]:
    """Two frames, the exemplar's first, as in `Pair._sample_pair`; the same one only where no other is near.

    Args:
        usable: Frames in ascending order.
        gap: Largest distance.
        one: In [0, 1), decides on the first of them ...
        other: ... and on the other one.
    """
    at = int(one * len(usable))
    low, high = np.searchsorted(usable, [usable[at] - gap, usable[at] + gap + 1]).tolist()
    near = high - low - 1
    partner = at
    if near:
        partner = low + int(other * near)
        partner += partner >= at
    first, second = sorted((at, partner))
    return int(usable[first]), int(usable[second])
