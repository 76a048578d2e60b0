"""A tiny person-search world in CUHK-SYSU's layout, with the oddities of the real files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image

SIZE = (300, 200)
QUERY_FIELDS = [("imname", "O"), ("idlocate", "O"), ("ishard", "O"), ("idname", "O")]
GALLERY_FIELDS = QUERY_FIELDS[:3]


def stored(box):
    """A box x, y, w, h as MATLAB stores it: uint8 where it fits, else uint16; () where the person is absent."""
    if box is None:
        return np.empty((1, 0))
    return np.array([box], np.uint8 if max(box) < 256 else np.uint16)


def struct(fields, rows):
    array = np.empty((1, len(rows)), fields)
    for i, row in enumerate(rows):
        for (name, _), value in zip(fields, row, strict=True):
            array[0, i][name] = value
    return array


def cell(values):
    array = np.empty((len(values), 1), object)
    for i, value in enumerate(values):
        array[i, 0] = value
    return array


def write_protocol(root: Path, size: int, queries, *, name: str | None = None) -> Path:
    """Writes TestG<size>.mat; queries: [(image, box, [(image, box or None), ...]), ...], boxes x, y, w, h."""
    rows = []
    for i, (image, box, gallery) in enumerate(queries):
        query = struct(QUERY_FIELDS, [(image, stored(box), np.uint8(0), f"p{i}")])
        entries = [(im, stored(b), np.empty((1, 0)) if b is None else np.uint8(0)) for im, b in gallery]
        rows.append((query, struct(GALLERY_FIELDS, entries)))
    file = root / f"annotation/test/train_test/TestG{size}.mat"
    file.parent.mkdir(parents=True, exist_ok=True)
    table = struct([("Query", "O"), ("Gallery", "O")], rows)
    scipy.io.savemat(file, {name or file.stem: table}, do_compression=True)
    return file


def write_annotations(root: Path, boxes, pool, people) -> None:
    """boxes: {image: [x y w h, ...]}; pool: [image, ...]; people: [[(image, box), ...], ...]."""
    (root / "annotation/test/train_test").mkdir(parents=True, exist_ok=True)
    images = [
        (
            name,
            np.uint8(len(found)),
            struct([("idlocate", "O"), ("ishard", "O")], [(stored(b), np.uint8(0)) for b in found]),
        )
        for name, found in boxes.items()
    ]
    table = struct([("imname", "O"), ("nAppear", "O"), ("box", "O")], images)
    scipy.io.savemat(root / "annotation/Images.mat", {"Img": table}, do_compression=True)
    scipy.io.savemat(root / "annotation/pool.mat", {"pool": cell(pool)})
    train = [
        struct(
            [("idname", "O"), ("nAppear", "O"), ("scene", "O")],
            [
                (
                    f"t{i}",
                    np.uint8(len(scenes)),
                    struct(GALLERY_FIELDS, [(n, stored(b), np.uint8(0)) for n, b in scenes]),
                )
            ],
        )
        for i, scenes in enumerate(people)
    ]
    scipy.io.savemat(root / "annotation/test/train_test/Train.mat", {"Train": cell(train)})


# Image -> boxes x, y, w, h. In s3 x + w exceeds 255 although each fits a byte; s5 has a box without height.
BOXES = {
    "s1.jpg": [(10, 20, 40, 100), (100, 20, 40, 100)],
    "s2.jpg": [(30, 20, 40, 100)],
    "s3.jpg": [(200, 20, 80, 150), (50, 20, 40, 100)],
    "s4.jpg": [(60, 20, 40, 100)],
    "s5.jpg": [(20, 20, 40, 100), (5, 5, 10, 0)],
    "s6.jpg": [(150, 20, 40, 100), (40, 40, 30, 80)],
    "s10.jpg": [(90, 20, 40, 100)],
}
POOL = ["s3.jpg", "s4.jpg", "s5.jpg", "s6.jpg"]
PEOPLE = [
    [("s1.jpg", (100, 20, 40, 100)), ("s2.jpg", (30, 20, 40, 100))],
    [("s10.jpg", (90, 20, 40, 100)), ("s1.jpg", (10, 20, 40, 100))],
]
QUERIES = {
    2: [
        ("s3.jpg", (200, 20, 80, 150), [("s4.jpg", (60, 20, 40, 100)), ("s5.jpg", None)]),
        ("s6.jpg", (150, 20, 40, 100), [("s5.jpg", (20, 20, 40, 100)), ("s4.jpg", None)]),
    ],
    3: [
        ("s3.jpg", (200, 20, 80, 150), [("s4.jpg", (60, 20, 40, 100)), ("s5.jpg", None), ("s6.jpg", None)]),
        ("s6.jpg", (150, 20, 40, 100), [("s5.jpg", (20, 20, 40, 100)), ("s4.jpg", None), ("s3.jpg", None)]),
    ],
}
COLOURS = [(200, 30, 30), (30, 30, 200)]
"""Clothes of the two people searched for."""


def write_root(root: Path) -> Path:
    """The whole tiny root: 3 training images, 4 test images, 2 queries, galleries of 2 and 3."""
    write_annotations(root, BOXES, POOL, PEOPLE)
    for size, queries in QUERIES.items():
        write_protocol(root, size, queries)
    owners = {(i, b): COLOURS[q] for q, (im, box, gal) in enumerate(QUERIES[3]) for i, b in [(im, box), *gal] if b}
    folder = root / "Image/SSM"
    folder.mkdir(parents=True)
    for k, (name, boxes) in enumerate(BOXES.items()):
        noise = np.random.Generator(np.random.PCG64(k)).integers(90, 130, (SIZE[1], SIZE[0], 3), np.uint8)
        for box in boxes:
            x, y, w, h = box
            noise[y : y + h, x : x + w] = owners.get((name, box), (30, 160, 30))
        Image.fromarray(noise).save(folder / name, quality=95)
    return root
