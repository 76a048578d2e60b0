"""CUHK-SYSU (Xiao et al., "Joint Detection and Identification Feature Learning for Person Search", CVPR 2017).

Official layout::

    Image/SSM/s1.jpg ...
    annotation/Images.mat  annotation/pool.mat
    annotation/test/train_test/Train.mat  TestG50.mat  TestG100.mat ...

Boxes are stored as x, y, width, height; every public evaluation uses x1 = x, y1 = y, x2 = x + w, y2 = y + h unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distillery.errors import UserError
from distillery.person_search.benchmarks.base import (
    UNLABELLED,
    Protocol,
    Query,
    SearchImage,
    SearchSplit,
)
from distillery.person_search.benchmarks.fields import REMEDY, columns_of, corner_box, image_name, single, stored_boxes
from distillery.person_search.benchmarks.matlab import read_mat

FULL_GALLERY = -1
"""Gallery size that stands for the whole set: TestG50's entries, then every other image of the test pool."""

IMAGES = Path("annotation/Images.mat")
POOL = Path("annotation/pool.mat")
TRAIN = Path("annotation/test/train_test/Train.mat")
PROTOCOLS = Path("annotation/test/train_test")
IMAGE_FOLDER = Path("Image/SSM")


def protocol_file(root: Path, gallery_size: int) -> Path:
    """Path of a protocol's file under the root."""
    return root / PROTOCOLS / f"TestG{gallery_size}.mat"


def gallery_sizes(root: Path) -> list[int]:
    """Gallery sizes whose protocol files are there, ascending.

    Raises:
        UserError: the root holds no protocol at all.
    """
    names = (re.fullmatch(r"TestG([1-9]\d{0,8})\.mat", path.name) for path in (root / PROTOCOLS).glob("TestG*.mat"))
    sizes = sorted(int(name[1]) for name in names if name)
    if not sizes:
        raise UserError(
            "holds no TestG*.mat",
            file=root / PROTOCOLS,
            remedy="give the root folder of CUHK-SYSU in its official layout",
        )
    return sizes


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


def test_appearances(protocol: Protocol) -> Iterator[tuple[str, NDArray[np.float32], int]]:
    """(image, box, identity) of every labelled person of the protocol: the queries, then the gallery's positives."""
    yield from ((query.image, query.box, query.identity) for query in protocol.queries)
    owners = np.searchsorted(protocol.offsets, protocol.positives, side="right") - 1
    for entry, box, owner in zip(protocol.positives, protocol.positive_boxes, owners, strict=True):
        yield protocol.images[protocol.entries[entry]], box, int(owner)


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
    file = root / IMAGES
    table = columns_of(read_mat(file, "Img"), ("imname", "box"), file, "Img")
    images = {}
    for row, (name, people) in enumerate(zip(table["imname"], table["box"], strict=True)):
        place = f"Img({row + 1})"
        stored = stored_boxes(people, file, place)
        # Official loaders drop boxes without width or height; a handful of annotations have none.
        found = [
            box for box in (corner_box(value, file, place, empty_is_none=True) for value in stored) if box is not None
        ]
        images[image_name(name, file, place)] = np.array(found, np.float32).reshape(-1, 4)
    if not images:
        raise UserError("lists no image", file=file, remedy=REMEDY)
    return images


def load_pool(root: Path) -> list[str]:
    """Names of the images of the test pool, in the file's order."""
    file = root / POOL
    names = read_mat(file, "pool")
    if not isinstance(names, list) or not names:
        raise UserError("is not a cell array of image names", file=file, place="pool", remedy=REMEDY)
    return [image_name(name, file, f"pool({row + 1})") for row, name in enumerate(names)]


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


