"""The trivial baseline of re-identification: colour histograms of the clothes, on true boxes.

It finds nobody by itself: its detections are the annotated boxes, so its detection scores are perfect by construction
and only its search scores say something.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from distillery.data.images import read_image
from distillery.engine.progress import Progress
from distillery.errors import UserError
from distillery.person_search.benchmarks import registry
from distillery.person_search.predictions import Predictions, validated

STRIPES = 6
"""Horizontal stripes of a person, each with a histogram of its own (Gray and Tao, ECCV 2008)."""
BINS = (8, 4, 4)
"""Bins for hue, saturation and value of the joint histogram."""
DIMENSIONS = STRIPES * BINS[0] * BINS[1] * BINS[2]


def histogram_feature(image: NDArray[np.uint8], box: NDArray[np.float32]) -> NDArray[np.float32]:
    """Feature of one person.

    Args:
        image: (H, W, 3) uint8, RGB.
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
        hsv = cv2.cvtColor(image[y1:y2, x1:x2], cv2.COLOR_RGB2HSV)
        for row, stripe in zip(feature, np.array_split(hsv, STRIPES), strict=True):
            if len(stripe):
                counts = cv2.calcHist([np.ascontiguousarray(stripe)], [0, 1, 2], None, BINS, [0, 180, 0, 256, 0, 256])
                row[:] = np.sqrt(counts.ravel() / counts.sum())
    length = np.linalg.norm(feature)
    return (feature.ravel() / (length if length > 0 else 1)).astype(np.float32)


def histogram_predictions(root: Path, benchmark: str = registry.CUHK_SYSU) -> Predictions:
    """Colour-histogram predictions for a benchmark: every annotated box of the test images, with score 1."""
    return predictions_of_all(root, [benchmark])[benchmark]


def predictions_of_all(root: Path, benchmarks: Sequence[str]) -> dict[str, Predictions]:
    """`histogram_predictions` of benchmarks that share their test images (`prw` and `prw_mini`); each is read once.

    Raises:
        UserError: If the dataset is missing or malformed, or the benchmarks lie in different folders.
    """
    folders = {registry.image_folder(name, root) for name in benchmarks}
    if len(folders) != 1:
        raise UserError(f"{' and '.join(benchmarks)} do not share their images", remedy="run one after the other")
    pool = registry.load_pool(benchmarks[0], root).images
    queries = {name: registry.load_queries(name, root) for name in benchmarks}
    wanted: dict[str, list[tuple[str, int]]] = {}
    for name, listed in queries.items():
        for row, query in enumerate(listed):
            wanted.setdefault(query.image, []).append((name, row))
    known = {image.name for image in pool}
    # Queries may stand in images that nobody searches.
    paths = [image.path for image in pool] + [
        folder / image for folder in folders for image in sorted(wanted.keys() - known)
    ]
    people = {image.name: image.boxes for image in pool}
    gallery = np.zeros((sum(map(len, people.values())), DIMENSIONS), np.float32)
    probes = {name: np.zeros((len(listed), DIMENSIONS), np.float32) for name, listed in queries.items()}
    filled = 0
    with Progress("histograms", len(paths)) as progress:
        for path in paths:
            pixels = read_image(path)
            for box in people.get(path.name, ()):
                gallery[filled] = histogram_feature(pixels, box)
                filled += 1
            for name, row in wanted.get(path.name, ()):
                probes[name][row] = histogram_feature(pixels, queries[name][row].box)
            progress.update()
    detections = {
        "gallery_image": np.repeat([image.name for image in pool], [len(image.boxes) for image in pool]),
        "gallery_box": np.concatenate([image.boxes for image in pool]),
        "gallery_score": np.ones(filled, np.float32),
        "gallery_feature": gallery,
    }
    return {name: validated({**detections, "query_feature": features}) for name, features in probes.items()}
