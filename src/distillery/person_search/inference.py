"""Runs a network over a benchmark: detections in the test pool, features of the queries."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distillery.config.person_search import Resize, SearchJob, SearchTraining
from distillery.engine.checkpoint import sidecar_path
from distillery.engine.devices import Device, prepare
from distillery.engine.progress import Progress
from distillery.files import sha256_of_file, write_json
from distillery.person_search.benchmarks import cuhk_sysu
from distillery.person_search.benchmarks.base import Query, SearchImage
from distillery.person_search.checkpoints import load_network, parameters_of
from distillery.person_search.dataset import Pixels, as_input, crop, load_resized
from distillery.person_search.network import OIMNetwork
from distillery.person_search.predictions import Predictions, write_predictions
from distillery.person_search.reid import ReIDNetwork

HISTOGRAM = "histogram"
"""Name of the baseline, in place of a checkpoint."""
_TIMED = (
    "the network on one image at a time: from decoded and resized pixels to boxes, scores and id features; "
    "reading, resizing and queries are not counted"
)


class Searcher(Protocol):
    """What finds and describes people, one image at a time."""

    resize: Resize | None

    def gallery(self, pixels: Pixels, people: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes (K, 4), scores (K,) and features (K, D) of an image; `people` (N, 4) are its annotated boxes.

        All boxes are in pixels of the resized image (H, W, 3).
        """

    def queries(self, boxes: Tensor) -> Tensor:
        """Features (M, D) of given boxes (M, 4) in the image that `gallery` had last."""