def load_protocol(root: Path, gallery_size: int) -> Protocol:
    """Reads the protocol of one gallery size; needs nothing but its TestG file (the full set also needs pool.mat).

    Args:
        root: A folder in CUHK-SYSU's layout.
        gallery_size: 50, 100, ... or `FULL_GALLERY` for the whole set: the entries of TestG50 (the smallest protocol
            where that is missing), then all other images of the pool but the query's own.
    """
    if gallery_size != FULL_GALLERY:
        return _read_protocol(protocol_file(root, gallery_size), gallery_size)
    sizes = gallery_sizes(root)
    start = load_protocol(root, 50 if 50 in sizes else sizes[0])
    images = list(dict.fromkeys([*start.images, *load_pool(root)]))
    index = {name: i for i, name in enumerate(images)}
    entries, positives, offsets = [], [], [0]
    for q, query in enumerate(start.queries):
        first, last = start.offsets[q : q + 2]
        rest = np.ones(len(images), bool)
        rest[start.entries[first:last]] = False
        if query.image in index:
            rest[index[query.image]] = False
        low, high = np.searchsorted(start.positives, (first, last))
        positives.append(start.positives[low:high] - first + offsets[-1])
        entries += [start.entries[first:last], np.flatnonzero(rest).astype(np.int32)]
        offsets.append(offsets[-1] + int(last - first) + int(rest.sum()))
    return Protocol(
        name=f"{start.name} + pool",
        gallery_size=FULL_GALLERY,
        queries=start.queries,
        images=images,
        offsets=np.array(offsets, np.int64),
        entries=np.concatenate(entries) if entries else np.empty(0, np.int32),
        positives=np.concatenate(positives) if positives else np.empty(0, np.int64),
        positive_boxes=start.positive_boxes,
    )


def check_same_queries(first: Protocol, second: Protocol) -> None:
    """Refuses two protocols with different queries: results hold one feature a query, in one order for all sizes."""
    pairs = enumerate(zip(first.queries, second.queries, strict=False))
    differing = (row for row, (a, b) in pairs if a.image != b.image or not np.array_equal(a.box, b.box))
    row = next(differing, min(len(first.queries), len(second.queries)))
    if row < max(len(first.queries), len(second.queries)):
        raise UserError(
            f"query {row + 1} of {second.name} is not query {row + 1} of {first.name}",
            remedy="take all TestG*.mat files from the same release of the dataset",
        )


def _read_protocol(file: Path, gallery_size: int) -> Protocol:
    table = columns_of(read_mat(file, file.stem), ("Query", "Gallery"), file, file.stem)
    index: dict[str, int] = {}
    queries: list[Query] = []
    entries: list[int] = []
    positives: list[int] = []
    boxes: list[NDArray[np.float32]] = []
    offsets = [0]
    for row, (probe, gallery) in enumerate(zip(table["Query"], table["Gallery"], strict=True)):
        place = f"{file.stem}({row + 1}).Query"
        cell = single(probe, ("imname", "idlocate"), file, place)
        box = corner_box(cell["idlocate"], file, place)
        if box is None:
            raise UserError("has no box", file=file, place=place, remedy=REMEDY)
        queries.append(Query(image_name(cell["imname"], file, place), box, row))
        place = f"{file.stem}({row + 1}).Gallery"
        if not (isinstance(gallery, np.ndarray) and gallery.size == 0):  # a gallery may be empty
            listed = columns_of(gallery, ("imname", "idlocate"), file, place)
            for name, value in zip(listed["imname"], listed["idlocate"], strict=True):
                # Negatives hold an empty array; most entries are negatives with a name that is known by now.
                if type(value) is not np.ndarray or value.size:
                    found = corner_box(value, file, place)
                    if found is not None:
                        positives.append(len(entries))
                        boxes.append(found)
                try:
                    entries.append(index[name])
                except (KeyError, TypeError):
                    entries.append(index.setdefault(image_name(name, file, place), len(index)))
        offsets.append(len(entries))
    if not queries:
        raise UserError("holds no query", file=file, remedy=REMEDY)
    return Protocol(
        name=file.stem,
        gallery_size=gallery_size,
        queries=queries,
        images=list(index),
        offsets=np.array(offsets, np.int64),
        entries=np.array(entries, np.int32),
        positives=np.array(positives, np.int64),
        positive_boxes=np.array(boxes, np.float32).reshape(-1, 4),
    )
