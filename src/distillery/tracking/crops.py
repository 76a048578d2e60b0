"""Square crops around a target with context, as Siamese trackers see the world."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]


def context_side(width: float, height: float, context: float) -> float:
    """Side in pixels of the exemplar's square: sqrt((w + p)(h + p)) with p = context * (w + h) (SiamFC, section 3)."""
    padding = context * (width + height)
    return math.sqrt((width + padding) * (height + padding))


def mean_colour(image: Image) -> tuple[float, float, float]:
    """Mean of each channel of an (H, W, 3) image: what lies outside the frame."""
    red, green, blue, _ = cv2.mean(image)
    return red, green, blue


class Surroundings(NamedTuple):
    """A target with all of its frame that crops of it can show."""

    image: Image
    """(n, n, 3); as in the frame, or smaller where the frame shows more than the crops can."""
    centre: tuple[float, float]
    """The target's centre in `image`."""
    scale: float
    """Pixels of `image` in a pixel of the crop."""


def surroundings(image: Image, centre: tuple[float, float], scale: float, size: int) -> Surroundings:
    """What a crop of `size` pixels around a target would show, kept for many crops.

    Whole pixels are taken from the frame, and shrunk only where they are more than the crop's: the fraction of a pixel
    is left to the one warp that cuts the crop, so that small targets are resampled once and take little memory.

    Args:
        image: (H, W, 3) frame.
        centre: x, y of the target in 0-based pixel positions.
        scale: Frame pixels in a pixel of the crop.
        size: Side in pixels of the crop.
    """
    half = scale * size / 2
    left, top = (math.floor(position - half) for position in centre)
    side = math.ceil(2 * half) + 2  # with the pixels between which the last position lies
    height, width = image.shape[:2]
    # The square may lie wholly outside the frame.
    x0, x1 = (min(max(edge, 0), width) for edge in (left, left + side))
    y0, y1 = (min(max(edge, 0), height) for edge in (top, top + side))
    part = image[y0:y1, x0:x1]
    if part.shape[:2] == (side, side):
        part = part.copy()  # a view would keep the whole frame
    elif part.size == 0:
        part = np.full((side, side, 3), np.round(mean_colour(image)), np.uint8)
    else:
        around = y0 - top, top + side - y1, x0 - left, left + side - x1
        part = cv2.copyMakeBorder(part, *around, cv2.BORDER_CONSTANT, value=mean_colour(image))  # type: ignore[assignment]
    shrunk = math.ceil(side / max(scale, 1.0))
    if shrunk < side:
        part = cv2.resize(part, (shrunk, shrunk), interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
    shrink = shrunk / side
    x, y = ((position - edge + 0.5) * shrink - 0.5 for position, edge in zip(centre, (left, top), strict=True))
    return Surroundings(part, (x, y), scale * shrink)


def crop(
    image: Image,
    centre: tuple[float, float],
    side: float | tuple[float, float],
    size: int,
    border: tuple[float, float, float],
    *,
    out: Image | None = None,
) -> Image:
    """Cuts a square and resizes it in one pass (bilinear), with a constant border outside the image.

    The reference code rounds the corners and resizes; this keeps fractions of a pixel.

    Args:
        image: (H, W, 3) uint8.
        centre: x, y in 0-based pixel positions (pixel centres are integers).
        side: Side of the square in image pixels; two (width, height) change the aspect.
        size: Side of the result.
        border: Colour outside the image.
        out: (size, size, 3) to write the result to.

    Returns:
        (size, size, 3) uint8.
    """
    wide, high = side if isinstance(side, tuple) else (side, side)
    # The middle of the result, (size - 1) / 2, falls on the centre.
    across, down, middle = wide / size, high / size, (size - 1) / 2
    matrix = np.array([[across, 0, centre[0] - across * middle], [0, down, centre[1] - down * middle]])
    return cv2.warpAffine(
        image,
        matrix,
        (size, size),
        dst=out,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=border,
    )  # type: ignore[return-value]
