"""The trivial baseline of re-identification: colour histograms of the clothes, on true boxes.

It finds nobody by itself: its detections are the annotated boxes, so its detection scores are perfect by construction
and only its search scores say something.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from distillery.data.checking import decode_fault
from distillery.errors import UserError
from distillery.person_search.benchmarks import cuhk_sysu
from distillery.person_search.predictions import Predictions, validated

STRIPES = 6
"""Horizontal stripes of a person, each with a histogram of its own (Gray and Tao, ECCV 2008)."""
BINS = (8, 4, 4)
"""Bins for hue, saturation and value of the joint histogram."""
DIMENSIONS = STRIPES * BINS[0] * BINS[1] * BINS[2]


def histogram_feature(image: NDArray[np.uint8], box: NDArray[np.float32]) -> NDArray[np.float32]:
    """Feature of one person.

    Args:
        image: (H, W, 3) uint8, blue-green-red as OpenCV reads it.
        box: (4,) x1, y1, x2, y2 in pixels; cut at the image's border.

    Returns:
        (768,) float32 of length 1: the square roots of each stripe's HSV histogram (so that the cosine is the
        Bhattacharyya coefficient); zeros where nothing of the box lies inside the image.
    """
    height, width = image.shape[:2]
    x1, y1 = np.clip(np.floor(box[:2]), 0, (width, height)).astype(int)
    x2, y2 = np.clip(np.ceil(box[2:]), 0, (width, height)).astype(int)
    feature = np.zeros((STRIPES, DIMENSIONS // STRIPES), np.float64)
    if x2 > x1 and y2 > y1:
        hsv = cv2.cvtColor(image[y1:y2, x1:x2], cv2.COLOR_BGR2HSV)
        for row, stripe in zip(feature, np.array_split(hsv, STRIPES), strict=True):
            if len(stripe):
                counts = cv2.calcHist([np.ascontiguousarray(stripe)], [0, 1, 2], None, BINS, [0, 180, 0, 256, 0, 256])
                row[:] = np.sqrt(counts.ravel() / counts.sum())
    length = np.linalg.norm(feature)
    return (feature.ravel() / (length if length > 0 else 1)).astype(np.float32)


def histogram_predictions(root: Path) -> Predictions:
    """Colour-histogram predictions for a root in CUHK-SYSU's layout: every annotated box of the pool, with score 1."""
    pool = cuhk_sysu.load_test_pool(root)
    queries = cuhk_sysu.load_protocol(root, cuhk_sysu.gallery_sizes(root)[0]).queries
    gallery = []
    for person in tqdm(pool.images, desc="histograms", unit="image", disable=None):
        image = _read(person.path)
        gallery += [histogram_feature(image, box) for box in person.boxes]
    probes = [histogram_feature(_read(root / cuhk_sysu.IMAGE_FOLDER / query.image), query.box) for query in queries]
    arrays: dict[str, Any] = {
        "gallery_image": np.repeat([image.name for image in pool.images], [len(image.boxes) for image in pool.images]),
        "gallery_box": np.concatenate([image.boxes for image in pool.images]),
        "gallery_score": np.ones(len(gallery), np.float32),
        "gallery_feature": np.array(gallery, np.float32).reshape(-1, DIMENSIONS),
        "query_feature": np.array(probes, np.float32),
    }
    return validated(arrays)


def _read(path: Path) -> NDArray[np.uint8]:
    """The image as OpenCV reads it, or a `UserError`; OpenCV itself fills truncated files with grey."""
    fault = decode_fault(path)
    if fault:
        problem = fault.removeprefix(f"{path}: ").rstrip(".")
        raise UserError(problem, file=path, remedy="restore it from the dataset's original archive")
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR), np.uint8)
