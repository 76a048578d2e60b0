"""Made-up person search of the size of the real sets, for the benchmark scripts; imports no torch.

Galleries, boxes and counts are like CUHK-SYSU's and PRW's; features are an identity's centre with noise. Coordinates
are whole numbers, so that overlaps are the same in single and double precision.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from distillery.person_search.benchmarks.base import Protocol, Query
from distillery.person_search.predictions import Predictions, validated

DIMENSION = 256
Boxes = NDArray[np.float32]


class Frame(NamedTuple):
    """An annotated frame: its name, boxes (N, 4) x1, y1, x2, y2 and ids (N,), -1 without a label."""

    name: str
    boxes: Boxes
    ids: NDArray[np.int64]


def people(queries: int = 2900, images: int = 6978, seed: int = 0) -> Protocol:
    """Queries with galleries of their positives alone, one to six (TestG100 has 5,447 of 2,900 queries)."""
    random = np.random.default_rng(seed)
    names = [f"s{number}.jpg" for number in range(1, images + 1)]
    counts = random.choice(6, queries, p=(0.52, 0.28, 0.12, 0.04, 0.02, 0.02)) + 1
    places = [random.choice(images, count + 1, replace=False) for count in counts]
    boxes = _boxes(random, queries)
    asked = [Query(names[own[0]], boxes[row], row) for row, own in enumerate(places)]
    return Protocol(
        name="people",
        gallery_size=0,
        queries=asked,
        images=names,
        offsets=_offsets(counts),
        entries=np.concatenate([own[1:] for own in places]).astype(np.int32),
        positives=np.arange(counts.sum()),
        positive_boxes=_boxes(random, int(counts.sum())),
    )


def with_galleries(protocol: Protocol, size: int, seed: int = 0) -> Protocol:
    """The same queries and positives in galleries of `size` images, the positives first, as in the real files."""
    random = np.random.default_rng(seed)
    index = {name: number for number, name in enumerate(protocol.images)}
    galleries, counts = [], []
    for row, query in enumerate(protocol.queries):
        low, high = np.searchsorted(protocol.positives, protocol.offsets[row : row + 2])
        shown = protocol.entries[protocol.positives[low:high]]
        others = np.ones(len(index), bool)
        others[shown] = False
        if query.image in index:
            others[index[query.image]] = False
        galleries += [shown, random.permutation(np.flatnonzero(others))[: size - len(shown)].astype(np.int32)]
        counts.append(len(shown))
    offsets = _offsets([len(one) + len(other) for one, other in zip(galleries[::2], galleries[1::2], strict=True)])
    return Protocol(
        name=f"TestG{size}",
        gallery_size=size,
        queries=protocol.queries,
        images=protocol.images,
        offsets=offsets,
        entries=np.concatenate(galleries),
        positives=np.concatenate([first + np.arange(count) for first, count in zip(offsets, counts, strict=False)]),
        positive_boxes=protocol.positive_boxes,
    )


def prw_frames(frames: int = 6112, boxes: int = 25062, identities: int = 450, seed: int = 0) -> list[Frame]:
    """Test frames of PRW's number and names; three of four people have an identity, nobody stands twice in a frame."""
    random = np.random.default_rng(seed)
    owners = np.sort(random.integers(0, frames, boxes))
    ids = np.where(random.random(boxes) < 0.76, random.integers(0, identities, boxes), -1)
    _, first = np.unique(owners * (identities + 1) + ids, return_index=True)
    again = np.ones(boxes, bool)
    again[first] = False
    ids[again] = -1
    edges = np.searchsorted(owners, np.arange(1, frames))
    parts = zip(np.split(_boxes(random, boxes), edges), np.split(ids, edges), strict=True)
    return [Frame(f"c{row % 6 + 1}s1_{row:06d}.jpg", *part) for row, part in enumerate(parts)]


def prw_protocol(frames: Sequence[Frame], queries: int = 2057, seed: int = 0) -> Protocol:
    """Labelled people of the frames as queries, each searched for in all frames but its own."""
    places: dict[int, list[tuple[int, Boxes]]] = {}
    for row, frame in enumerate(frames):
        for identity, box in zip(frame.ids.tolist(), frame.boxes, strict=True):
            if identity >= 0:
                places.setdefault(identity, []).append((row, box))
    labelled = [(identity, row, box) for identity, found in places.items() for row, box in found]
    chosen = [labelled[n] for n in np.random.default_rng(seed).permutation(len(labelled))[:queries]]
    searched = len(frames) - 1
    entries, positives, boxes = [], [], []
    for number, (identity, own, _) in enumerate(chosen):
        entries.append(np.delete(np.arange(len(frames), dtype=np.int32), own))
        shown = [(row, box) for row, box in places[identity] if row != own]
        positives += [number * searched + row - (row > own) for row, _ in shown]
        boxes += [box for _, box in shown]
    return Protocol(
        name="prw",
        gallery_size=-1,
        queries=[Query(frames[own].name, box, identity) for identity, own, box in chosen],
        images=[frame.name for frame in frames],
        offsets=np.arange(len(chosen) + 1) * searched,
        entries=np.concatenate(entries),
        positives=np.array(positives, np.int64),
        positive_boxes=np.array(boxes, np.float32).reshape(-1, 4),
    )


