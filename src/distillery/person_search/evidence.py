"""Which detections a query's gallery holds, and how similar each is to the query: what rankings are made of.

Three ways to the same numbers. Predictions of pairs list their similarities. Features are compared image by image where
galleries are small (each image once, with all queries that look at it), and by one matrix product a block of queries
where galleries hold a good part of all images. Nothing is held for more than a block of queries, so memory does not
grow with the galleries.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from distillery.person_search.benchmarks.base import Protocol
from distillery.person_search.predictions import Detections, PairPredictions, Predictions

BLOCK_PAIRS = 4_000_000
"""Pairs of a query and a detection, or a gallery image, held at a time."""
_DENSE_SHARE = 3
"""Galleries of more than one image in so many are compared by matrix products over all detections."""
DENSE_QUERIES = 64
"""Queries of a product at the least: for fewer, reading the features takes longer than multiplying them."""
_SMALL = np.float32(1e-25)  # squared lengths beyond this and its inverse lose digits

_Ints = NDArray[np.int64]
_Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Block:
    """The galleries of queries [first, last). Places are those of `boxes` in the evidence.

    Attributes:
        first, last: The queries.
        start, count: (P,) int64 of each positive of these queries, in the protocol's order: its detections.
    """

    first: int
    last: int
    start: _Ints
    count: _Ints

    def of_positives(self, positive: _Ints, step: _Ints) -> _Floats:
        """Similarity (N,) of the detections number `step` of the positives `positive`."""
        raise NotImplementedError

    def above(self, query: int, floor: float) -> _Floats:
        """All similarities of at least `floor` in the gallery of query number `query` of the block."""
        raise NotImplementedError


@dataclass(frozen=True)
class _Listed(Block):
    """Similarities one after another, gallery by gallery."""

    similarity: _Floats
    bounds: _Ints  # (queries + 1,)
    places: _Ints  # (P,) of each positive's first detection in `similarity`

    def of_positives(self, positive: _Ints, step: _Ints) -> _Floats:
        return np.asarray(self.similarity[self.places[positive] + step])

    def above(self, query: int, floor: float) -> _Floats:
        own = self.similarity[self.bounds[query] : self.bounds[query + 1]]
        return own[own >= floor]


@dataclass(frozen=True)
class _Dense(Block):
    """Similarities of all detections, whether the gallery holds them or not."""

    similarity: _Floats  # (queries, detections)
    owner: _Ints  # (P,) query of each positive, from the block's first
    times: NDArray[np.int64]  # (queries, images) how often a gallery holds an image
    image_of: _Ints  # (detections,)

    def of_positives(self, positive: _Ints, step: _Ints) -> _Floats:
        return np.asarray(self.similarity[self.owner[positive], self.start[positive] + step])

    def above(self, query: int, floor: float) -> _Floats:
        own, times = self.similarity[query], self.times[query]
        rows = np.flatnonzero(own >= floor)
        return np.repeat(own[rows], times[self.image_of[rows]])


class Evidence:
    """Confident detections and their similarity to the queries.

    Attributes:
        run: (Q,) bool, which queries were run.
        boxes: (N, 4) float64 x1, y1, x2, y2.
        images_without: How many gallery images have no detection.
    """

    def __init__(self, protocol: Protocol, run: NDArray[np.bool_], found: Detections, threshold: float) -> None:
        self.protocol = protocol
        self.run = run
        self.rows, self.image_of = indexed(protocol.images, found, threshold)
        self.boxes = found.gallery_box[self.rows].astype(np.float64)
        self.images_without = len(protocol.images) - len(np.unique(self.image_of))

    def blocks(self, keep: NDArray[np.bool_] | None) -> Iterator[Block]:
        """The galleries, block by block; `keep` (E,) are the entries that are looked at, None for all."""
        raise NotImplementedError

    def _ranges(self, sizes: _Ints, least: int = 1) -> Iterator[tuple[int, int]]:
        """Ranges of queries of about `BLOCK_PAIRS` in all, by the size of each; at least so many queries."""
        ends = np.cumsum(sizes)
        first = 0
        while first < len(sizes):
            done = ends[first - 1] if first else 0
            fitting = int(np.searchsorted(ends, done + BLOCK_PAIRS, side="right"))
            last = min(max(fitting, first + least), len(sizes))
            yield first, last
            first = last

    def _entries(self, first: int, last: int) -> tuple[slice, _Ints, _Ints]:
        """Entries of queries [first, last), the query of each from `first`, and the positives among them."""
        offsets = self.protocol.offsets[first : last + 1]
        owner = np.repeat(np.arange(last - first), np.diff(offsets))
        low, high = np.searchsorted(self.protocol.positives, offsets[[0, -1]])
        return slice(offsets[0], offsets[-1]), owner, self.protocol.positives[low:high] - offsets[0]


class FeatureEvidence(Evidence):
    """Cosines of features."""

    def __init__(self, protocol: Protocol, predictions: Predictions, rows: _Ints, threshold: float) -> None:
        asked = predictions.query_feature[rows]
        super().__init__(protocol, np.asarray(np.isfinite(asked).all(axis=1)), predictions, threshold)
        self.queries = normalised(np.where(self.run[:, None], asked, 0))
        self.features = normalised(predictions.gallery_feature[self.rows])
        bounds = np.searchsorted(self.image_of, np.arange(len(protocol.images) + 1))
        self.start, self.count = bounds[:-1], np.diff(bounds)

    def blocks(self, keep: NDArray[np.bool_] | None) -> Iterator[Block]:
        """See `Evidence`."""
        queries, images = len(self.protocol.queries), len(self.protocol.images)
        if len(self.protocol.entries) * _DENSE_SHARE > queries * images:
            for first, last in self._ranges(np.full(queries, max(len(self.boxes), images)), DENSE_QUERIES):
                yield self._dense(first, last, keep)
            return
        galleries = (self.protocol.entries[low:high] for low, high in pairwise(self.protocol.offsets.tolist()))
        pairs = [int(self.count[gallery].sum()) for gallery in galleries]
        for first, last in self._ranges(np.array(pairs, np.int64) + np.diff(self.protocol.offsets)):
            yield self._listed(first, last, keep)

    def _dense(self, first: int, last: int, keep: NDArray[np.bool_] | None) -> Block:
        chosen, owner, positives = self._entries(first, last)
        entries = self.protocol.entries[chosen]
        shape = last - first, len(self.protocol.images)
        looked = slice(None) if keep is None else keep[chosen]
        cells = owner[looked] * shape[1] + entries[looked]
        times = np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)
        images = entries[positives]
        count = self.count[images] if keep is None else np.where(keep[chosen][positives], self.count[images], 0)
        return _Dense(
            first=first,
            last=last,
            start=self.start[images],
            count=count,
            similarity=self.queries[first:last] @ self.features.T,
            owner=owner[positives],
            times=times,
            image_of=self.image_of,
        )

    def _listed(self, first: int, last: int, keep: NDArray[np.bool_] | None) -> Block:
        chosen, owner, positives = self._entries(first, last)
        entries = self.protocol.entries[chosen]
        count = self.count[entries] if keep is None else np.where(keep[chosen], self.count[entries], 0)
        similarity = self._image_by_image(entries, owner, count, self.queries[first:last])
        places = np.cumsum(count) - count
        return _Listed(
            first=first,
            last=last,
            start=self.start[entries[positives]],
            count=count[positives],
            similarity=similarity,
            bounds=_bounds(places, count, owner, last - first),
            places=places[positives],
        )

    def _image_by_image(self, entries: NDArray[np.int32], owner: _Ints, count: _Ints, asked: _Floats) -> _Floats:
        """Similarities of each entry's detections, one entry after another; `count` 0 leaves an entry out."""
        # NumPy sorts 16-bit numbers many times faster.
        order = np.argsort(entries.astype(np.uint16) if len(self.count) <= 1 << 16 else entries, kind="stable")
        order = order[count[order] > 0]
        if not len(order):
            return np.empty(0, np.float32)
        images, owners = entries[order], owner[order]
        # An image that a gallery lists again gets the very same numbers; computed anew they might differ in rounding.
        new = (np.diff(images, prepend=-1) != 0) | (np.diff(owners, prepend=-1) != 0)
        sizes = np.where(new, count[order], 0)
        ends = np.cumsum(sizes)
        found = np.empty(int(ends[-1]), np.float32)
        images, owners = images[new], owners[new]
        edges = np.append(np.flatnonzero(np.diff(images, prepend=-1)), len(images))
        looked_at = images[edges[:-1]]
        spans = zip(
            pairwise(edges.tolist()), self.start[looked_at].tolist(), self.count[looked_at].tolist(), strict=True
        )
        position = 0
        for (low, high), start, size in spans:
            after = position + (high - low) * size
            own = found[position:after].reshape(high - low, size)
            np.matmul(asked.take(owners[low:high], axis=0), self.features[start : start + size].T, out=own)
            position = after
        place_of = np.zeros(len(entries), np.int64)
        place_of[order] = (ends - sizes)[np.maximum.accumulate(np.where(new, np.arange(len(new)), 0))]
        return np.asarray(found[np.repeat(place_of, count) + ranges(count)])


