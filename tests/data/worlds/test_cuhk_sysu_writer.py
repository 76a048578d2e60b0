"""The written set is read as the official loaders read CUHK-SYSU, and has the real files' types throughout."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from PIL import Image

from distillery.config.data import EmbeddedCUHKSYSU
from distillery.data.worlds.cuhk_sysu import HARD_BELOW, write_cuhk_sysu
from distillery.data.worlds.street import plan_street
from distillery.data.worlds.street_scene import Appearance, draw_scene
from distillery.errors import UserError

SPEC = EmbeddedCUHKSYSU(
    source="embedded",
    seed=9,
    train_images=12,
    train_identities=9,
    test_images=14,
    test_identities=8,
    gallery_sizes=(6, 13),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("street") / "cuhk_sysu"
    calls: list[tuple[int, int]] = []
    write_cuhk_sysu(folder, SPEC, 1, lambda done, total: calls.append((done, total)))
    assert calls == [(done, 26) for done in range(1, 27)]
    return folder


@pytest.fixture(scope="module")
def boxes(root: Path) -> dict[str, np.ndarray]:
    """Every image's boxes, read as the official loader does (person_search, psdb.py)."""
    found = {}
    for im_name, n_appear, people in scipy.io.loadmat(root / "annotation/Images.mat")["Img"].squeeze():
        read = np.asarray([person[0] for person in people[0]]).reshape(-1, 4).astype(np.int32)
        assert int(n_appear[0, 0]) == len(read)
        found[str(im_name[0])] = read
    return found


@pytest.fixture(scope="module")
def pool(root: Path) -> list[str]:
    return [str(cell[0]) for cell in scipy.io.loadmat(root / "annotation/pool.mat")["pool"].squeeze()]


@pytest.fixture(scope="module")
def drawn() -> dict[str, list[Appearance]]:
    return {scene.name: draw_scene(scene)[1] for split in plan_street(SPEC) for scene in split.scenes}


def protocol(root: Path, size: int) -> Any:
    path = root / f"annotation/test/train_test/TestG{size}.mat"
    return scipy.io.loadmat(path)[f"TestG{size}"]


