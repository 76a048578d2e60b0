"""Whether boxes lie within their images, as strictly as a set's official annotations allow."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from distillery.data.checking import CheckReport, ImageGroup

ODDITIES = {
    "box_beyond_edge": "boxes that reach beyond the image, part of the target being out of view",
    "box_outside_image": "boxes that lie outside the image altogether, the target being out of view",
}
_MOST = 0.5
"""Share of a video's boxes outside its images from which the images or the boxes are another video's."""


def check_boxes(report: CheckReport, group: ImageGroup, sizes: npt.NDArray[np.int64]) -> None:
    """Compares a group's boxes with the sizes of its images; adds faults and oddities.

    Args:
        report: Gets them.
        group: With its boxes and its rule.
        sizes: (N, 2) width and height of each of its images in pixels; 0 where it is not known, such boxes are not
            looked at.
    """
    if group.boxes is None or not len(group.boxes):
        return
    rows = np.arange(len(group.boxes)) if group.rows is None else group.rows
    extent = sizes[rows].astype(np.float64)
    known = extent[:, 0] > 0
    rows, extent, boxes = rows[known], extent[known], group.boxes[known]
    if not len(boxes):
        return
    left, top, right, bottom = boxes.T
    outside = (left >= extent[:, 0]) | (top >= extent[:, 1]) | (right <= 0) | (bottom <= 0)
    if group.starts_in is not None and rows[0] == 0 and outside[0]:
        width, height = extent[0].astype(int)
        report.faults.append(
            f"{group.starts_in}, frame 1 of {group.name}: the first box lies outside the image of {width} x {height} "
            "pixels, no tracker can start from it; correct the ground truth."
        )
    reach = np.maximum(-boxes[:, :2], boxes[:, 2:] - extent).max(axis=1)
    beyond = (reach > group.rule.slack) & ~outside
    if group.video and len(boxes) > 1 and outside.mean() > _MOST:
        width, height = extent[0].astype(int)
        report.faults.append(
            f"{group.folder}: {int(outside.sum())} of {len(boxes)} boxes of {group.name} lie outside its images "
            f"({width} x {height} pixels): the images or the boxes are not the official ones."
        )
        return
    for found, kind, name in (
        (outside, group.rule.outside, "box_outside_image"),
        (beyond, group.rule.beyond, "box_beyond_edge"),
    ):
        if kind == "oddity" and found.any():
            report.odd(name, _place(group, rows[found][0]), int(found.sum()), what=ODDITIES[name])
    wrong = (outside & (group.rule.outside == "fault")) | (beyond & (group.rule.beyond == "fault"))
    for row in np.unique(rows[wrong]).tolist():
        first = int(np.flatnonzero(wrong & (rows == row))[0])
        box, (width, height) = np.trunc(boxes[first]).astype(int).tolist(), extent[first].astype(int).tolist()
        report.faults.append(
            f"{group.folder / group.files[row]}: box {box} is outside the image ({width} x {height} pixels)."
        )


def _place(group: ImageGroup, row: int) -> str:
    return f"{group.name}, {group.files[row]}" if group.video else group.files[row]
