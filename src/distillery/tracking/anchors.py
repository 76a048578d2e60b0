"""Anchors of region proposals: their grid over a search region, and boxes as offsets from them.

Coordinates are pixels of the search crop, relative to its centre: (0, 0) is where the crop's middle pixel is. Boxes are
centre x, y, width, height. Anchors are ordered as the network's channels are: anchor, row, column.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from distillery.config.siamrpn import RPNGeometry
from distillery.tracking.boxes import iou

Array = npt.NDArray[np.float32]

LARGEST_CHANGE = math.log(1000 / 16)
"""Bound on a decoded side's logarithm, either way (torchvision's): no network's answer makes a box infinite."""


def sizes(geometry: RPNGeometry) -> Array:
    """Width and height of each anchor, (k, 2).

    DaSiamRPN's and pysot's integers: w = int(sqrt(base^2 / ratio)), h = int(w * ratio), both times the scale.
    """
    made = []
    for ratio in geometry.anchor_ratios:
        width = int(math.sqrt(geometry.anchor_base**2 / ratio))
        made.append((width * geometry.anchor_scale, int(width * ratio) * geometry.anchor_scale))
    return np.array(made, np.float32)


def grid(geometry: RPNGeometry, cells: int) -> Array:
    """All anchors of a response of `cells` x `cells` positions: (k * cells * cells, 4).

    The grid is symmetric about the crop's centre, as pysot's is and DaSiamRPN's under Python 2. DaSiamRPN's line
    `ori = -(score_size / 2) * total_stride` divides integers; under Python 3 it shifts every box by half a stride.
    """
    positions = (np.arange(cells, dtype=np.float32) - np.float32((cells - 1) / 2)) * geometry.stride
    shapes = sizes(geometry)
    made = np.empty((len(shapes), cells, cells, 4), np.float32)
    made[..., 0] = positions[None, None, :]
    made[..., 1] = positions[None, :, None]
    made[..., 2:] = shapes[:, None, None, :]
    return made.reshape(-1, 4)


def encode(boxes: npt.NDArray[np.floating], anchors: Array) -> Array:
    """Offsets that turn anchors into boxes (Li et al., 2018, equation 5).

    Args:
        boxes: (..., 1, 4) or (..., L, 4).
        anchors: (L, 4).

    Returns:
        (..., L, 4): shift of the centre in anchor sides, logarithm of the ratio of sides.

    Raises:
        ValueError: If a box has no extent.
    """
    if not (boxes[..., 2:] > 0).all():
        raise ValueError("a box without extent has no offsets")
    shift = (boxes[..., :2] - anchors[:, :2]) / anchors[:, 2:]
    return np.concatenate([shift, np.log(boxes[..., 2:] / anchors[:, 2:])], -1).astype(np.float32)


def decode(offsets: Array, anchors: Array) -> Array:
    """The inverse of `encode`, for a network's (..., L, 4) offsets; sides change by a factor of 62.5 at most."""
    centre = offsets[..., :2] * anchors[:, 2:] + anchors[:, :2]
    change = np.clip(offsets[..., 2:], -LARGEST_CHANGE, LARGEST_CHANGE)
    return np.concatenate([centre, np.exp(change) * anchors[:, 2:]], -1)


def overlaps(boxes: npt.NDArray[np.floating], anchors: Array) -> Array:
    """Intersection over union of every box (B, 4) with every anchor (L, 4): (B, L)."""
    return iou(_corner(boxes)[:, None], _corner(anchors)).astype(np.float32)


def _corner(boxes: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    return np.concatenate([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., 2:]], -1)
