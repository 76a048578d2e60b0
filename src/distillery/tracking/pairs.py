"""Training pairs: an exemplar and a search region from two frames of a clip, for every family of trackers.

The draw follows siamfc-pytorch (`datasets.py: Pair`): the same filter of frames, the exemplar's frame first, at most
`max_gap` apart; pairs of two clips follow pysot. Each frame is cropped once with a margin and kept.
"""

from __future__ import annotations

from collections.abc import Sequence as Sequences
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch

from distillery.config.pairs import Pairs
from distillery.data.images import image_size, read_image
from distillery.engine import distributed
from distillery.engine.randomness import numpy_generator
from distillery.errors import UserError
from distillery.tracking.augmentation import UNIFORMS, Augmentations, augmentations, boxes, cut, margin
from distillery.tracking.benchmarks.base import Sequence
from distillery.tracking.boxes import FloatArray, to_pixels, xywh_to_centre
from distillery.tracking.crops import Image, Surroundings, context_side, surroundings

CACHE_BYTES = 1_500_000_000
"""Crops beyond this are made anew each time, which changes the speed and not the result."""


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


class Store(Protocol):
    """Where crops may lie ready (`tracking.crop_store`)."""

    def get(self, clip: str, frame: int) -> Surroundings | None:
        """The target of a frame with margin, or None."""


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


class _Plan(NamedTuple):
    """All that chance decides about a batch."""

    targets: npt.NDArray[np.int64]
    """(B, 2, 2) clip and frame of exemplar and search crop."""
    exemplar: Augmentations
    search: Augmentations


class PairSampler:
    """Draws batches of pairs; what a batch holds depends on (seed, step, size) alone.

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
        self.pairs, self.geometry, self.seed, self._store = pairs, geometry, seed, store
        self.clips = usable_clips(clips)
        self.margin_size = margin(pairs, geometry.exemplar, geometry.train_search)
        self._kept: dict[tuple[int, int], Surroundings] = {}
        self._bytes = 0
        self._order: tuple[int, npt.NDArray[np.int64]] = (-1, np.empty(0, np.int64))
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self._next: tuple[tuple[int, int], Future[PairBatch]] | None = None
        self._background = ThreadPoolExecutor(1) if threads > 1 and ahead else None

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
        # Empty rather than stacked: every crop is written to its place.
        exemplars = np.empty((len(rows), geometry.exemplar, geometry.exemplar, 3), np.uint8)
        searches = np.empty((len(rows), geometry.train_search, geometry.train_search, 3), np.uint8)

        def fill(row: int) -> None:
            (z_clip, z_frame), (x_clip, x_frame) = plan.targets[row].tolist()
            cut(self._wide(z_clip, z_frame), row, plan.exemplar, geometry.exemplar, exemplars[row - rows.start])
            cut(self._wide(x_clip, x_frame), row, plan.search, geometry.train_search, searches[row - rows.start])

        list(map(fill, rows) if self._pool is None else self._pool.map(fill, rows))
        shown = np.array([self._size(int(clip), int(frame)) for clip, frame in plan.targets[:, 1]])
        found = boxes(shown, plan.search, geometry.train_search).astype(np.float32)
        return PairBatch(
            _tensor(exemplars),
            _tensor(searches),
            torch.from_numpy(found[rows]),
            torch.from_numpy((plan.targets[:, 0, 0] == plan.targets[:, 1, 0])[rows]),
        )

    def _plan(self, step: int, size: int) -> _Plan:
        draw, pairs = numpy_generator(self.seed, "pairs", step), self.pairs
        uniform = draw.random((size, 6 + 2 * UNIFORMS))
        normal = draw.standard_normal((2, size, 3))
        targets = np.array([self._targets(step * size + row, uniform[row, :5].tolist()) for row in range(size)])
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
        return _Plan(targets, exemplar, search)

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


def usable_clips(clips: Sequences[Sequence]) -> list[tuple[Sequence, npt.NDArray[np.int64]]]:
    """The clips with two or more usable frames, and those frames.

    Raises:
        UserError: If there is none.
    """
    usable = [(clip, usable_frames(clip)) for clip in clips]
    found = [(clip, frames) for clip, frames in usable if len(frames) >= 2]
    if not found:
        raise UserError(
            "no training clip has two frames with a usable box",
            file=clips[0].truth_file.parent.parent if clips else None,
            remedy="check the dataset with `distillery check`",
        )
    return found


def usable_frames(clip: Sequence) -> npt.NDArray[np.int64]:
    """Frames whose box can be learnt from (siamfc-pytorch `Pair._filter`).

    Sides 20..500 px and 1..50 % of the image's sides, aspect 1/4..4, and, where the clip is labelled, a level of
    visibility (0..8) above 1 and above 30 % of the clip's best.
    """
    width, height = clip.truth[:, 2], clip.truth[:, 3]
    across, down = clip.image_size or image_size(clip.frames[0])
    shares = width / across, height / down
    with np.errstate(divide="ignore", invalid="ignore"):
        aspect = width / height
    fits = (
        (np.minimum(width, height) >= 20)
        & (np.maximum(width, height) <= 500)
        & (np.minimum(*shares) >= 0.01)
        & (np.maximum(*shares) <= 0.5)
        & (aspect >= 0.25)
        & (aspect <= 4)
    )
    cover = getattr(clip, "cover", None)
    if cover is not None:
        fits &= cover > max(1, 0.3 * float(cover.max()))  # levels 0..8
    return np.flatnonzero(fits)


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


def _tensor(crops: npt.NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(crops).permute(0, 3, 1, 2).float()
