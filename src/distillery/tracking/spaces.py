"""What a search for students must know of a family: its layers, a child's size, and what its proposals are worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from distillery.config.siamfc import Layout
from distillery.distill.selection import LayerCode
from distillery.tracking import anchors
from distillery.tracking.backbones import LAYOUTS, SIAMFC, SIAMRPN, STRIDES, Form
from distillery.tracking.boxes import FloatArray, iou

Chosen = npt.NDArray[np.int64]


class Row(NamedTuple):
    """One family. Architecture and geometry are its config sections."""

    layers: Callable[[Any, Sequence[int]], list[LayerCode]]
    """(architecture, its channels) -> layers that take an action each, in the order of `ratios`."""
    size: Callable[[Any, Any, Sequence[int]], int]
    """(architecture, geometry, channels) -> parameters. Counted, not built: a search asks thousands of times."""
    boxes: Callable[[Any, Any, Chosen, npt.NDArray[np.float32] | None, FloatArray], FloatArray]
    """(architecture, geometry, chosen, offsets, truth) -> boxes of the proposals `chosen` (B, N): (B, N, 4) centre x, y
    relative to the crop's centre, width, height. `offsets` (B, N, 4) are the network's, `truth` (B, 4) the target."""


def backbone_layers(layout: Layout, channels: Sequence[int]) -> list[LayerCode]:
    """conv1 to conv5 of AlexNet."""
    return [LayerCode(0, row.kernel, row.stride, width) for row, width in zip(LAYOUTS[layout], channels, strict=True)]


def backbone_size(layout: Layout, form: Form, channels: Sequence[int]) -> int:
    """Parameters of AlexNet: weights and biases of the convolutions, scale and shift of BatchNorm."""
    total, last = 0, 3
    for index, (row, groups, width) in enumerate(zip(LAYOUTS[layout], form.groups, channels, strict=True)):
        normalised = form.normalise_last or index < len(channels) - 1
        total += last // groups * width * row.kernel**2 + width * (3 if normalised else 1)
        last = width
    return total


def _siamrpn_size(architecture: Any, geometry: Any, channels: Sequence[int]) -> int:
    *backbone, features = channels
    boxes = 4 * geometry.anchors
    branches = features * (boxes + 2 * geometry.anchors + 2)  # conv_r1, conv_cls1, conv_r2 and conv_cls2, 3x3
    head: int = (9 * backbone[-1] + 1) * branches + boxes * (boxes + 1)
    return backbone_size(architecture.layout, SIAMRPN, backbone) + head


def _siamfc_boxes(
    architecture: Any, geometry: Any, chosen: Chosen, offsets: npt.NDArray[np.float32] | None, truth: FloatArray
) -> FloatArray:
    """SiamFC scores positions and leaves the size to the scale search: a position stands for a box of the true size."""
    stride = STRIDES[architecture.layout]
    cells = (geometry.train_search - geometry.exemplar) // stride + 1
    rows, columns = np.divmod(chosen, cells)
    centres = (np.stack([columns, rows], axis=-1) - (cells - 1) / 2) * stride
    return np.concatenate([centres, np.broadcast_to(truth[:, None, 2:], centres.shape)], axis=-1)


def _siamrpn_boxes(
    architecture: Any, geometry: Any, chosen: Chosen, offsets: npt.NDArray[np.float32] | None, truth: FloatArray
) -> FloatArray:
    assert offsets is not None
    grid = anchors.grid(geometry, geometry.cells(geometry.train_search))
    found = anchors.decode(offsets.reshape(-1, 4), grid[chosen.ravel()])
    return found.reshape(offsets.shape).astype(np.float64)


ROWS = {
    "siamfc": Row(
        layers=lambda architecture, channels: backbone_layers(architecture.layout, channels),
        size=lambda architecture, geometry, channels: backbone_size(architecture.layout, SIAMFC, channels),
        boxes=_siamfc_boxes,
    ),
    "siamrpn": Row(
        # The head's four convolutions take one action: kernels and features of both branches stay of one width.
        layers=lambda architecture, channels: [
            *backbone_layers(architecture.layout, channels[:-1]),
            LayerCode(1, 3, 1, channels[-1]),
        ],
        size=_siamrpn_size,
        boxes=_siamrpn_boxes,
    ),
}


def confident_overlap(
    row: Row,
    architecture: Any,
    geometry: Any,
    scores: npt.NDArray[np.float32],
    offsets: npt.NDArray[np.float32] | None,
    truth: npt.ArrayLike,
    proposals: int,
) -> FloatArray:
    """Mean overlap of each pair's most confident proposals with its target.

    The paper's accuracy is the sum over pairs and proposals, acc = sum_i sum_j o(g_i, p_ij); a mean differs by the
    constant factor M N, which cancels in the reward.

    Args:
        row: Of the family.
        architecture: Section of the network.
        geometry: Section of the crops.
        scores: (B, L) logits of all proposals.
        offsets: (B, L, 4) box outputs, or None for a family without.
        truth: (B, 4) x1, y1, x2, y2 in pixels of the search crop.
        proposals: N; all of them where there are fewer.

    Returns:
        (B,) in 0..1.
    """
    corners = np.asarray(truth, dtype=np.float64)
    middle = (geometry.train_search - 1) / 2
    centres = np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2 - middle, corners[:, 2:] - corners[:, :2]], axis=1)
    # A stable order: of equal scores the first ones, on every machine.
    chosen = np.argsort(-scores, axis=1, kind="stable")[:, :proposals]
    picked = None if offsets is None else np.take_along_axis(offsets, chosen[..., None], axis=1)
    found = row.boxes(architecture, geometry, chosen, picked, centres)
    overlaps: FloatArray = iou(_corner(found), _corner(centres)[:, None]).mean(axis=1)
    return overlaps


def _corner(boxes: FloatArray) -> FloatArray:
    return np.concatenate([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., 2:]], axis=-1)
