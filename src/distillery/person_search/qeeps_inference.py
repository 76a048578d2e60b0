"""Runs a QEEPS network over every pair of a query and an image of its gallery: O(queries x gallery images).

What the stem says about an image before it meets another one does not depend on whom one looks for, so it is computed
once an image and kept while memory lasts. All that follows depends on both images: with the query, the gates of the
gallery image change, and with the gallery image those of the query.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distillery.config.search_network import Resize
from distillery.engine.devices import Device
from distillery.engine.progress import Progress
from distillery.person_search.benchmarks.base import Protocol, Query, SearchImage
from distillery.person_search.dataset import CACHE_BYTES, as_input, load_resized
from distillery.person_search.guidance import Begun
from distillery.person_search.predictions import PairPredictions
from distillery.person_search.qeeps import PairDetections, QEEPSNetwork

BATCH = 8
"""Gallery images of one size that meet a query together; results depend on it by rounding alone."""
TIMED = (
    f"the network on pairs of a query and a gallery image, up to {BATCH} gallery images of one size at a time: from "
    "decoded and resized pixels to boxes, scores and similarities; what an image says before it meets another one is "
    "computed and counted once; reading and resizing are not counted"
)


class Looked(NamedTuple):
    """An image before it meets another one, its scale, and its annotated boxes (N, 4) in the network's pixels."""

    begun: Begun
    scale: float
    people: Tensor


@dataclass
class PairsFound:
    """Detections of pairs, one entry a pair with detections, and how long the network took."""

    queries: list[NDArray[np.int64]] = field(default_factory=list)
    images: list[NDArray[np.str_]] = field(default_factory=list)
    boxes: list[NDArray[np.float32]] = field(default_factory=list)
    scores: list[NDArray[np.float32]] = field(default_factory=list)
    similarities: list[NDArray[np.float32]] = field(default_factory=list)
    pairs: int = 0
    seconds: float = 0.0

    def predictions(self, run: NDArray[np.bool_], gallery_size: int) -> PairPredictions:
        """In the form of the predictions' file; `run` (Q,) says which queries were run, in galleries of which size."""
        return PairPredictions(
            pair_query=np.concatenate([np.zeros(0, np.int64), *self.queries]),
            pair_image=np.concatenate([np.zeros(0, np.str_), *self.images]),
            pair_box=np.concatenate([np.zeros((0, 4), np.float32), *self.boxes]),
            pair_score=np.concatenate([np.zeros(0, np.float32), *self.scores]),
            pair_similarity=np.concatenate([np.zeros(0, np.float32), *self.similarities]),
            query_run=run,
            gallery_size=gallery_size,
        )


class PairSearcher:
    """Searches for one person after the other in images that are looked at once.

    Args:
        network: On the device, in evaluation mode.
        resize: Input size.
        images: Gallery and query images by name.
        device: Where it computes.
        true_boxes: Compare the annotated boxes instead of detecting.
        cache_bytes: How much of what the stem says to keep.
    """

    def __init__(
        self,
        network: QEEPSNetwork,
        resize: Resize,
        images: Mapping[str, SearchImage],
        device: Device,
        *,
        true_boxes: bool = False,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._network = network
        self._resize = resize
        self._images = images
        self._device = device
        self._true_boxes = true_boxes
        self._free = cache_bytes
        self._cache: dict[str, Looked] = {}
        self.seconds = 0.0
        """How long the network has taken so far."""

    def look(self, name: str) -> Looked:
        """An image before it meets another one."""
        if name in self._cache:
            return self._cache[name]
        image = self._images[name]
        pixels, scale = load_resized(image, self._resize)
        size = (pixels.shape[0], pixels.shape[1])
        begin = time.perf_counter()
        with self._device.autocast():
            begun = self._network.begin(as_input(pixels, self._network.stem.stride, self._device.torch), [size])
        self._count(begin)
        people = torch.from_numpy(image.boxes * np.float32(scale)).to(self._device.torch)
        looked = Looked(begun, scale, people)
        needed = begun.branch.nbytes + begun.shortcut.nbytes
        if needed <= self._free:
            self._free -= needed
            self._cache[name] = looked
        return looked

    def search(self, query: Query, gallery: Sequence[str]) -> dict[str, PairDetections]:
        """What is found in each gallery image, by name; boxes are in pixels of the file."""
        probe = self.look(query.image)
        box = torch.from_numpy(query.box * np.float32(probe.scale))[None].to(self._device.torch)
        found: dict[str, PairDetections] = {}
        waiting: dict[tuple[int, ...], dict[str, Looked]] = {}
        names = list(dict.fromkeys(gallery))  # a gallery may list an image twice
        for name in names:
            looked = self.look(name)
            group = waiting.setdefault(tuple(looked.begun.shortcut.shape), {})
            group[name] = looked
            if len(group) == BATCH:
                found |= self._meet(group, probe.begun, box)
                group.clear()
        for group in waiting.values():
            if group:
                found |= self._meet(group, probe.begun, box)
        return {name: found[name] for name in names}

    def _meet(self, group: Mapping[str, Looked], query: Begun, box: Tensor) -> dict[str, PairDetections]:
        parts = [looked.begun for looked in group.values()]
        begin = time.perf_counter()
        with self._device.autocast():
            gallery = Begun(
                torch.cat([one.shortcut for one in parts]),
                torch.cat([one.branch for one in parts]),
                torch.cat([one.mean for one in parts]),
                [one.sizes[0] for one in parts],
                parts[0].padded,
            )
            people = [looked.people for looked in group.values()] if self._true_boxes else None
            results = self._network.search(gallery, query, box, people)
        self._count(begin)
        return {
            name: one._replace(boxes=one.boxes / looked.scale)
            for (name, looked), one in zip(group.items(), results, strict=True)
        }

    def _count(self, begin: float) -> None:
        if self._device.torch.type == "cuda":
            torch.cuda.synchronize(self._device.torch)
        self.seconds += time.perf_counter() - begin


@torch.no_grad()
def search_pairs(searcher: PairSearcher, protocol: Protocol, count: int | None = None) -> PairsFound:
    """Searches for the queries of a protocol, or the first `count`, each in the images of its own gallery."""
    queries = protocol.queries[:count]
    found = PairsFound()
    before = searcher.seconds
    with Progress(f"pairs of {protocol.name}", int(protocol.offsets[len(queries)])) as progress:
        for row, query in enumerate(queries):
            entries = protocol.entries[protocol.offsets[row] : protocol.offsets[row + 1]]
            results = searcher.search(query, [protocol.images[entry] for entry in entries])
            for name, one in results.items():
                found.pairs += 1
                if len(one.boxes):
                    found.queries.append(np.full(len(one.boxes), row, np.int64))
                    found.images.append(np.full(len(one.boxes), name))
                    found.boxes.append(_numpy(one.boxes))
                    found.scores.append(_numpy(one.scores))
                    found.similarities.append(_numpy(one.similarity))
            progress.update(len(entries))
    found.seconds = searcher.seconds - before
    return found


def described(found: PairsFound, protocol: Protocol) -> dict[str, Any]:
    """What a sidecar says about a search of pairs; an image a second is a pair a second."""
    rate = found.pairs / found.seconds if found.seconds > 0 else 0.0
    return {
        "protocol": protocol.name,
        "gallery_size": protocol.gallery_size,
        "pairs": found.pairs,
        "images": found.pairs,
        "seconds": found.seconds,
        "images_per_second": rate,
        "timed": TIMED,
    }


def _numpy(tensor: Tensor) -> NDArray[np.float32]:
    return np.asarray(tensor.detach().float().cpu().numpy(), np.float32)