def hashes(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_images_are_there_and_boxes_lie_inside(root: Path, boxes: dict[str, np.ndarray], pool: list[str]) -> None:
    assert sorted(path.name for path in (root / "Image/SSM").iterdir()) == sorted(boxes)
    assert sorted(boxes, key=lambda name: int(name[1:-4])) == [f"s{n}.jpg" for n in range(1, 27)]
    assert len(pool) == len(set(pool)) == 14 and set(pool) < set(boxes)
    for name, found in boxes.items():
        with Image.open(root / "Image/SSM" / name) as image:
            assert image.size == (320, 240) and image.mode == "RGB" and image.format == "JPEG"
        assert (found[:, :2] >= 1).all() and (found[:, 2:] >= 1).all()
        assert (found[:, 0] + found[:, 2] - 1 <= 320).all() and (found[:, 1] + found[:, 3] - 1 <= 240).all()


def test_images_mat_lists_everyone_drawn(boxes: dict[str, np.ndarray], drawn: dict[str, list[Appearance]]) -> None:
    for name, people in drawn.items():
        assert boxes[name].tolist() == [list(person.box) for person in people]


def test_jpeg_shows_what_was_drawn(root: Path) -> None:
    scene = plan_street(SPEC)[0].scenes[0]
    with Image.open(root / "Image/SSM" / scene.name) as image:
        difference = np.abs(np.asarray(image).astype(int) - draw_scene(scene)[0])
    assert difference.mean() < 8


def test_train_mat_gives_each_identity_its_boxes(
    root: Path, boxes: dict[str, np.ndarray], pool: list[str], drawn: dict[str, list[Appearance]]
) -> None:
    train = scipy.io.loadmat(root / "annotation/test/train_test/Train.mat")["Train"]
    assert train.shape == (9, 1) and train.dtype == object
    for index, item in enumerate(train.squeeze()):
        name, n_appear, scenes = item[0, 0]
        read = [(str(im[0]), tuple(box.squeeze().astype(np.int32).tolist())) for im, box, __ in scenes.squeeze()]
        assert str(name[0]) == f"p{index + 1}"
        assert int(n_appear[0, 0]) == len(read) >= 2
        assert not {image for image, _ in read} & set(pool)
        expected = [
            (image, person.box)
            for image, people in drawn.items()
            for person in people
            if image not in pool and person.identity == index
        ]
        assert sorted(read) == sorted(expected)


def test_person_mat_lists_train_then_test(root: Path) -> None:
    people = scipy.io.loadmat(root / "annotation/Person.mat")["Person"]
    assert people.dtype.names == ("idname", "nAppear", "scene")
    assert [str(person["idname"][0]) for person in people[0]] == [f"p{n}" for n in range(1, 18)]
    assert all(person["scene"].dtype.names == ("imname", "idlocate", "ishard") for person in people[0])


@pytest.mark.parametrize("size", SPEC.gallery_sizes)
def test_protocol_is_that_of_cuhk_sysu(
    root: Path, size: int, boxes: dict[str, np.ndarray], pool: list[str], drawn: dict[str, list[Appearance]]
) -> None:
    for index, entry in enumerate(protocol(root, size)[0]):
        query = entry["Query"][0, 0]
        query_name, query_box = str(query["imname"][0]), tuple(query["idlocate"][0].astype(int).tolist())
        assert str(query["idname"][0]) == f"p{10 + index}"
        names = [str(item["imname"][0]) for item in entry["Gallery"][0]]
        assert len(names) == len(set(names)) == size and set(names) <= set(pool)
        assert query_name not in names
        sighted = {n: p for n in pool for p in drawn[n] if p.identity == index}
        assert sighted[query_name].box == query_box
        positives = [item["idlocate"].size > 0 for item in entry["Gallery"][0]]
        count = sum(positives)
        assert positives == [True] * count + [False] * (size - count), "positives first and contiguous"
        assert set(names[:count]) == set(sighted) - {query_name}, "all other appearances, and they alone"
        for item in entry["Gallery"][0][:count]:
            name, box = str(item["imname"][0]), item["idlocate"][0].astype(int)
            assert (boxes[name] == box).all(1).sum() == 1, "readers match boxes by equality"
            assert int(item["ishard"][0, 0]) == (sighted[name].visible < HARD_BELOW)


def test_larger_galleries_add_only_distractors(root: Path) -> None:
    small, large = (protocol(root, size)[0] for size in SPEC.gallery_sizes)
    for a, b in zip(small, large, strict=True):
        assert a["Query"]["imname"] == b["Query"]["imname"]
        assert (a["Query"][0, 0]["idlocate"] == b["Query"][0, 0]["idlocate"]).all()
        assert [str(i["imname"][0]) for i in a["Gallery"][0]] == [str(i["imname"][0]) for i in b["Gallery"][0]][:6]


def shape_of(value: Any) -> Any:
    """Type and shape of a leaf as scipy reads it; the length of a text is left out."""
    return value.dtype.kind, value.dtype.itemsize if value.dtype.kind != "U" else None, value.shape


def leaves(test: Any) -> dict[str, set[Any]]:
    """For every place in the nesting of a TestG file, the types and shapes met there."""
    found: dict[str, set[Any]] = {"layout": {(test.dtype.names, test.shape[0])}}
    for entry in test[0]:
        for part in ("Query", "Gallery"):
            found.setdefault(part, set()).add((entry[part].dtype.names, entry[part].shape[0]))
            for item in entry[part][0]:
                positive = item["idlocate"].size > 0
                for name in entry[part].dtype.names:
                    found.setdefault(f"{part}.{name}.{positive}", set()).add(shape_of(item[name]))
    return found


def test_types_and_shapes_are_those_of_the_real_file(root: Path, real_data: Path) -> None:
    real_file = real_data / "cuhk_sysu" / "TestG100.mat"
    files = [scipy.io.loadmat(real_file)["TestG100"], protocol(root, 6)]
    real, ours = (leaves(test) for test in files)
    assert set(ours) == set(real)
    for place, kinds in ours.items():
        assert kinds <= real[place], place
    # Both whole-number types occur, chosen as MATLAB chose them: by the largest value.
    for test in files:
        located = [entry["Query"][0, 0]["idlocate"] for entry in test[0]]
        assert {box.dtype.name for box in located} <= {"uint8", "uint16"}
        assert all((box.dtype == np.uint8) == (box.max() <= 255) for box in located)


def test_bytes_do_not_depend_on_workers_date_or_place(root: Path, tmp_path: Path) -> None:
    write_cuhk_sysu(tmp_path / "again", SPEC, 2)
    assert hashes(tmp_path / "again") == hashes(root)
    for path in root.rglob("*.mat"):
        header = path.read_bytes()[:128]
        assert header[:19] == b"MATLAB 5.0 MAT-file" and b"Created" not in header
        assert header[124:] == b"\x00\x01IM"


def test_an_older_set_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "set"
    (target / "Image/SSM").mkdir(parents=True)
    (target / "Image/SSM/s999.jpg").write_text("left over")
    small = SPEC.model_copy(
        update={"train_images": 2, "train_identities": 2, "test_images": 3, "test_identities": 1, "gallery_sizes": (2,)}
    )
    write_cuhk_sysu(target, small, 1)
    assert len(list((target / "Image/SSM").iterdir())) == 5
    assert protocol(target, 2).shape == (1, 1)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"gallery_sizes": (14,)}, "gallery_sizes"),
        ({"gallery_sizes": (1,)}, "gallery_sizes"),
        ({"train_identities": 25}, "train_identities"),
        ({"train_images": 1}, "train_identities"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_anything_is_written(
    tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(UserError, match=named):
        write_cuhk_sysu(tmp_path / "set", SPEC.model_copy(update=changes), 1)
    assert list(tmp_path.iterdir()) == []
