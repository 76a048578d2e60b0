"""Whom a training image is searched for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillery.engine.randomness import numpy_generator
from distillery.person_search.benchmarks.base import SearchImage
from distillery.person_search.pairing import People, Wanted


def images(*ids: list[int]) -> list[SearchImage]:
    return [
        SearchImage(f"{k}.jpg", Path(f"{k}.jpg"), np.zeros((len(row), 4), np.float32), np.array(row, np.int64))
        for k, row in enumerate(ids)
    ]


WORLD = images([0, -1, 1], [0, 2], [2, 3, -1], [4], [-1], [])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 5), st.floats(0, 1), st.integers(0, 1000))
def test_a_person_of_another_image_with_an_identity(gallery, share, seed):
    image, person = People(WORLD).draw(gallery, share, numpy_generator(seed, "query"))
    assert image != gallery
    assert WORLD[image].ids[person] >= 0


def test_share_of_pairs_with_the_person_in_them():
    people, generator = People(WORLD), numpy_generator(0, "query")
    for share in (0.0, 0.25, 1.0):
        drawn = [people.draw(1, share, generator) for _ in range(600)]
        present = [WORLD[image].ids[person] in WORLD[1].ids for image, person in drawn]
        assert np.mean(present) == pytest.approx(share, abs=0.06)
    # Both people of image 1 stand elsewhere, once each.
    drawn = [people.draw(1, 1.0, generator) for _ in range(600)]
    assert set(drawn) == {Wanted(0, 0), Wanted(2, 0)}
    assert np.mean([one.image == 0 for one in drawn]) == pytest.approx(0.5, abs=0.06)


def test_nobody_of_the_image_stands_elsewhere():
    drawn = {People(WORLD).draw(3, 1.0, numpy_generator(seed, "query")) for seed in range(200)}
    assert len(drawn) == 6 and all(image != 3 for image, _ in drawn)


def test_everybody_is_in_the_image():
    world = images([0, 1], [0], [1])
    drawn = {People(world).draw(0, 0.0, numpy_generator(seed, "query")) for seed in range(50)}
    assert drawn == {Wanted(1, 0), Wanted(2, 0)}
    assert People(images([0])).draw(0, 0.5, numpy_generator(0, "query")) == Wanted(0, 0)


def test_nobody_has_an_identity():
    with pytest.raises(ValueError, match="nobody"):
        People(images([-1], []))
