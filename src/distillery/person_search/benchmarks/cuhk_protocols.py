"""The protocols of CUHK-SYSU: `TestG*.mat` (queries and their galleries), the whole set, and the two subsets."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distillery.errors import UserError
from distillery.person_search.benchmarks.base import Protocol, Query
from distillery.person_search.benchmarks.cache import cached_protocol
from distillery.person_search.benchmarks.fields import REMEDY, columns_of, corner_box, image_name, single
from distillery.person_search.benchmarks.matlab import read_mat
from distillery.person_search.benchmarks.matlab_stream import iterate_struct

FULL_GALLERY = -1
"""Gallery size that stands for the whole set: TestG50's entries, then every other image of the test pool."""
DEFAULT_SIZE = 100
"""The gallery size that papers report; the largest one stands in where its file is missing."""

PROTOCOLS = Path("annotation/test/train_test")
POOL = Path("annotation/pool.mat")
SUBSETS = {
    "occlusion": (Path("annotation/test/subset/Occlusion.mat"), "Occlusion1"),
    "resolution": (Path("annotation/test/subset/Resolution.mat"), "Test_Size"),
}
"""Subsets of the queries (occluded, and of low resolution) -> file and its variable."""


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


def default_size(root: Path) -> int:
    """The gallery size of the headline numbers."""
    sizes = gallery_sizes(root)
    return DEFAULT_SIZE if DEFAULT_SIZE in sizes else sizes[-1]


def load_pool(root: Path) -> list[str]:
    """Names of the images of the test pool, in the file's order."""
    file = root / POOL
    names = read_mat(file, "pool")
    if not isinstance(names, list) or not names:
        raise UserError("is not a cell array of image names", file=file, place="pool", remedy=REMEDY)
    return [image_name(name, file, f"pool({row + 1})") for row, name in enumerate(names)]


def load_protocol(root: Path, gallery_size: int) -> Protocol:
    """Reads the protocol of one gallery size; needs nothing but its TestG file (the full set also needs pool.mat).

    A large file is read once; a compact copy is kept as `cache.cached_protocol` says.

    Args:
        root: A folder in CUHK-SYSU's layout.
        gallery_size: 50, 100, ... or `FULL_GALLERY` for the whole set: the entries of TestG50 (the smallest protocol
            where that is missing), then all other images of the pool but the query's own.
    """
    if gallery_size == FULL_GALLERY:
        sizes = gallery_sizes(root)
        return _with_the_pool(load_protocol(root, 50 if 50 in sizes else sizes[0]), load_pool(root))
    file = protocol_file(root, gallery_size)
    return cached_protocol(file, lambda: _read_protocol(file, file.stem, gallery_size))


def load_subset(root: Path, name: str) -> Protocol | None:
    """The protocol of a subset of `SUBSETS`, None where its file is absent; its queries are some of TestG's.

    Its file is taken to have TestG's structure; without galleries of its own, `match_queries` gives it those of TestG.
    """
    path, variable = SUBSETS[name]
    return _read_protocol(root / path, variable, 0) if (root / path).is_file() else None


def match_queries(subset: Protocol, whole: Protocol) -> tuple[Protocol, NDArray[np.int64]]:
    """The queries of a subset that are queries of another protocol too, and which of its queries (S,) they are.

    A person is the same if image and box are. Queries that are not there have no features and are left out.
    """
    rows = {(query.image, tuple(query.box.tolist())): row for row, query in enumerate(whole.queries)}
    found = [rows.get((query.image, tuple(query.box.tolist())), -1) for query in subset.queries]
    kept = np.array([i for i, row in enumerate(found) if row >= 0], np.int64)
    matched = np.array([row for row in found if row >= 0], np.int64)
    if len(subset.entries):
        return chosen_queries(subset, kept), matched
    return replace(chosen_queries(whole, matched), name=subset.name), matched


def chosen_queries(protocol: Protocol, rows: NDArray[np.int64]) -> Protocol:
    """The protocol with the queries of the given rows (S,) alone, in that order."""
    sizes = np.diff(protocol.offsets)[rows]
    starts = protocol.offsets[:-1][rows]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    low, high = (np.searchsorted(protocol.positives, edge) for edge in (starts, starts + sizes))
    places = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
    entries = [protocol.entries[start : start + size] for start, size in zip(starts, sizes, strict=True)]
    shifted = [protocol.positives[place] - start for place, start in zip(places, starts, strict=True)]
    positives = [row + offset for row, offset in zip(shifted, offsets[:-1], strict=True)]
    nothing = np.empty(0, np.int64)
    return replace(
        protocol,
        queries=[protocol.queries[row] for row in rows],
        offsets=offsets,
        entries=np.concatenate([*entries, nothing]).astype(np.int32),
        positives=np.concatenate([*positives, nothing]).astype(np.int64),
        positive_boxes=protocol.positive_boxes[np.concatenate([*places, nothing]).astype(np.int64)],
    )


def test_appearances(protocol: Protocol) -> Iterator[tuple[str, NDArray[np.float32], int]]:
    """(image, box, identity) of every labelled person of the protocol: the queries, then the gallery's positives."""
    yield from ((query.image, query.box, query.identity) for query in protocol.queries)
    owners = np.searchsorted(protocol.offsets, protocol.positives, side="right") - 1
    for entry, box, owner in zip(protocol.positives, protocol.positive_boxes, owners, strict=True):
        yield protocol.images[protocol.entries[entry]], box, int(owner)


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


def _with_the_pool(start: Protocol, pool: list[str]) -> Protocol:
    """Every gallery followed by all images of the pool that it lacks, without the query's own."""
    images = list(dict.fromkeys([*start.images, *pool]))
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
        entries=np.concatenate(entries),
        positives=np.concatenate(positives),
        positive_boxes=start.positive_boxes,
    )


def _read_protocol(file: Path, variable: str, gallery_size: int) -> Protocol:
    """Reads a struct array of queries and galleries; query i is identity i."""
    index: dict[str, int] = {}
    queries: list[Query] = []
    entries, positives, offsets = array("i"), array("q"), array("q", [0])
    boxes: list[NDArray[np.float32]] = []
    for row, (probe, gallery) in enumerate(iterate_struct(file, variable, ("Query", "Gallery"))):
        place = f"{variable}({row + 1}).Query"
        cell = single(probe, ("imname", "idlocate"), file, place)
        box = corner_box(cell["idlocate"], file, place)
        if box is None:
            raise UserError("has no box", file=file, place=place, remedy=REMEDY)
        queries.append(Query(image_name(cell["imname"], file, place), box, row))
        place = f"{variable}({row + 1}).Gallery"
        if not (isinstance(gallery, np.ndarray) and gallery.size == 0):  # a gallery may be empty
            listed = columns_of(gallery, ("imname", "idlocate"), file, place)
            for i, value in enumerate(listed["idlocate"]):
                # Negatives hold an empty array.
                if type(value) is not np.ndarray or value.size:
                    found = corner_box(value, file, place)
                    if found is not None:
                        positives.append(len(entries) + i)
                        boxes.append(found)
            for name in listed["imname"]:
                # Most entries have a name that is known by now.
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
