"""What every person-search benchmark is once it is read: images with boxes, queries, galleries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

UNLABELLED = -1
"""Identity of a person whose identity is not annotated."""


@dataclass(frozen=True)
class SearchImage:
    """One image and everybody annotated in it.

    Attributes:
        name: File name, unique in the benchmark.
        path: Where the file lies.
        boxes: (N, 4) float32: x1, y1, x2, y2 in pixels.
        ids: (N,) int64: identity >= 0, or `UNLABELLED`.
    """

    name: str
    path: Path
    boxes: NDArray[np.float32]
    ids: NDArray[np.int64]


@dataclass(frozen=True)
class SearchSplit:
    """The images of a split, sorted by name, and how many identities it has (ids are 0 .. identities - 1)."""

    images: list[SearchImage]
    identities: int


@dataclass(frozen=True)
class Query:
    """The person to find: an image, a box (4,) float32 x1, y1, x2, y2 in pixels, and an identity."""

    image: str
    box: NDArray[np.float32]
    identity: int


@dataclass(frozen=True)
class GalleryEntry:
    """One image to search; `box` (4,) float32 is where the person stands, None where the person is absent."""

    image: str
    box: NDArray[np.float32] | None


@dataclass(frozen=True)
class Protocol:
    """Queries, and for each its own gallery. Galleries are flat arrays: the largest has 11.6 million entries.

    Attributes:
        name: Name of the protocol ("TestG100").
        gallery_size: Images in a query's gallery; -1 for the whole set.
        queries: The queries, in the file's order.
        images: The distinct gallery images.
        offsets: (Q + 1,) int64: the gallery of query q is entries[offsets[q]:offsets[q + 1]], in the file's order.
        entries: (E,) int32: index into `images`.
        positives: (P,) int64, ascending: the entries in which the person stands.
        positive_boxes: (P, 4) float32: where, x1, y1, x2, y2 in pixels.
    """

    name: str
    gallery_size: int
    queries: list[Query]
    images: list[str]
    offsets: NDArray[np.int64]
    entries: NDArray[np.int32]
    positives: NDArray[np.int64]
    positive_boxes: NDArray[np.float32]

    def gallery(self, query: int) -> list[GalleryEntry]:
        """The gallery of one query, entry by entry, in the file's order."""
        first, last = self.offsets[query : query + 2]
        low, high = np.searchsorted(self.positives, (first, last))
        boxes = {int(entry): self.positive_boxes[low + i] for i, entry in enumerate(self.positives[low:high])}
        return [GalleryEntry(self.images[self.entries[e]], boxes.get(e)) for e in range(int(first), int(last))]
