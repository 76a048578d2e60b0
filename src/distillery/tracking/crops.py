"""Square crops around a target with context, as Siamese trackers see the world."""

from __future__ import annotations

import math

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


def crop(
    image: Image, centre: tuple[float, float], side: float, size: int, border: tuple[float, float, float]
) -> Image:
    """Cuts a square and resizes it in one pass (bilinear), with a constant border outside the image.

    The reference code rounds the corners and resizes; this keeps fractions of a pixel.

    Args:
        image: (H, W, 3) uint8.
        centre: x, y in 0-based pixel positions (pixel centres are integers).
        side: Side of the square in image pixels.
        size: Side of the result.
        border: Colour outside the image.

    Returns:
        (size, size, 3) uint8.
    """
    step = side / size
    offset = step / 2 - 0.5 - (side - 1) / 2
    matrix = np.array([[step, 0, centre[0] + offset], [0, step, centre[1] + offset]])
    return cv2.warpAffine(
        image,
        matrix,
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=border,
    )  # type: ignore[return-value]
