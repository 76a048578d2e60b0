"""Training pairs: an exemplar and a search region from two frames of one clip, centred on the target.

The draw follows siamfc-pytorch (`datasets.py: Pair`, `transforms.py: SiamFCTransforms`): the same filter of frames,
frames at most `max_gap` apart, a common stretch, and a random crop that shifts the target by a few pixels under a
label that stays centred. Unlike there, each frame is cropped once with a margin and kept, so that a pair costs two
small warps instead of two decodings; this follows pysot's cached crops.
"""

from __future__ import annotations

import math
from collections.abc import Sequence as Sequences

import numpy as np
import numpy.typing as npt
import torch

from distillery.config.tracking import Pairs, SiamFCGeometry
from distillery.data.images import read_image
from distillery.engine.randomness import numpy_generator
from distillery.errors import UserError
from distillery.tracking.benchmarks.base import Sequence
from distillery.tracking.boxes import FloatArray, to_pixels, xywh_to_centre
from distillery.tracking.crops import Image, context_side, crop, mean_colour

CACHE_BYTES = 1_500_000_000
"""Crops beyond this are made anew each time, which changes the speed and not the result."""


class PairSampler:
    """Draws batches of pairs; what a batch holds depends on (seed, step) alone.

    Args:
        clips: Training sequences with frames.
        pairs: How pairs are drawn.
        geometry: Sizes of the crops.
        seed: The job's seed.

    Raises:
        UserError: If no clip has two usable frames.
    """

    def __init__(self, clips: Sequences[Sequence], pairs: Pairs, geometry: SiamFCGeometry, seed: int) -> None:
        self.pairs, self.geometry, self.seed = pairs, geometry, seed
        usable = [(clip, usable_frames(clip)) for clip in clips]
        self.clips = [(clip, frames) for clip, frames in usable if len(frames) >= 2]
        if not self.clips:
            raise UserError(
                "no training clip has two frames with a usable box",
                file=clips[0].truth_file.parent.parent if clips else None,
                remedy="check the dataset with `distillery check`",
            )
        # Room for the largest stretch and shift around the search crop.
        widest = max(geometry.train_search, geometry.exemplar) / (1 - pairs.stretch)
        self.margin_size = math.ceil(widest) + 2 * pairs.shift + 2
        self._crops: dict[tuple[int, int], Image] = {}
        self._room = CACHE_BYTES // (3 * self.margin_size**2)
        self._order: tuple[int, npt.NDArray[np.int64]] = (-1, np.empty(0, np.int64))

    def batch(self, step: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The pairs of a step.

        Returns:
            Exemplars (size, 3, 127, 127) and search regions (size, 3, 239, 239), float32 RGB in 0..255.
        """
        drawn = [self._pair(step * size + index) for index in range(size)]
        exemplars, searches = (np.stack(crops) for crops in zip(*drawn, strict=True))
        return _tensor(exemplars), _tensor(searches)

    def epoch(self, step: int, size: int) -> int:
        """0-based epoch of a step."""
        return step * size // self.pairs.epoch

    def _pair(self, index: int) -> tuple[Image, Image]:
        epoch, position = divmod(index, self.pairs.epoch)
        if self._order[0] != epoch:
            order = numpy_generator(self.seed, "order", epoch).permutation(self.pairs.epoch)
            self._order = (epoch, order)
        clip = int(self._order[1][position]) % len(self.clips)
        draw = numpy_generator(self.seed, "pair", index)
        frames = self.clips[clip][1]
        first, second = self._frames(frames, draw)
        return (
            self._augmented(clip, first, self.geometry.exemplar, draw),
            self._augmented(clip, second, self.geometry.train_search, draw),
        )

    def _frames(self, usable: npt.NDArray[np.int64], draw: np.random.Generator) -> tuple[int, int]:
        """Two frames, the exemplar's first, as in `Pair._sample_pair`; the same one only where no other is near."""
        one = int(draw.choice(usable))
        others = usable[(np.abs(usable - one) <= self.pairs.max_gap) & (usable != one)]
        other = int(draw.choice(others)) if len(others) else one
        return min(one, other), max(one, other)

    def _augmented(self, clip: int, frame: int, size: int, draw: np.random.Generator) -> Image:
        pairs = self.pairs
        stretch = 1 + draw.uniform(-pairs.stretch, pairs.stretch)
        x, y = draw.integers(-pairs.shift, pairs.shift, size=2, endpoint=True)
        gain = 1 + draw.uniform(-pairs.colour, pairs.colour)
        wide = self._wide(clip, frame)
        middle = (len(wide) - 1) / 2
        cut = crop(wide, (middle + x, middle + y), size / stretch, size, (0, 0, 0))
        return cut if pairs.colour == 0 else np.clip(cut * np.float32(gain), 0, 255).astype(np.uint8)

    def _wide(self, clip: int, frame: int) -> Image:
        """The target with margin, at the scale of the exemplar crop."""
        key = (clip, frame)
        if key not in self._crops:
            sequence = self.clips[clip][0]
            made = wide_crop(
                read_image(sequence.frames[frame]),
                to_pixels(sequence.truth[frame], sequence.first_pixel),
                self.margin_size,
                self.geometry,
            )
            if len(self._crops) >= self._room:
                return made
            self._crops[key] = made
        return self._crops[key]


def wide_crop(image: Image, box: FloatArray, size: int, geometry: SiamFCGeometry) -> Image:
    """A crop of `size` pixels around a box at the exemplar's scale, the image's mean colour outside.

    Args:
        image: (H, W, 3) RGB.
        box: x, y, w, h in 0-based pixels.
        size: Side of the crop.
        geometry: Exemplar side and context.
    """
    x, y, width, height = (float(value) for value in xywh_to_centre(box))
    side = context_side(width, height, geometry.context) * size / geometry.exemplar
    return crop(image, (x, y), side, size, mean_colour(image))


def usable_frames(clip: Sequence) -> npt.NDArray[np.int64]:
    """Frames whose box can be learnt from (siamfc-pytorch `Pair._filter`).

    Sides 20..500 px and 1..50 % of the image's sides, aspect 1/4..4, and, where the clip is labelled, a level of
    visibility (0..8) above 1 and above 30 % of the clip's best.
    """
    width, height = clip.truth[:, 2], clip.truth[:, 3]
    image = read_image(clip.frames[0])
    shares = width / image.shape[1], height / image.shape[0]
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


def _tensor(crops: npt.NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(crops).permute(0, 3, 1, 2).float()


def labels(cells: int, radius: float, stride: int) -> torch.Tensor:
    """Ground truth of a response: 1 within `radius` pixels of the centre in block distance, else 0 (siamfc-pytorch).

    Args:
        cells: Side of the response.
        radius: In pixels of the search crop (reference: 16).
        stride: Pixels a cell.

    Returns:
        (cells * cells,) float32.
    """
    offset = torch.arange(cells) - (cells - 1) / 2
    distance = offset.abs()[:, None] + offset.abs()[None, :]
    return (distance <= radius / stride).float().flatten()
