"""What chance does to the crops of a training pair: stretch, shift, colour and blur, drawn for a batch at once.

After siamfc-pytorch (`transforms.py`) and pysot (`augmentation.py`); which of it happens is `distillery.config.pairs`.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from distillery.config.pairs import Pairs
from distillery.tracking.boxes import FloatArray
from distillery.tracking.crops import Image, Surroundings, crop

UNIFORMS = 8
"""Uniform numbers that a crop takes."""

COLOUR_AXES = np.array([[-0.56, 0.98, -0.42], [1.72, 0.20, -1.83], [4.64, 4.74, 4.88]])
"""Rows are the principal axes of RGB over video frames, a tenth of their deviation long (pysot's `rgbVar`).

An offset is a random sum of these rows. pysot and siamese-fc multiply by the transpose, which shakes blue seven times
as much as red and never the brightness alone.
"""

GREY = np.tile([0.299, 0.587, 0.114], (3, 1))
"""Luma of ITU-R BT.601, as OpenCV's conversion."""

BLUR = (5, 45)
"""Sides of the smallest and the largest blur (pysot) ..."""
BLUR_SIDE = 255
"""... in a search crop of this side."""


class Augmentations(NamedTuple):
    """One row a crop."""

    stretch: FloatArray
    """(B, 2) factor on the target's width and height."""
    shift: npt.NDArray[np.int64]
    """(B, 2) by how many pixels, before the stretch, the crop lies right of and below the target."""
    colour: FloatArray | None
    """(B, 3, 4) affine map of RGB, or None for unchanged colours."""
    blur: npt.NDArray[np.int64]
    """(B,) side of the blur, 0 for none."""
    blur_weight: FloatArray
    """(B,) share of its vertical bar; the horizontal one has the rest."""


def augmentations(
    uniform: FloatArray,
    normal: FloatArray,
    grey: npt.NDArray[np.bool_],
    pairs: Pairs,
    *,
    stretch: float,
    shift: int,
    blur: float,
    side: int,
) -> Augmentations:
    """What happens to each crop of a batch.

    Args:
        uniform: (B, UNIFORMS) numbers in [0, 1).
        normal: (B, 3) standard normal numbers.
        grey: (B,) whether a crop loses its colour.
        pairs: For what exemplar and search crop have in common.
        stretch: Largest relative stretch.
        shift: Largest shift in pixels.
        blur: Probability of a blur.
        side: Of the crop, to which blurs are scaled.
    """
    signed = 2 * uniform - 1
    factors = 1 + stretch * signed[:, :2]
    if not pairs.aspect:
        factors[:, 1] = factors[:, 0]
    colour = None
    if pairs.colour or pairs.jitter or pairs.grey:
        colour = np.empty((len(uniform), 3, 4))
        gain = 1 + pairs.colour * signed[:, 4]
        colour[..., :3] = np.where(grey[:, None, None], GREY, np.eye(3)) * gain[:, None, None]
        colour[..., 3] = pairs.jitter * normal @ COLOUR_AXES
    low, high = (max(1, round((length * side / BLUR_SIDE - 1) / 2)) for length in BLUR)
    length = 2 * (low + np.floor(uniform[:, 6] * (high - low + 1)).astype(np.int64)) + 1
    return Augmentations(
        stretch=factors,
        shift=np.floor(uniform[:, 2:4] * (2 * shift + 1)).astype(np.int64) - shift,
        colour=colour,
        blur=np.where(uniform[:, 5] < blur, length, 0),
        blur_weight=uniform[:, 7],
    )


def cut(
    wide: Surroundings,
    row: int,
    drawn: Augmentations,
    size: int,
    out: Image,
    border: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> None:
    """Cuts one augmented crop out of a target's surroundings.

    Args:
        wide: At least `margin` pixels of the crop wide, where `border` is not given.
        row: Of `drawn`.
        drawn: Of a batch.
        size: Side of the crop.
        out: (size, size, 3), is written to.
        border: Colour of what lies beyond `wide`.
    """
    image, (x, y), scale = wide
    across, down = drawn.stretch[row].tolist()
    right, below = drawn.shift[row].tolist()
    sides = size * scale / across, size * scale / down
    crop(image, (x + right * scale, y + below * scale), sides, size, border, out=out)
    if drawn.colour is not None:
        cv2.transform(out, drawn.colour[row], dst=out)
    if (length := int(drawn.blur[row])) > 0:
        weight = float(drawn.blur_weight[row])
        bars = cv2.blur(out, (1, length)), cv2.blur(out, (length, 1))
        cv2.addWeighted(bars[0], weight, bars[1], 1 - weight, 0, dst=out)


def margin(pairs: Pairs, exemplar: int, search: int) -> int:
    """Side of the square around a target that holds every crop of it, for the largest stretch and shift."""
    sides = (
        exemplar / (1 - pairs.exemplar_stretch) + 2 * pairs.exemplar_shift,
        search / (1 - pairs.stretch) + 2 * pairs.shift,
    )
    return int(np.ceil(max(sides))) + 2


def boxes(sizes: FloatArray, drawn: Augmentations, side: int) -> FloatArray:
    """Where the targets lie in their crops.

    Args:
        sizes: (B, 2) width and height before the stretch, in pixels of the crop.
        drawn: What happened to the crops.
        side: Of the crops, whose centre is at (side - 1) / 2.

    Returns:
        (B, 4) x1, y1, x2, y2.
    """
    centre = (side - 1) / 2 - drawn.shift * drawn.stretch
    half = sizes * drawn.stretch / 2
    return np.concatenate([centre - half, centre + half], axis=1)
