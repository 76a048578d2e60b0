"""The written set is read as the official loaders read PRW, with scipy and by splitting lines."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from PIL import Image

from distillery.config.data import EmbeddedPRW
from distillery.data.worlds.prw import CLEAR, cut_query, query_candidates, raw_ids, write_prw
from distillery.data.worlds.street_frame import Sighting, draw_frame
from distillery.data.worlds.street_visits import Watch, plan_watches
from distillery.errors import UserError
from distillery.person_search.benchmarks import registry

SPEC = EmbeddedPRW(
    source="embedded",
    seed=1,
    train_frames=30,
    train_identities=12,
    test_frames=26,
    test_identities=14,
    queries=32,
    mini_queries=12,
)
TRAIN_IDS, TEST_IDS = [*range(1, 8), *range(9, 13), 27], [*range(13, 27)]
QUERY_LINE = re.compile(r"\d+( -?\d+\.\d{4}){2}( \d+\.\d{4}){2} c[1-6]s\d_\d{6}")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("street") / "prw"
    calls: list[tuple[int, int]] = []
    write_prw(folder, SPEC, 1, lambda done, total: calls.append((done, total)))
    assert calls == [(done, 56) for done in range(1, 57)]
    return folder


@pytest.fixture(scope="module")
def watches() -> tuple[Watch, Watch]:
    return plan_watches(SPEC)


@pytest.fixture(scope="module")
def drawn(watches: tuple[Watch, Watch]) -> dict[str, list[Sighting]]:
    return {frame.name: draw_frame(frame)[1] for watch in watches for frame in watch.frames}


def names(root: Path, split: str) -> list[str]:
    """As NAE's and SeqNet's loaders read them."""
    cells = scipy.io.loadmat(root / f"frame_{split}.mat")[f"img_index_{split}"]
    assert cells.dtype == object and cells.shape[1] == 1
    return [str(cell[0][0]) for cell in cells]


def annotation(root: Path, name: str) -> tuple[str, np.ndarray]:
    """The matrix and its key; the path has no `.mat`, which scipy appends, as the loaders have it."""
    found = scipy.io.loadmat(f"{root}/annotations/{name}.jpg")
    keys = [key for key in found if not key.startswith("__")]
    assert len(keys) == 1
    return keys[0], found[keys[0]]


def queries(root: Path, file: str = "query_info.txt") -> list[tuple[int, np.ndarray, str]]:
    rows = [line.split() for line in (root / file).read_text().splitlines()]
    return [(int(row[0]), np.array(row[1:5], float), row[5]) for row in rows]


def corners(box: np.ndarray, width: int, height: int) -> tuple[int, int, int, int]:
    """The rule of NAE and AlignPS for whole-pixel corners, inside the frame."""
    x, y, w, h = box
    return max(int(x), 0), max(int(y), 0), min(int(x + w), width), min(int(y + h), height)


def hashes(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_files_are_those_of_the_real_set(root: Path) -> None:
    assert sorted(path.name for path in root.iterdir()) == [
        "ID_test.mat",
        "ID_train.mat",
        "annotations",
        "frame_test.mat",
        "frame_train.mat",
        "frames",
        "prwmini_query_info.txt",
        "query_box",
        "query_info.txt",
    ]
    train, test = names(root, "train"), names(root, "test")
    assert (len(train), len(test)) == (30, 26) and not set(train) & set(test)
    both = sorted(train + test)
    assert train == sorted(train) and test == sorted(test)
    assert all(re.fullmatch(r"c[1-6]s\d_\d{6}", name) for name in both)
    assert {name[1] for name in train} == {name[1] for name in test} == set("123456")
    assert not {name[:4] for name in train} & {name[:4] for name in test}, "other sessions of the same cameras"
    assert sorted(path.name for path in (root / "frames").iterdir()) == [f"{name}.jpg" for name in both]
    assert sorted(path.name for path in (root / "annotations").iterdir()) == [f"{name}.jpg.mat" for name in both]


def test_camera_six_is_smaller(root: Path) -> None:
    for path in (root / "frames").iterdir():
        with Image.open(path) as image:
            assert image.size == ((240, 192) if path.name[1] == "6" else (320, 240))
            assert image.mode == "RGB" and image.format == "JPEG"


def test_ids_have_gaps_and_are_disjoint(root: Path) -> None:
    train, test = (scipy.io.loadmat(root / f"ID_{split}.mat") for split in ("train", "test"))
    assert train["ID_train"].ravel().tolist() == TRAIN_IDS
    assert test["ID_test2"].ravel().tolist() == TEST_IDS


@pytest.mark.parametrize(("train", "test"), [(2, 1), (5, 3), (483, 450)])
def test_raw_ids_look_like_the_real_ones(train: int, test: int) -> None:
    ours, theirs = raw_ids(train, test)
    assert (len(set(ours)), len(set(theirs))) == (train, test) and not set(ours) & set(theirs)
    assert ours == sorted(ours) and ours[0] == 1 and ours[-1] > max(theirs)
    if train == 483:
        assert ours[:-1] == [*range(1, 479), *range(480, 484)], "PRW's training ids, but for its last one, 932"


def test_annotations_are_what_was_drawn(
    root: Path, watches: tuple[Watch, Watch], drawn: dict[str, list[Sighting]]
) -> None:
    for watch, ids in zip(watches, (TRAIN_IDS, TEST_IDS), strict=True):
        for frame in watch.frames:
            _, rows = annotation(root, frame.name)
            assert rows.dtype == np.float64 and rows.shape == (len(frame.passers), 5)
            expected = [
                [ids[person.identity] if person.identity >= 0 else -2, *(part / 64 for part in person.box)]
                for person in drawn[frame.name]
            ]
            assert rows.tolist() == expected
            assert (rows[:, 1:3] > -6).all() and (rows[:, 3:] > 4).all()
            assert (rows[:, 1] + rows[:, 3] < frame.width + 6).all()
            assert (rows[:, 2] + rows[:, 4] < frame.height + 2).all()


def test_annotations_have_the_oddities_of_the_real_ones(root: Path) -> None:
    read = {name: annotation(root, name) for split in ("train", "test") for name in names(root, split)}
    keys = Counter(key for key, _ in read.values())
    assert set(keys) == {"box_new", "anno_file", "anno_previous"}
    assert keys["box_new"] > 0.9 * len(read)
    rows = np.concatenate([found for _, found in read.values()])
    assert (rows[:, 0] == -2).any() and set(rows[:, 0]) == {-2, *TRAIN_IDS, *TEST_IDS}
    assert (rows[:, 1:] % 1 != 0).mean() > 0.9, "fractional"
    assert 0 < (rows[:, 1:3] < 0).any(1).mean() < 0.1, "a few negative"
    for split in ("train", "test"):
        labelled = [[i for i in read[name][1][:, 0] if i > 0] for name in names(root, split)]
        assert [len(ids) - len(set(ids)) for ids in labelled if len(ids) > len(set(ids))] == [1], (
            "one frame, one id twice"
        )


def test_everyone_is_seen_by_two_cameras_and_some_frames_are_shared(root: Path) -> None:
    for split, ids in (("train", TRAIN_IDS), ("test", TEST_IDS)):
        cameras: dict[int, Counter[str]] = defaultdict(Counter)
        for name in names(root, split):
            for number in annotation(root, name)[1][:, 0]:
                if number > 0:
                    cameras[int(number)][name[1]] += 1
        assert sorted(cameras) == ids
        assert all(len(seen) >= 2 for seen in cameras.values())
        assert any(max(seen.values()) >= 2 for seen in cameras.values()), "several frames of one camera"


def test_queries_are_annotated_people_one_of_a_camera(root: Path, drawn: dict[str, list[Sighting]]) -> None:
    text = (root / "query_info.txt").read_bytes()
    lines = text.decode("ascii").split("\r\n")
    assert len(lines) == 33 and lines[-1] == "" and b"\n" not in text.replace(b"\r\n", b"")
    assert all(QUERY_LINE.fullmatch(line) for line in lines[:-1])
    read = queries(root)
    assert len({(number, name[1]) for number, _, name in read}) == 32
    assert [number for number, _, _ in read] == sorted(number for number, _, _ in read)
    test = set(names(root, "test"))
    for number, box, name in read:
        assert name in test
        _, rows = annotation(root, name)
        (place,) = np.flatnonzero(rows[:, 0] == number)
        assert np.abs(rows[place, 1:] - box).max() <= 5.1e-5
        elsewhere = sightings(root, number)
        assert any(other[1] != name[1] for other, _ in elsewhere), "there is a positive in another camera"
        best = max(drawn[other][at].visible for other, at in elsewhere if other[1] == name[1])
        assert drawn[name][place].visible >= min(CLEAR, best)


def sightings(root: Path, number: int) -> list[tuple[str, int]]:
    """Test frames that show a person once, with the row of the annotation."""
    places = {name: np.flatnonzero(annotation(root, name)[1][:, 0] == number) for name in names(root, "test")}
    return [(name, int(rows[0])) for name, rows in places.items() if len(rows) == 1]


def test_mini_queries_are_different_people_equally_many_of_each_camera(root: Path) -> None:
    text = (root / "prwmini_query_info.txt").read_bytes()
    lines = text.decode("ascii").split("\n")
    assert b"\r" not in text and lines[-1] == "" and len(lines) == 13
    assert set(lines[:-1]) < set((root / "query_info.txt").read_text().splitlines())
    read = queries(root, "prwmini_query_info.txt")
    assert len({number for number, _, _ in read}) == 12
    assert Counter(name[1] for _, _, name in read) == dict.fromkeys("123456", 2)


def test_real_mini_queries_have_the_same_form(root: Path, real_data: Path) -> None:
    text = (real_data / "prw" / "prwmini_query_info.txt").read_bytes().decode("ascii")
    assert all(QUERY_LINE.fullmatch(line) for line in text.removesuffix("\n").split("\n"))
    assert "\r" not in text


def test_crops_show_the_queries(root: Path) -> None:
    assert len(list((root / "query_box").iterdir())) == 32
    for number, box, name in queries(root):
        with (
            Image.open(root / "frames" / f"{name}.jpg") as frame,
            Image.open(root / "query_box" / f"{number}_{name}.jpg") as crop,
        ):
            x1, y1, x2, y2 = corners(box, *frame.size)
            assert crop.size == (x2 - x1, y2 - y1)
            difference = np.asarray(frame, int)[y1:y2, x1:x2] - np.asarray(crop, int)
        assert np.abs(difference).mean() < 8


def test_a_crop_ends_at_the_edge_of_the_frame(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    (tmp_path / "query_box").mkdir()
    Image.new("RGB", (40, 30), (200, 200, 200)).save(tmp_path / "frames" / "c1s1_000001.jpg")
    sighting = Sighting(0, (-2 * 64 - 32, -64, 20 * 64, 40 * 64), 100)  # x -2.5, y -1, 20 wide, 40 high
    cut_query(tmp_path, "7_c1s1_000001.jpg", "c1s1_000001", sighting)
    with Image.open(tmp_path / "query_box" / "7_c1s1_000001.jpg") as crop:
        assert crop.size == (17, 30)
        assert np.asarray(crop).min() > 190, "nothing from beyond the edge"


@pytest.mark.parametrize("seed", range(6))
def test_a_frame_with_an_id_twice_gives_no_query_of_it(seed: int) -> None:
    _, test = plan_watches(SPEC.model_copy(update={"seed": seed}))
    ids = {frame.name: [passer.identity for passer in frame.passers] for frame in test.frames}
    found = [(identity, name) for (identity, _), places in query_candidates(test).items() for name, _ in places]
    once = [(i, name) for name, there in ids.items() for i in there if i >= 0 and there.count(i) == 1]
    assert sorted(found) == sorted(once)
    assert sum(len(there) for there in ids.values()) > len(once)


def test_our_reader_finds_the_same(root: Path) -> None:
    train = registry.load_train("prw", root)
    assert train.identities == 12 and [image.name for image in train.images] == [
        f"{n}.jpg" for n in names(root, "train")
    ]
    for split, ids in ((train, TRAIN_IDS), (registry.load_pool("prw", root), TEST_IDS)):
        for image in split.images:
            _, rows = annotation(root, image.name.removesuffix(".jpg"))
            assert image.ids.tolist() == [ids.index(int(i)) if i > 0 else -1 for i in rows[:, 0]]
            assert image.boxes.tolist() == [list(corners(box, 9999, 9999)) for box in rows[:, 1:]]
    for name, count in (("prw", 32), ("prw_mini", 12)):
        for variant in ("official", "cross_camera"):
            protocol = registry.load_protocol(name, root, variant=variant)
            assert len(protocol.queries) == len(protocol.offsets) - 1 == count
            for begin, end in zip(protocol.offsets[:-1], protocol.offsets[1:], strict=True):
                inside = (protocol.positives >= begin) & (protocol.positives < end)
                assert inside.any(), "every query has a positive, in another camera too"


def test_bytes_do_not_depend_on_workers_date_or_place(root: Path, tmp_path: Path) -> None:
    write_prw(tmp_path / "again", SPEC, 2)
    assert hashes(tmp_path / "again") == hashes(root)
    for path in root.rglob("*.mat"):
        header = path.read_bytes()[:128]
        assert header[:19] == b"MATLAB 5.0 MAT-file" and b"Created" not in header
        assert header[124:] == b"\x00\x01IM"


def test_an_older_set_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "set"
    (target / "frames").mkdir(parents=True)
    (target / "frames/c1s1_999999.jpg").write_text("left over")
    small = SPEC.model_copy(
        update={
            "train_frames": 12,
            "train_identities": 2,
            "test_frames": 12,
            "test_identities": 8,
            "queries": 6,
            "mini_queries": 6,
        }
    )
    write_prw(target, small, 1)
    assert len(list((target / "frames").iterdir())) == 24


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"train_identities": 40}, "train_identities"),
        ({"test_identities": 34}, "test_identities"),
        ({"queries": 11}, "queries"),
        ({"queries": 85}, "queries"),
        ({"mini_queries": 18, "test_identities": 15}, "mini_queries"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_anything_is_written(
    tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(UserError, match=named):
        write_prw(tmp_path / "set", SPEC.model_copy(update=changes), 1)
    assert list(tmp_path.iterdir()) == []