def detections(
    shown: Iterable[tuple[str, Boxes, int]], images: Sequence[str], asked: Sequence[int], count: int, seed: int = 0
) -> Predictions:
    """Nine of ten people of the images (name, box, identity), boxes a little off, and strangers, `count` in all."""
    random = np.random.default_rng(seed)
    seen = [one for one in shown if random.random() < 0.9][:count]
    strangers = count - len(seen)
    names = [name for name, _, _ in seen] + random.choice(np.array(images), strangers).tolist()
    boxes = np.array([box for _, box, _ in seen], np.float32).reshape(-1, 4)
    boxes += random.integers(-6, 7, boxes.shape)
    identities = np.array([identity for *_, identity in seen] + [-1] * strangers)
    centres = _noise(random, max([*asked, *identities, 0]) + 1)
    features, known = 2 * _noise(random, count), identities >= 0
    features[known] += centres[identities[known]]
    return validated(
        {
            "gallery_image": np.array(names),
            "gallery_box": np.concatenate([boxes, _boxes(random, strangers)]),
            "gallery_score": random.uniform(0.5, 1, count),
            "gallery_feature": features,
            "query_feature": centres[list(asked)] + 2 * _noise(random, len(asked)),
        }
    )


def write_protocol(file: Path, protocol: Protocol) -> None:
    """Writes TestG<size>.mat as the real ones are: MATLAB v5, compressed, a struct of its own for every entry."""
    head = _header(2, (1, len(protocol.queries)), file.stem) + _fields(("Query", "Gallery"))
    size = len(head) + sum(map(len, _elements(protocol)))  # 2 GB for galleries of 4,000
    machine = zlib.compressobj(1)
    packed = [machine.compress(struct.pack("<II", 14, size) + head)]
    packed += [machine.compress(element) for element in _elements(protocol)]
    packed.append(machine.flush())
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as stream:
        stream.write(b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM")
        stream.write(struct.pack("<II", 15, sum(map(len, packed))))
        stream.writelines(packed)


def _elements(protocol: Protocol) -> Iterator[bytes]:
    """Query and gallery of every row."""
    number = _matrix(9, (1, 1), _element(2, b"\0"))
    absent = _box(None) + _matrix(6, (1, 0), _element(9, b""))
    names = [_text(name) for name in protocol.images]
    for row, query in enumerate(protocol.queries):
        first, last = protocol.offsets[row : row + 2]
        low, high = np.searchsorted(protocol.positives, (first, last))
        boxes = dict(zip(protocol.positives[low:high].tolist(), protocol.positive_boxes[low:high], strict=True))
        yield _struct(
            ("imname", "idlocate", "ishard", "idname"),
            1,
            _text(query.image) + _box(query.box) + number + _text(f"p{row}"),
        )
        gallery = [
            names[image] + (_box(boxes[entry]) + number if entry in boxes else absent)
            for entry, image in enumerate(protocol.entries[first:last].tolist(), int(first))
        ]
        yield _struct(("imname", "idlocate", "ishard"), len(gallery), b"".join(gallery))


def _boxes(random: np.random.Generator, count: int) -> Boxes:
    corners = random.integers((1, 1), (700, 350), (count, 2))
    return np.concatenate([corners, corners + random.integers((30, 80), (100, 250), (count, 2))], 1).astype(np.float32)


def _noise(random: np.random.Generator, count: int) -> NDArray[np.float32]:
    return random.standard_normal((count, DIMENSION), np.float32)


def _offsets(counts: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _element(kind: int, data: bytes) -> bytes:
    if 0 < len(data) <= 4:
        return struct.pack("<HH", kind, len(data)) + data.ljust(4, b"\0")
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def _header(array: int, shape: Sequence[int], name: str = "") -> bytes:
    flags, dimensions = struct.pack("<II", array, 0), struct.pack(f"<{len(shape)}i", *shape)
    return _element(6, flags) + _element(5, dimensions) + _element(1, name.encode())


def _matrix(array: int, shape: Sequence[int], content: bytes) -> bytes:
    body = _header(array, shape) + content
    return struct.pack("<II", 14, len(body)) + body


def _struct(fields: Sequence[str], count: int, cells: bytes) -> bytes:
    return _matrix(2, (1, count), _fields(fields) + cells)


def _fields(names: Sequence[str]) -> bytes:
    width = 32
    return struct.pack("<HHi", 5, 4, width) + _element(1, b"".join(name.encode().ljust(width, b"\0") for name in names))


def _text(text: str) -> bytes:
    return _matrix(4, (1, len(text)), _element(16, text.encode()))


def _box(box: Boxes | None) -> bytes:
    """x, y, w, h in bytes where they fit, as MATLAB stores them; empty where the person is absent."""
    if box is None:
        return _matrix(6, (1, 0), _element(9, b""))
    x1, y1, x2, y2 = (int(value) for value in box)
    stored = (x1, y1, x2 - x1, y2 - y1)
    if max(stored) < 256:
        return _matrix(9, (1, 4), _element(2, struct.pack("<4B", *stored)))
    return _matrix(11, (1, 4), _element(4, struct.pack("<4H", *stored)))
