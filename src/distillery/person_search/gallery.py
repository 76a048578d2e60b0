"""One pass over the test images that benchmarks share: everybody who is found, and the queries' features."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from distillery.engine.devices import Device
from distillery.engine.progress import Progress
from distillery.person_search.benchmarks import registry
from distillery.person_search.benchmarks.base import Query, SearchImage
from distillery.person_search.dataset import Pixels, load_resized
from distillery.person_search.predictions import Detections, Predictions
from distillery.person_search.searchers import Searcher, as_array


class Tests(NamedTuple):
    """What benchmarks that share their images are run on.

    Attributes:
        pool: The test images.
        outside: Images of queries that are not among them.
        queries: Of each benchmark, those that are run.
        counts: Queries of each benchmark, run or not.
    """

    pool: list[SearchImage]
    outside: list[SearchImage]
    queries: dict[str, list[Query]]
    counts: dict[str, int]


def load_tests(root: Path, benchmarks: Sequence[str], count: int | None = None) -> Tests:
    """Reads what benchmarks are run on; `count` queries of each, or all."""
    pool = registry.load_pool(benchmarks[0], root).images
    every = {name: registry.load_queries(name, root) for name in benchmarks}
    queries = {name: listed[:count] for name, listed in every.items()}
    folder, known = registry.image_folder(benchmarks[0], root), {image.name for image in pool}
    names = sorted({query.image for listed in queries.values() for query in listed} - known)
    nobody = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    outside = [SearchImage(name, folder / name, *nobody) for name in names]
    return Tests(pool, outside, queries, {name: len(listed) for name, listed in every.items()})


@dataclass
class Found:
    """What a searcher says about the test images, and the queries' features by benchmark and row."""

    images: list[str] = field(default_factory=list)
    boxes: list[NDArray[np.float32]] = field(default_factory=list)
    scores: list[NDArray[np.float32]] = field(default_factory=list)
    features: list[NDArray[np.float32]] = field(default_factory=list)
    queries: dict[tuple[str, int], NDArray[np.float32]] = field(default_factory=dict)
    people: list[NDArray[np.float32]] | None = None
    """Features of each image's annotated people, where they are asked for."""
    seconds: float = 0.0

    def detections(self) -> Detections:
        """Detections alone."""
        return Detections(
            np.array(self.images, np.str_),
            np.concatenate([np.zeros((0, 4), np.float32), *self.boxes]),
            np.concatenate([np.zeros(0, np.float32), *self.scores]),
        )

    def predictions(self, benchmark: str, count: int) -> Predictions:
        """Detections with features, and features of a benchmark's `count` queries, NaN where one was not run."""
        width = next(len(feature) for feature in self.queries.values())
        queries = np.full((count, width), np.nan, np.float32)
        for (name, row), feature in self.queries.items():
            if name == benchmark:
                queries[row] = feature
        features = np.concatenate([np.zeros((0, width), np.float32), *self.features])
        return Predictions(**vars(self.detections()), gallery_feature=features, query_feature=queries)

    def with_people(self, predictions: Predictions, pool: Sequence[SearchImage]) -> Predictions:
        """Predictions with the features of the annotated people, where they were asked for."""
        if self.people is None:
            return predictions
        width = predictions.query_feature.shape[1]
        return replace(
            predictions,
            true_image=np.array([image.name for image in pool for _ in image.boxes], np.str_),
            true_box=np.concatenate([np.zeros((0, 4), np.float32), *(image.boxes for image in pool)]),
            true_feature=np.concatenate([np.zeros((0, width), np.float32), *self.people]),
        )


@torch.no_grad()
def run(
    searcher: Searcher, tests: Tests, device: Device, batch: int = 1, *, queries: bool = True, people: bool = False
) -> Found:
    """Runs a searcher over the test images, and over the queries' boxes unless told not to; each image is read once.

    With `people` the annotated people of the test images are described too.
    """
    wanted: dict[str, list[tuple[str, int]]] = {}
    for name, listed in tests.queries.items():
        for row, query in enumerate(listed if queries else []):
            wanted.setdefault(query.image, []).append((name, row))
    outside = [image for image in tests.outside if image.name in wanted]
    known = {image.name for image in tests.pool}
    found = Found(people=[] if people else None)
    with Progress("search", len(tests.pool) + len(outside)) as progress:
        for images in _batches([*tests.pool, *outside], searcher, batch):
            annotated = [torch.from_numpy(image.boxes * np.float32(scale)) for image, _, scale in images]
            begin = time.perf_counter()
            results = searcher.gallery([pixels for _, pixels, _ in images], annotated)
            if device.torch.type == "cuda":
                torch.cuda.synchronize(device.torch)
            taken = (time.perf_counter() - begin) / len(images)
            for place, ((image, _, scale), (boxes, scores, features)) in enumerate(zip(images, results, strict=True)):
                if image.name in known:
                    found.seconds += taken
                    found.images += [image.name] * len(boxes)
                    found.boxes.append(as_array(boxes) / np.float32(scale))
                    found.scores.append(as_array(scores))
                    found.features.append(as_array(features))
                    if found.people is not None:
                        found.people.append(as_array(searcher.queries(place, annotated[place])))
                rows = wanted.get(image.name, [])
                if rows:
                    boxes = torch.from_numpy(
                        np.stack([tests.queries[name][row].box for name, row in rows]) * np.float32(scale)
                    )
                    found.queries |= dict(zip(rows, as_array(searcher.queries(place, boxes)), strict=True))
            progress.update(len(images))
    return found


def _batches(
    images: Iterable[SearchImage], searcher: Searcher, size: int
) -> Iterator[list[tuple[SearchImage, Pixels, float]]]:
    """Consecutive images with their pixels and scales, up to `size` of one shape."""
    batch: list[tuple[SearchImage, Pixels, float]] = []
    for image in images:
        pixels, scale = load_resized(image, searcher.resize)
        if batch and (len(batch) == size or batch[0][1].shape != pixels.shape):
            yield batch
            batch = []
        batch.append((image, pixels, scale))
    if batch:
        yield batch
