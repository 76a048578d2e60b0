"""What the checks of CUHK-SYSU and PRW share: their tables of oddities, and images with the boxes of everybody."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distillery.data.check_boxes import ODDITIES as OF_BOXES
from distillery.data.check_images import ODDITIES as OF_IMAGES
from distillery.data.checking import BoxRule, CheckReport, ImageGroup

CUHK_SYSU = {
    "box_in_bytes": "boxes stored as uint8, in which x + w would overflow (437 of the 2,900 queries of TestG100); they "
    "are widened before anything is added",
    "box_without_area": "boxes without width or height; they are left out, as the official loaders do",
    "positive_twice": "queries whose gallery lists an image with the person twice (4 of the 2,900); the official "
    "evaluation counts both",
    "own_image": "queries whose own image is a positive of their gallery (2 of the 2,900); it is evaluated",
    **OF_IMAGES,
}
"""What is odd about the official files of CUHK-SYSU, and what is done about it. Numbers: counted on TestG100.mat."""
PRW = {
    "key_anno_file": "annotation files whose matrix is called anno_file instead of box_new",
    "key_anno_previous": "annotation files whose matrix is called anno_previous instead of box_new",
    "negative_coordinate": "boxes that begin at a negative coordinate; they are cut at 0",
    "fractional_coordinate": "boxes with fractions of pixels; corners are truncated, as the public evaluations do",
    "box_without_area": "boxes without area once cut; they are left out",
    "unlabelled": "boxes of people without identity (id -2)",
    "id_twice": "frames that hold an id twice; its first box counts",
    "nobody_labelled": "frames with people none of whom has an identity",
    "gap_in_ids": "ids that do not follow the one before (train: 480 and 932); identities are numbered anew",
    "line_ends_crlf": "lists of queries with the line ends of Windows, as the original has them",
    "stray_file": "files among the frames or annotations that are neither (Thumbs.db); they are left out",
    **OF_BOXES,
    **OF_IMAGES,
}
"""What is odd about the official files of PRW, and what is done about it."""
RULES = {
    # Boxes are stored 1-based, so a box that ends with the image may end one pixel beyond it.
    "cuhk_sysu": BoxRule(slack=1.0, beyond="fault", outside="fault"),
    # On the training set's annotations 50 of 18,048 boxes reach 2 to 9 pixels beyond the frame, none lies outside.
    "prw": BoxRule(slack=1.0, beyond="oddity", outside="fault"),
}


def add_images(report: CheckReport, folder: Path, boxes: Mapping[str, NDArray[np.float32]]) -> set[str]:
    """Hands over the images of a folder with everybody's boxes; returns the names of its files that are not asked for.

    Args:
        report: Gets the images; where there is no such folder, that is missing and they are not handed over.
        folder: Where the images lie.
        boxes: File name -> (N, 4) x1, y1, x2, y2.
    """
    present = report.attempt(lambda: {path.name for path in folder.iterdir()}) if folder.is_dir() else None
    if present is None:
        if not folder.exists():
            report.missing(f"{folder}: does not exist.")
        return set()
    names = sorted(boxes)
    if names:
        found = [boxes[name] for name in names]
        report.images.append(
            ImageGroup(
                name=folder.name,
                folder=folder,
                files=tuple(names),
                boxes=np.concatenate(found).astype(np.float64),
                rows=np.repeat(np.arange(len(names)), [len(of_one) for of_one in found]),
                rule=RULES[report.benchmark],
                video=False,
            )
        )
    return present - set(names)
