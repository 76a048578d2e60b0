"""Which anchors of a training pair are positive, negative or ignored (pysot, `AnchorTarget`)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from distillery.config.siamrpn import RPNGeometry, RPNLabels
from distillery.tracking.anchors import Array, encode, grid, overlaps

Mask = npt.NDArray[np.bool_]

REACH = 3
"""Cells on every side of a negative pair's object that its negatives come from (pysot)."""


class Targets(NamedTuple):
    """What the anchors of a batch shall learn."""

    positive: Mask
    """(B, L) selected positives."""
    negative: Mask
    """(B, L) selected negatives."""
    covering: Mask
    """(B, L) all anchors that overlap the target enough, selected or not; none in a negative pair."""
    offsets: Array
    """(B, L, 4) from each anchor to the target's box."""


class Assigner:
    """Assigns targets to the anchors of a training response.

    Args:
        geometry: Crops and anchors.
        labels: Overlaps and numbers of selected anchors.
    """

    def __init__(self, geometry: RPNGeometry, labels: RPNLabels) -> None:
        self._labels, self._stride, self._side = labels, geometry.stride, geometry.train_search
        self._cells = geometry.cells(geometry.train_search)
        self.anchors = grid(geometry, self._cells)

    def __call__(self, box: npt.NDArray[np.floating], positive: Mask, draw: np.random.Generator) -> Targets:
        """Targets of a batch.

        Unlike pysot, whose window around a negative pair's object lies one cell off to the lower right (it rounds
        x + 0.5 up), ours is centred on the object.

        Args:
            box: (B, 4) x1, y1, x2, y2 of each target in pixels of the search crop.
            positive: (B,) False where the exemplar shows another object, so that nothing is to be found.
            draw: Decides which anchors are selected where there are more than wanted.
        """
        labels = self._labels
        middle = (self._side - 1) / 2
        low, high = box[:, :2].astype(np.float64) - middle, box[:, 2:].astype(np.float64) - middle
        centred = np.concatenate([(low + high) / 2, high - low], 1)
        overlap = overlaps(centred, self.anchors)
        real = positive[:, None]
        covering = real & (overlap > labels.positive)
        # Of a negative pair the anchors near the object count: the background elsewhere is easy.
        near = np.abs(np.rint(centred[:, None, :2] / self._stride) * self._stride - self.anchors[:, :2])
        background = np.where(real, overlap < labels.negative, (near <= REACH * self._stride + 1e-3).all(-1))
        quota = np.where(positive, labels.selected - labels.positives, labels.distractors)
        noise = draw.random(overlap.shape, np.float32)
        return Targets(
            _select(covering, noise, np.full(len(box), labels.positives)),
            _select(background, noise, quota),
            covering,
            encode(centred[:, None], self.anchors),
        )


def _select(candidates: Mask, noise: Array, quota: npt.NDArray[np.integer]) -> Mask:
    """Of each row's candidates at most `quota`: those of lowest noise."""
    keyed = np.where(candidates, noise, np.inf)
    most = min(int(quota.max()), keyed.shape[1])
    order = np.argpartition(keyed, most - 1, axis=1)[:, :most]
    order = np.take_along_axis(order, np.argsort(np.take_along_axis(keyed, order, 1), 1, kind="stable"), 1)
    chosen = np.zeros_like(candidates)
    np.put_along_axis(chosen, order, np.arange(most) < quota[:, None], 1)
    return chosen & candidates
