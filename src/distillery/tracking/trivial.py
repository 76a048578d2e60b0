"""Trackers that learn nothing: what a benchmark must be hard enough to defeat."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from distillery.tracking.boxes import FloatArray

Image = npt.NDArray[np.uint8]


class StaticTracker:
    """The box of the first frame, for ever."""

    def init(self, image: Image, box: FloatArray) -> None:
        """Keeps `box`: (4,) left, top, width, height."""
        self._box = np.array(box, dtype=np.float64)

    def update(self, image: Image) -> FloatArray:
        """The box of `init`, whatever `image` shows."""
        return self._box.copy()


class NCCTracker:
    """Normalised cross-correlation with the first frame's template, at a fixed scale and without an update.

    The template is searched in a window around the last box (Lewis, "Fast Normalized Cross-Correlation", 1995;
    OpenCV's TM_CCOEFF_NORMED, summed over the three colour channels). The box keeps its size and moves by whole pixels.

    Args:
        search_factor: Side of the search window over the side of the box.
    """

    def __init__(self, search_factor: float = 3.0) -> None:
        self._factor = search_factor

    def init(self, image: Image, box: FloatArray) -> None:
        """Cuts the template: the part of `box` (left, top, width, height) that lies in the (H, W, 3) `image`."""
        self._box = np.array(box, dtype=np.float64)
        height, width = image.shape[:2]
        limit = np.array([width, height])
        low = np.clip(np.round(self._box[:2]).astype(int), 0, limit - 1)
        high = np.clip(np.round(self._box[:2] + self._box[2:]).astype(int), low + 1, limit)
        self._template = image[low[1] : high[1], low[0] : high[0]].copy()
        self._corner = low

    def update(self, image: Image) -> FloatArray:
        """Moves the box to the best match in the (H, W, 3) `image`."""
        size = np.array(self._template.shape[1::-1])
        limit = np.array(image.shape[1::-1])
        if (size > limit).any():  # a smaller frame than the template holds no match
            return self._box.copy()
        reach = np.round(size * (self._factor - 1) / 2).astype(int)
        low = np.clip(self._corner - reach, 0, limit - size)
        high = np.clip(self._corner + size + reach, low + size, limit)
        window = image[low[1] : high[1], low[0] : high[0]]
        # A window without any texture has no defined correlation: OpenCV gives 0, 1 or NaN, none of them a match.
        response = np.nan_to_num(cv2.matchTemplate(window, self._template, cv2.TM_CCOEFF_NORMED), nan=-1.0)
        row, column = np.unravel_index(int(response.argmax()), response.shape)
        corner = low + np.array([int(column), int(row)])
        self._box[:2] += corner - self._corner
        self._corner = corner
        return self._box.copy()