class NetworkSearcher:
    """The person-search network; with `true_boxes` it describes annotated people instead of detecting."""

    def __init__(self, network: OIMNetwork, resize: Resize, device: Device, *, true_boxes: bool) -> None:
        self.resize: Resize | None = resize
        self._network = network
        self._device = device
        self._true_boxes = true_boxes
        self._features: Tensor | None = None

    def gallery(self, pixels: Pixels, people: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `Searcher`."""
        with self._device.autocast():
            self._features = self._network.stem(as_input(pixels, self._network.stem.stride, self._device.torch))
            if self._true_boxes:
                return people, torch.ones(len(people)), self.queries(people)
            found = self._network.detect(self._features, pixels.shape[:2])
        return found.boxes, found.scores, found.features

    def queries(self, boxes: Tensor) -> Tensor:
        """See `Searcher`."""
        assert self._features is not None
        with self._device.autocast():
            return self._network.describe(self._features, boxes.to(self._device.torch))


class TeacherSearcher:
    """The re-ID teacher on annotated boxes, every one with score 1."""

    def __init__(self, network: ReIDNetwork, device: Device) -> None:
        self.resize: Resize | None = None
        self._network = network
        self._device = device
        self._pixels: Pixels | None = None

    def gallery(self, pixels: Pixels, people: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `Searcher`."""
        self._pixels = pixels
        return people, torch.ones(len(people)), self.queries(people)

    def queries(self, boxes: Tensor) -> Tensor:
        """See `Searcher`."""
        assert self._pixels is not None
        crops = [crop(self._pixels, box.numpy(), self._network.crop) for box in boxes]
        with self._device.autocast():
            return self._network.embed(crops, self._device.torch)


@dataclass
class _Collected:
    images: list[str] = field(default_factory=list)
    boxes: list[NDArray[np.float32]] = field(default_factory=list)
    scores: list[NDArray[np.float32]] = field(default_factory=list)
    features: list[NDArray[np.float32]] = field(default_factory=list)
    queries: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    seconds: float = 0.0


def search(checkpoint: Path | str, root: Path, results: Path, parameters: SearchJob) -> None:
    """Writes the predictions of a network, or of the baseline `histogram`, for a root in CUHK-SYSU layout.

    Features are plain cosine features: they are not weighted by the person score.

    Args:
        checkpoint: Checkpoint of a person-search network or a re-ID teacher (its kind decides), or "histogram".
        root: The dataset.
        results: `….npz` to write; what was run and how fast lies beside it as `….json`.
        parameters: Of the job.

    Raises:
        UserError: If the dataset or the checkpoint is missing, malformed or of another kind.
    """
    if checkpoint == HISTOGRAM:
        predictions, index = _run_histogram(root)
    else:
        predictions, index = _run_network(Path(checkpoint), root, parameters)
    write_predictions(results, predictions)
    described = {
        **index,
        "benchmark": "cuhk_sysu",
        "detections": len(predictions.gallery_image),
        "queries": len(predictions.query_feature),
        "parameters": parameters.model_dump(mode="json"),
        "sha256": sha256_of_file(results),
    }
    write_json(sidecar_path(results), described)


def _run_histogram(root: Path) -> tuple[Predictions, dict[str, Any]]:
    from distillery.person_search.histogram import histogram_predictions

    begin = time.perf_counter()
    predictions = histogram_predictions(root)
    seconds = time.perf_counter() - begin
    images = len(cuhk_sysu.load_test_pool(root).images)
    timed = "reading the images, histograms of gallery and queries"
    return predictions, {"model": HISTOGRAM, "true_boxes": True, **_speed(images, seconds, timed)}


def _run_network(checkpoint: Path, root: Path, parameters: SearchJob) -> tuple[Predictions, dict[str, Any]]:
    device = prepare(parameters.compute)
    network = load_network(checkpoint).to(device.torch)
    pool = cuhk_sysu.load_test_pool(root)
    queries = cuhk_sysu.load_protocol(root, cuhk_sysu.gallery_sizes(root)[0]).queries
    searcher: Searcher
    if isinstance(network, OIMNetwork):
        trained = parameters_of(checkpoint)
        assert isinstance(trained, SearchTraining)
        kind, true_boxes = "oim", parameters.true_boxes
        searcher = NetworkSearcher(network, trained.resize, device, true_boxes=true_boxes)
    else:
        kind, true_boxes = "reid", True
        searcher = TeacherSearcher(network, device)
    found = run(searcher, pool.images, queries, root / cuhk_sysu.IMAGE_FOLDER, device)
    index = {
        "model": kind,
        "checkpoint": str(checkpoint),
        "true_boxes": true_boxes,
        "inputs": {"checkpoint": sha256_of_file(checkpoint)},
        "device": str(device.torch),
        "score_weighting": False,
        **_speed(len(pool.images), found.seconds, _TIMED),
    }
    predictions = Predictions(
        gallery_image=np.array(found.images, np.str_),
        gallery_box=np.concatenate(found.boxes),
        gallery_score=np.concatenate(found.scores),
        gallery_feature=np.concatenate(found.features),
        query_feature=np.stack([found.queries[row] for row in range(len(queries))]),
    )
    return predictions, index


@torch.no_grad()
def run(
    searcher: Searcher, pool: Sequence[SearchImage], queries: Sequence[Query], folder: Path, device: Device
) -> _Collected:
    """Runs a searcher over the pool and over query images that are not in it; every image is read once."""
    wanted: dict[str, list[int]] = {}
    for row, query in enumerate(queries):
        wanted.setdefault(query.image, []).append(row)
    known = {image.name for image in pool}
    nobody = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    outside = [SearchImage(name, folder / name, *nobody) for name in wanted if name not in known]
    found = _Collected()
    with Progress("search", len(pool) + len(outside)) as progress:
        for image in [*pool, *outside]:
            pixels, scale = load_resized(image, searcher.resize)
            begin = time.perf_counter()
            boxes, scores, features = searcher.gallery(pixels, torch.from_numpy(image.boxes * np.float32(scale)))
            _synchronise(device)
            if image.name in known:
                found.seconds += time.perf_counter() - begin
                found.images += [image.name] * len(boxes)
                found.boxes.append(_numpy(boxes) / np.float32(scale))
                found.scores.append(_numpy(scores))
                found.features.append(_numpy(features))
            rows = wanted.get(image.name, [])
            if rows:
                probes = torch.from_numpy(np.stack([queries[row].box for row in rows]) * np.float32(scale))
                found.queries |= dict(zip(rows, _numpy(searcher.queries(probes)), strict=True))
            progress.update()
    return found


def _speed(images: int, seconds: float, timed: str) -> dict[str, Any]:
    return {
        "images": images,
        "seconds": seconds,
        "images_per_second": images / seconds if seconds > 0 else 0.0,
        "timed": timed,
    }


def _numpy(tensor: Tensor) -> NDArray[np.float32]:
    return np.asarray(tensor.detach().float().cpu().numpy(), np.float32)


def _synchronise(device: Device) -> None:
    if device.torch.type == "cuda":
        torch.cuda.synchronize(device.torch)
