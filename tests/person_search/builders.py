"""A tiny person-search world in CUHK-SYSU's layout, with the oddities of the real files."""

from __future__ import annotations

import json
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


def write_subset(root: Path, name: str, variable: str, queries) -> Path:
    """Writes a subset as `write_protocol` writes a protocol, e.g. Occlusion.mat with the variable Occlusion1."""
    written = write_protocol(root, 999, queries, name=variable)
    file = root / "annotation/test/subset" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    return written.rename(file)


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


def write_real_root(real: Path, root: Path) -> Path:
    """Eight real images in CUHK-SYSU's layout: their labelled people, 4 queries, each in the other seven."""
    known = json.loads((real / "cuhk_sysu/images/annotations_from_TestG100.json").read_text())
    boxes = {name: [tuple(one["bbox_xywh"]) for one in found] for name, found in known["images"].items()}
    people = {
        (name, one["idname"]): tuple(one["bbox_xywh"]) for name, found in known["images"].items() for one in found
    }
    write_annotations(root, boxes, list(boxes), [])
    queries = [
        (
            query["img"],
            tuple(query["bbox_xywh"]),
            [(name, people.get((name, query["idname"]))) for name in boxes if name != query["img"]],
        )
        for query in known["queries"]
    ]
    write_protocol(root, 7, queries)
    folder = root / "Image/SSM"
    folder.mkdir(parents=True)
    for name in boxes:
        (folder / name).symlink_to(real / "cuhk_sysu/images" / name)
    return root


def write_prw_lists(root: Path, train, test) -> None:
    """Writes frame_train.mat and frame_test.mat; names without `.jpg`."""
    root.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(root / "frame_train.mat", {"img_index_train": cell(train)})
    scipy.io.savemat(root / "frame_test.mat", {"img_index_test": cell(test)})


def write_prw_frame(root: Path, name: str, rows, key: str = "box_new") -> Path:
    """Writes the annotation of a frame; rows: [(id, x, y, w, h), ...]."""
    file = root / "annotations" / f"{name}.jpg.mat"
    file.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(file, {key: rows if isinstance(rows, np.ndarray) else np.array(rows, float).reshape(-1, 5)})
    return file


# Frame -> rows (id, x, y, w, h). 932 is far from the others; c1s1_000001 has a negative and a fractional box,
# c6s1_000008 an id twice, c2s1_000006 nobody.
PRW_TRAIN = {
    "c1s1_000001": [(2, -3.7, 10.2, 40.5, 90.1), (932, 60.9, 20.6, 30.3, 80.9), (-2, 100, 20, 30, 80)],
    "c3s1_000002": [(7, 20, 20, 40, 100), (2, 100.5, 20.5, 40.75, 100)],
    "c6s1_000003": [(932, 20, 20, 40, 90)],
}
PRW_TEST = {
    "c1s1_000004": [(484, 20.5, 20.5, 40.6, 100.6), (-2, 100, 20, 40, 100)],
    "c1s1_000005": [(484, 30, 20, 40, 100), (485, 120, 20, 40, 100)],
    "c2s1_000006": [],
    "c2s1_000007": [(484, 50, 20, 40, 100), (490, 150.2, 20, 40, 100)],
    "c6s1_000008": [(485, 60, 20, 40, 100), (485, 160, 20, 40, 100)],
}
PRW_QUERIES = [
    "484 20.5000 20.5000 40.6000 100.6000 c1s1_000004",
    "485 120.0000 20.0000 40.0000 100.0000 c1s1_000005",
    "490 150.2000 20.0000 40.0000 100.0000 c2s1_000007",
]
_KEYS = ("box_new", "anno_file", "anno_previous")


def write_prw_root(root: Path, *, images: bool = True) -> Path:
    """The whole tiny PRW root: 3 training frames, 5 test frames, 3 queries (CRLF) and 1 of PRW-mini (LF)."""
    write_prw_lists(root, list(PRW_TRAIN), list(PRW_TEST))
    for k, (name, rows) in enumerate((PRW_TRAIN | PRW_TEST).items()):
        write_prw_frame(root, name, rows, _KEYS[k % 3])
        if images:
            (root / "frames").mkdir(exist_ok=True)
            pixels = np.random.Generator(np.random.PCG64(k)).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
            Image.fromarray(pixels).save(root / "frames" / f"{name}.jpg")
    (root / "query_info.txt").write_bytes("".join(f"{line}\r\n" for line in PRW_QUERIES).encode())
    (root / "prwmini_query_info.txt").write_bytes(f"{PRW_QUERIES[1]}\n".encode())
    return root