class PairEvidence(Evidence):
    """Similarities that the predictions list for each pair of a query and an image."""

    def __init__(self, protocol: Protocol, predictions: PairPredictions, rows: _Ints, threshold: float) -> None:
        listed = Detections(predictions.pair_image, predictions.pair_box, predictions.pair_score)
        super().__init__(protocol, predictions.query_run[rows], listed, threshold)
        keys = predictions.pair_query[self.rows] * len(protocol.images) + self.image_of
        order = np.argsort(keys, kind="stable")
        self._asked = rows
        self._keys = keys[order]
        self._similarity = predictions.pair_similarity[self.rows][order]
        self.boxes = self.boxes[order]

    def blocks(self, keep: NDArray[np.bool_] | None) -> Iterator[Block]:
        """See `Evidence`."""
        images = len(self.protocol.images)
        edges = np.searchsorted(self._keys, np.stack([self._asked, self._asked + 1]) * images)
        for first, last in self._ranges((edges[1] - edges[0]) + np.diff(self.protocol.offsets)):
            chosen, owner, positives = self._entries(first, last)
            wanted = self._asked[first:last][owner] * images + self.protocol.entries[chosen]
            start = np.searchsorted(self._keys, wanted)
            count = np.searchsorted(self._keys, wanted, side="right") - start
            if keep is not None:
                count = np.where(keep[chosen], count, 0)
            places = np.cumsum(count) - count
            yield _Listed(
                first=first,
                last=last,
                start=start[positives],
                count=count[positives],
                similarity=self._similarity[np.repeat(start, count) + ranges(count)],
                bounds=_bounds(places, count, owner, last - first),
                places=places[positives],
            )


