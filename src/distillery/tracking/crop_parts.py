"""What of a frame a crop shows, and no more: the geometry of pysot's 511-pixel crops without their padding.

pysot (`par_crop.py: crop_like_SiamFC`, after SiamFC) maps a square around the target to `size` x `size` pixels and
fills what lies outside the frame with its mean colour; around large targets that is most of the crop. Here:

- the padding is one colour in the index, not pixels that are encoded and decoded again;
- where the square would be enlarged, the frame's own pixels are kept and the enlarging is left to the one warp that
  cuts the training crop: the same values, of fewer pixels, interpolated once less;
- where it is shrunk, the pixels are those of pysot's crop.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

from distillery.tracking.crops import Image, context_side

Colour = tuple[float, float, float]
BLOCK = 16
"""Pixels of a frame are taken from a multiple of this on: JPEG of JPEG loses little where the blocks are the same."""


class Part(NamedTuple):
    """The pixels that a crop shows."""

    image: Image
    """(h, w, 3), in the frame's order of channels."""
    centre: tuple[float, float]
    """The target's centre in `image`, which may lie outside."""
    scale: float
    """Pixels of `image` in a pixel at the scale of the exemplar."""


class Scale(NamedTuple):
    """How large a target is shown."""

    exemplar: int
    """Side of the exemplar crop in pixels."""
    context: float
    """Context around the target."""


def part_of(
    frame: Image, centre: tuple[float, float], size: tuple[float, float], side: int, scale: Scale, border: Colour
) -> Part | None:
    """What a crop of `side` pixels shows of a frame.

    Args:
        frame: (H, W, 3) uint8.
        centre: x, y of the target in 0-based pixel positions.
        size: Its width and height in pixels, both positive.
        side: Side of the crop in pixels, at the scale of the exemplar.
        scale: Of the crops.
        border: Colour outside the frame, which mixes into its outermost pixels.

    Returns:
        None if the square lies outside the frame altogether.
    """
    zoom = context_side(*size, scale.context) / scale.exemplar  # frame pixels in a pixel at the exemplar's scale
    square = zoom * side
    # The first and the last pixel of the crop lie on the square's edges.
    step = square / (side - 1)
    left, top = (position - square / 2 for position in centre)
    height, width = frame.shape[:2]
    if left > width or top > height or left + square < -1 or top + square < -1:
        return None
    if step <= 1:
        across, down = (_whole(begin, square, end) for begin, end in ((left, width), (top, height)))
        part = frame[down[0] : down[1], across[0] : across[1]]
        if part.size == 0:
            return None
        return Part(part, (centre[0] - across[0], centre[1] - down[0]), zoom)
    across, down = (_reached(begin, step, side, end) for begin, end in ((left, width), (top, height)))
    if across[0] >= across[1] or down[0] >= down[1]:
        return None
    matrix = np.array([[1 / step, 0, -left / step - across[0]], [0, 1 / step, -top / step - down[0]]])
    part = cv2.warpAffine(  # type: ignore[assignment]
        frame,
        matrix,
        (across[1] - across[0], down[1] - down[0]),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=border,
    )
    middle = (side - 1) / 2
    return Part(part, (middle - across[0], middle - down[0]), zoom / step)


def _whole(begin: float, length: float, end: int) -> tuple[int, int]:
    """The frame's pixels, from and to, between which the positions of a stretch lie, from the edge of a JPEG block."""
    return max(math.floor(begin), 0) // BLOCK * BLOCK, min(math.ceil(begin + length) + 1, end)


def _reached(begin: float, step: float, side: int, end: int) -> tuple[int, int]:
    """The crop's pixels, from and to, to whose value the frame adds."""
    return max(math.floor((-1 - begin) / step), 0), min(math.ceil((end - begin) / step) + 1, side)
