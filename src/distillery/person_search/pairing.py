"""Whom a training image is searched for: pairs of a gallery image and a person in another image, for QEEPS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from distillery.person_search.benchmarks.base import SearchImage


class Wanted(NamedTuple):
    """A person to search for: index of the image and of the box in it."""

    image: int
    person: int


class People:
    """Everybody with an identity, by image, box and identity.

    Args:
        images: Images of a training split; at least one person has an identity.
    """

    def __init__(self, images: Sequence[SearchImage]) -> None:
        rows = [
            (image, int(person), int(item.ids[person]))
            for image, item in enumerate(images)
            for person in np.flatnonzero(item.ids >= 0)
        ]
        if not rows:
            raise ValueError("nobody has an identity")
        self._images, self._people, self._ids = np.array(rows, np.int64).T

    def draw(self, gallery: int, share: float, generator: np.random.Generator) -> Wanted:
        """A person to search for in a gallery image, always as it stands in another image where there is one.

        With probability `share` it is one of the people in the gallery image who also appear elsewhere, each of them
        as probable; else, and where there is none, one of the appearances of everybody who is not in it.

        Args:
            gallery: Index of the gallery image.
            share: Probability that the person is in it, where possible.
            generator: Source of chance.
        """
        here = np.unique(self._ids[self._images == gallery])
        inside, elsewhere = np.isin(self._ids, here), self._images != gallery
        found = np.unique(self._ids[inside & elsewhere])
        if generator.random() < share and len(found):
            return self._one(elsewhere & (self._ids == generator.choice(found)), generator)
        absent = elsewhere & ~inside
        choices = absent if absent.any() else elsewhere if elsewhere.any() else np.ones_like(inside)
        return self._one(choices, generator)

    def _one(self, rows: NDArray[np.bool_], generator: np.random.Generator) -> Wanted:
        row = generator.choice(np.flatnonzero(rows))
        return Wanted(int(self._images[row]), int(self._people[row]))
