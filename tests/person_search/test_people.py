"""Crops of labelled people: the same bytes as from whole images, which are decoded once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from distillery.data.images import read_image
from distillery.person_search import people as module
from distillery.person_search.benchmarks.base import SearchImage
from distillery.person_search.dataset import crop, jittered
from distillery.person_search.people import PeopleStore, Person, labelled_people

WIDTH, HEIGHT = 60, 40
# Inside, across each border, at the last pixel, outside, and less than a pixel wide.
BOXES = [
    (10, 5, 30, 35),
    (-8, -3, 9, 20),
    (50, 30, 75, 52.5),
    (59, 39, 60, 40),
    (70, 5, 80, 20),
    (20.25, 7.5, 20.75, 9),
]
IDS = [3, 0, 1, 1, 2, 4]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[SearchImage]:
    folder = tmp_path_factory.mktemp("images")
    found = []
    for name, ids in (("a.png", IDS), ("nobody.png", [-1] * 6), ("b.png", [-1, 5, -1, -1, -1, -1])):
        noise = np.random.Generator(np.random.PCG64(len(found))).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        Image.fromarray(noise).save(folder / name)
        found.append(SearchImage(name, folder / name, np.array(BOXES, np.float32), np.array(ids)))
    return found


def test_labelled_people(images):
    assert labelled_people(images) == [*(Person(0, box, identity) for box, identity in enumerate(IDS)), Person(2, 1, 5)]


@given(person=st.integers(0, 6), seed=st.integers(0, 10**6), margin=st.sampled_from([0.0, 0.1, 0.49]))
@settings(max_examples=150, deadline=None)
def test_same_bytes_as_from_the_whole_image(images, person, seed, margin):
    store = PeopleStore(images, margin)
    who = store.people[person]
    whole = read_image(images[who.image].path)
    generator = np.random.Generator(np.random.PCG64(seed))
    for _ in range(2):  # from the image, then from what was kept
        box = jittered(store.box(who), margin, generator)
        np.testing.assert_array_equal(store.crop(who, box, (12, 6)), crop(whole, box, (12, 6)))


@pytest.mark.parametrize(("room", "decoded"), [(1 << 20, 2), (0, 21)])
def test_each_image_is_decoded_once_where_people_fit_into_memory(images, monkeypatch, room, decoded):
    reads: list[Path] = []
    monkeypatch.setattr(module, "read_image", lambda path: reads.append(path) or read_image(path))
    store = PeopleStore(images, 0.1, cache_bytes=room)
    for _ in range(3):
        for person in store.people:
            store.crop(person, store.box(person), (8, 4))
    assert len(reads) == decoded
