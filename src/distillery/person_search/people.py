"""The labelled people of a training set, cut out of its images: each image is decoded once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from distillery.data.images import read_image
from distillery.person_search.benchmarks.base import SearchImage
from distillery.person_search.dataset import CACHE_BYTES, Pixels, crop


class Person(NamedTuple):
    """A labelled person: the index of the image, the index of the box in it, the identity."""

    image: int
    box: int
    identity: int


def labelled_people(images: Sequence[SearchImage]) -> list[Person]:
    """Everybody with an identity, image by image."""
    return [
        Person(image, int(box), int(item.ids[box]))
        for image, item in enumerate(images)
        for box in np.flatnonzero(item.ids >= 0)
    ]


class PeopleStore:
    """Crops of labelled people, from their surroundings in memory.

    Whole images of a large set do not fit into memory, and a training on crops would decode one for every crop. The
    first crop of an image keeps the surroundings of all its labelled people, so crops are the same bytes as from the
    image.

    Args:
        images: The images.
        margin: What is kept around a box on each side, relative to its size: no crop reaches further.
        cache_bytes: How much to keep; people who do not fit are cut out of their decoded image each time.

    Attributes:
        people: Everybody with an identity, image by image.
    """

    def __init__(self, images: Sequence[SearchImage], margin: float, cache_bytes: int = CACHE_BYTES) -> None:
        self.people = labelled_people(images)
        self._images = images
        self._margin = margin
        self._free = cache_bytes
        self._kept: dict[tuple[int, int], tuple[Pixels, NDArray[np.float32]]] = {}

    def box(self, person: Person) -> NDArray[np.float32]:
        """The annotated box (4,) x1, y1, x2, y2 in pixels."""
        return np.asarray(self._images[person.image].boxes[person.box], np.float32)

    def crop(self, person: Person, box: NDArray[np.float32], size: tuple[int, int]) -> Pixels:
        """`dataset.crop` of a box that lies within the person's box and margin."""
        kept = self._kept.get(person[:2])
        if kept is None:
            pixels = read_image(self._images[person.image].path)
            self._keep(person.image, pixels)
            return crop(pixels, box, size)
        surroundings, origin = kept
        return crop(surroundings, box - origin, size)

    def _keep(self, image: int, pixels: Pixels) -> None:
        item = self._images[image]
        height, width = pixels.shape[:2]
        for index in np.flatnonzero(item.ids >= 0):
            x1, y1, x2, y2 = item.boxes[index].astype(float)
            # One pixel more than the margin: edges are computed in single precision.
            across, down = self._margin * (x2 - x1) + 1, self._margin * (y2 - y1) + 1
            left, right = _clipped(x1 - across, x2 + across, width)
            top, bottom = _clipped(y1 - down, y2 + down, height)
            part = pixels[top:bottom, left:right]
            if part.nbytes <= self._free and (image, int(index)) not in self._kept:
                self._free -= part.nbytes
                origin = np.array([left, top, left, top], np.float32)
                self._kept[image, int(index)] = part.copy(), origin


def _clipped(low: float, high: float, extent: int) -> tuple[int, int]:
    """The pixels of [low, high] within [0, extent); at least the one at the border."""
    first = int(np.clip(np.floor(low), 0, extent - 1))
    return first, int(np.clip(np.ceil(high), first + 1, extent))