def normalised(features: _Floats) -> _Floats:
    """Rows (N, D) scaled to length 1; a zero row stays zero."""
    with np.errstate(over="ignore", under="ignore"):
        square = np.einsum("ij,ij->i", features, features)
    risky = ~((square > _SMALL) & (square < 1 / _SMALL))
    result = features / np.sqrt(np.where(risky, 1, square))[:, None]
    if risky.any():
        # Scaled by the largest entry first, so that squares neither overflow nor vanish.
        rows = features[risky]
        largest = np.abs(rows).max(axis=1, keepdims=True, initial=0)
        scaled = rows / np.where(largest > 0, largest, 1)
        length = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))[:, None]
        result[risky] = scaled / np.where(length > 0, length, 1)
    return np.asarray(result, np.float32)


def indexed(images: list[str], found: Detections, threshold: float) -> tuple[_Ints, _Ints]:
    """Rows of the confident detections in known images, grouped by image, and the image of each."""
    index = {name: i for i, name in enumerate(images)}
    names, inverse = np.unique(found.gallery_image, return_inverse=True)
    image_of = np.array([index.get(str(name), -1) for name in names], np.int64)[inverse]
    rows = np.flatnonzero((found.gallery_score >= threshold) & (image_of >= 0))
    rows = rows[np.argsort(image_of[rows], kind="stable")]
    return rows, image_of[rows]


def ranges(count: _Ints) -> _Ints:
    """0 .. count[0] - 1, 0 .. count[1] - 1, ... in one array."""
    return np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)


def _bounds(places: _Ints, count: _Ints, owner: _Ints, queries: int) -> _Ints:
    """(queries + 1,): where each query's detections begin."""
    ends = np.append(places, int(count.sum()))
    return np.asarray(ends[np.searchsorted(owner, np.arange(queries + 1))], np.int64)
