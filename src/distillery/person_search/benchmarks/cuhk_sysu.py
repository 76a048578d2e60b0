"""CUHK-SYSU (Xiao et al., "Joint Detection and Identification Feature Learning for Person Search", CVPR 2017).

Official layout::

    Image/SSM/s1.jpg ...
    annotation/Images.mat  annotation/pool.mat
    annotation/test/train_test/Train.mat  TestG50.mat  TestG100.mat ...

Boxes are stored as x, y, width, height; every public evaluation uses x1 = x, y1 = y, x2 = x + w, y2 = y + h unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distillery.errors import UserError
from distillery.person_search.benchmarks.base import UNLABELLED, SearchImage, SearchSplit
from distillery.person_search.benchmarks.cuhk_protocols import (
    FULL_GALLERY,
    POOL,
    PROTOCOLS,
    check_same_queries,
    default_size,
    gallery_sizes,
    load_pool,
    load_protocol,
    load_subset,
    protocol_file,
    test_appearances,
)
from distillery.person_search.benchmarks.fields import REMEDY, columns_of, corner_box, image_name, single, stored_boxes
from distillery.person_search.benchmarks.matlab import read_mat

__all__ = [
    "FULL_GALLERY",
    "IMAGES",
    "IMAGE_FOLDER",
    "POOL",
    "PROTOCOLS",
    "TRAIN",
    "check_same_queries",
    "default_size",
    "gallery_sizes",
    "labelled_images",
    "load_boxes",
    "load_pool",
    "load_protocol",
    "load_subset",
    "load_test_pool",
    "load_train",
    "protocol_file",
    "stored_images",
    "test_appearances",
    "train_people",
]

IMAGES = Path("annotation/Images.mat")
TRAIN = Path("annotation/test/train_test/Train.mat")
IMAGE_FOLDER = Path("Image/SSM")


def load_train(root: Path) -> SearchSplit:
    """The training images: all images that are not in the test pool; identity = position in Train.mat."""
    identities = train_people(root)
    pool = set(load_pool(root))
    images = {name: boxes for name, boxes in load_boxes(root).items() if name not in pool}
    appearances = (
        (name, box, identity) for identity, scenes in enumerate(identities) for name, box in scenes if name in images
    )
    return SearchSplit(labelled_images(root, images, appearances), len(identities))


def load_test_pool(root: Path) -> SearchSplit:
    """The images of the test pool; identity = position of the person's query in the protocols."""
    boxes = load_boxes(root)
    try:
        images = {name: boxes[name] for name in load_pool(root)}
    except KeyError as error:
        raise UserError(
            f"has no image {error.args[0]}, which pool.mat lists", file=root / IMAGES, remedy=REMEDY
        ) from None
    protocol = load_protocol(root, gallery_sizes(root)[0])
    return SearchSplit(labelled_images(root, images, test_appearances(protocol)), len(protocol.queries))


def labelled_images(
    root: Path,
    images: Mapping[str, NDArray[np.float32]],
    appearances: Iterable[tuple[str, NDArray[np.float32], int]],
) -> list[SearchImage]:
    """Images sorted by name; a box that equals an appearance exactly has its identity, as in the official code."""
    ids = {name: np.full(len(boxes), UNLABELLED, np.int64) for name, boxes in images.items()}
    for name, box, identity in appearances:
        if name in images:
            ids[name][(images[name] == box).all(axis=1)] = identity
    return [SearchImage(name, root / IMAGE_FOLDER / name, images[name], ids[name]) for name in sorted(images)]


def load_boxes(root: Path) -> dict[str, NDArray[np.float32]]:
    """Boxes of everybody in every image of Images.mat, (N, 4) x1, y1, x2, y2; boxes without area are left out."""
    return {name: boxes for name, boxes, _ in stored_images(root)}


def stored_images(root: Path) -> Iterator[tuple[str, NDArray[np.float32], list[Any]]]:
    """Every image of Images.mat: name, boxes as `load_boxes` gives them, and all its boxes as they are stored."""
    file = root / IMAGES
    table = columns_of(read_mat(file, "Img"), ("imname", "box"), file, "Img")
    for row, (name, people) in enumerate(zip(table["imname"], table["box"], strict=True)):
        place = f"Img({row + 1})"
        stored = stored_boxes(people, file, place)
        # Official loaders drop boxes without width or height; a handful of annotations have none.
        found = [
            box for box in (corner_box(value, file, place, empty_is_none=True) for value in stored) if box is not None
        ]
        yield image_name(name, file, place), np.array(found, np.float32).reshape(-1, 4), stored
    if not table["imname"]:
        raise UserError("lists no image", file=file, remedy=REMEDY)


def train_people(root: Path) -> list[list[tuple[str, NDArray[np.float32]]]]:
    """For every training identity where it appears: (image, box)."""
    file = root / TRAIN
    cells = read_mat(file, "Train")
    if not isinstance(cells, list) or not cells:
        raise UserError("is not a cell array of people", file=file, place="Train", remedy=REMEDY)
    people = []
    for row, cell in enumerate(cells):
        place = f"Train({row + 1})"
        scenes = columns_of(single(cell, ("scene",), file, place)["scene"], ("imname", "idlocate"), file, place)
        appearances = []
        for name, value in zip(scenes["imname"], scenes["idlocate"], strict=True):
            box = corner_box(value, file, place, empty_is_none=True)
            if box is not None:
                appearances.append((image_name(name, file, place), box))
        people.append(appearances)
    return people
