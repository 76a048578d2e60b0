"""PRW's layout: a tiny root, the real training annotation and the real PRW-mini queries, broken roots."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
import scipy.io

from distillery.errors import UserError
from distillery.person_search.benchmarks import prw
from person_search import builders


@pytest.fixture
def root(tmp_path):
    return builders.write_prw_root(tmp_path / "PRW")


def test_training_ids_become_0_1_2_in_ascending_order(root):
    train = prw.load_train(root)
    assert train.identities == 3  # 2, 7 and 932
    assert {image.name: image.ids.tolist() for image in train.images} == {
        "c1s1_000001.jpg": [0, 2, -1],
        "c3s1_000002.jpg": [1, 0],
        "c6s1_000003.jpg": [2],
    }
    assert all(image.path.is_file() for image in train.images)


def test_boxes_are_cut_to_whole_pixels_after_the_sum_and_at_0(root):
    boxes = prw.load_train(root).images[0].boxes
    # int(-3.7) = -3 -> 0; int(-3.7 + 40.5) = 36; int(60.9 + 30.3) = 91, where 60 + 30 would be 90.
    assert boxes[:2].tolist() == [[0, 10, 36, 100], [60, 20, 91, 101]]
    assert boxes.dtype == np.float32


def test_queries_whatever_the_line_ends(root):
    queries = prw.load_queries(root, "prw")
    assert [query.image for query in queries] == ["c1s1_000004.jpg", "c1s1_000005.jpg", "c2s1_000007.jpg"]
    assert [query.identity for query in queries] == [0, 1, 2]
    assert queries[0].box.tolist() == [20, 20, 61, 121]
    (mini,) = prw.load_queries(root, "prw_mini")
    assert (mini.image, mini.identity) == ("c1s1_000005.jpg", 1)
    assert mini.box.tolist() == queries[1].box.tolist()


def shown(protocol, query):
    return {entry.image: None if entry.box is None else entry.box.tolist() for entry in protocol.gallery(query)}


def test_galleries_are_all_test_frames_but_the_querys_own(root):
    protocol = prw.load_protocol(root, "prw")
    assert protocol.gallery_size == -1 and len(protocol.images) == 5
    assert shown(protocol, 0) == {
        "c1s1_000005.jpg": [30, 20, 70, 120],
        "c2s1_000006.jpg": None,
        "c2s1_000007.jpg": [50, 20, 90, 120],
        "c6s1_000008.jpg": None,
    }
    assert shown(protocol, 1)["c6s1_000008.jpg"] == [60, 20, 100, 120]  # the first of the id's two boxes
    assert not any(shown(protocol, 2).values())  # 490 is in its own frame alone


def test_cross_camera_galleries(root):
    protocol = prw.load_protocol(root, "prw_mini", cross_camera=True)
    assert list(shown(protocol, 0)) == ["c2s1_000006.jpg", "c2s1_000007.jpg", "c6s1_000008.jpg"]
    assert len(protocol.positives) == 1


def test_an_annotation_without_images_is_enough(tmp_path):
    root = builders.write_prw_root(tmp_path / "PRW", images=False)
    (root / "query_info.txt").unlink()
    (root / "frame_train.mat").unlink()
    assert len(prw.load_protocol(root, "prw_mini").queries) == 1
    assert len(prw.load_test_pool(root).images) == 5


def test_small_whole_numbers_do_not_overflow(root):
    builders.write_prw_frame(root, "c1s1_000004", np.array([[84, 200, 20, 80, 250]], np.uint8))
    assert prw.read_frame(root, "c1s1_000004.jpg").boxes.tolist() == [[200, 20, 280, 270]]


def test_people_of_whom_nothing_lies_inside_are_left_out(root):
    builders.write_prw_frame(root, "c1s1_000004", [(5, -50, 3, 40, 90), (6, 5, 5, 0.4, 30), (7, 5, 5, 9, 9)])
    assert prw.read_frame(root, "c1s1_000004.jpg").ids.tolist() == [7]


def test_golden_facts_of_the_real_training_part(real_data, tmp_path):
    golden = json.loads((real_data / "golden.json").read_text())["prw"]["train"]
    listed = json.loads((real_data / "prw/train_pid.json").read_text())
    raw_ids = [*range(1, 479), *range(480, 484), 932]  # as the files of the set have them
    people: dict[int, list[list[float]]] = {image["id"]: [] for image in listed["images"]}
    for person in listed["annotations"]:
        number = -2 if person["person_id"] < 0 else raw_ids[person["person_id"]]
        people[person["image_id"]].append([number, *person["bbox"]])
    for image in listed["images"]:
        builders.write_prw_frame(tmp_path, image["file_name"].removesuffix(".jpg"), people[image["id"]])
    names = [image["file_name"].removesuffix(".jpg") for image in listed["images"]]
    builders.write_prw_lists(tmp_path, names, names[:1])
    train = prw.load_train(tmp_path)
    ids = np.concatenate([image.ids for image in train.images])
    assert len(train.images) == golden["frames"] and len(ids) == golden["boxes"]
    assert train.identities == golden["ids"] == len(set(ids.tolist()) - {-1})
    assert int((ids >= 0).sum()) == golden["labelled"] and int((ids < 0).sum()) == golden["unlabelled"]
    found = {image.name: image for image in train.images}
    expected: dict[str, list[int]] = {image["file_name"]: [] for image in listed["images"]}
    files = {image["id"]: image["file_name"] for image in listed["images"]}
    for person in listed["annotations"]:
        expected[files[person["image_id"]]].append(person["person_id"])
    assert all(found[name].ids.tolist() == wanted for name, wanted in expected.items())


def test_the_real_prw_mini_queries(real_data):
    golden = json.loads((real_data / "golden.json").read_text())["prw"]["prw_mini"]
    queries = prw.read_queries(real_data / "prw/prwmini_query_info.txt")
    assert len(queries) == golden["probes"] == len({identity for *_, identity in queries})
    cameras = Counter(prw.camera_of(image) for image, *_ in queries)
    assert cameras == dict.fromkeys(range(1, 7), golden["per_camera"])
    image, box, identity = queries[0]
    # 484 849.7009 619.8089 172.6134 440.8639 c2s1_159941
    assert (image, identity, box.tolist()) == ("c2s1_159941.jpg", 484, [849, 619, 1022, 1060])


def refused(action, *words):
    with pytest.raises(UserError) as caught:
        action()
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


def test_missing_and_truncated_files_are_named(root):
    file = root / "annotations/c2s1_000007.jpg.mat"
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    refused(lambda: prw.load_protocol(root, "prw"), str(file))
    file.unlink()
    refused(lambda: prw.load_protocol(root, "prw"), str(file), "does not exist")
    (root / "frame_test.mat").write_bytes(b"<html>404</html>")
    refused(lambda: prw.load_protocol(root, "prw"), "frame_test.mat", "not a MATLAB v5")
    (root / "query_info.txt").unlink()
    refused(lambda: prw.read_queries(root / "query_info.txt"), "query_info.txt", "does not exist")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (np.zeros((2, 4)), "(2, 4) instead of (N, 5)"),
        (np.array([[1, 2, np.nan, 4, 5]]), "impossible number"),
        (np.array([[1, 2, 3, 4, 5], [1, 2, 1e300, 4, 5]]), "row 2"),
        (np.array([[1.5, 2, 3, 4, 5]]), "the id 1.5"),
        (np.array(["text"]), "not a matrix"),
    ],
)
def test_annotations_that_cannot_be(root, rows, words):
    file = builders.write_prw_frame(root, "c1s1_000004", rows)
    refused(lambda: prw.load_test_pool(root), str(file), words)


def test_annotation_under_another_name(root):
    file = builders.write_prw_frame(root, "c1s1_000004", [(1, 2, 3, 4, 5)], "boxes")
    refused(lambda: prw.load_test_pool(root), str(file), "no variable 'box_new' or 'anno_file'", "'boxes'")


def test_the_first_name_counts_whatever_the_order_in_the_file(root):
    file = root / "annotations/c1s1_000004.jpg.mat"
    rows = {key: np.array([[number, 2, 3, 40, 50]], float) for number, key in enumerate(prw.KEYS, start=1)}
    scipy.io.savemat(file, dict(reversed(rows.items())))
    assert prw.read_frame(root, "c1s1_000004.jpg").ids.tolist() == [1]
    scipy.io.savemat(file, {key: rows[key] for key in ("anno_previous", "anno_file")}, do_compression=True)
    assert prw.read_frame(root, "c1s1_000004.jpg").ids.tolist() == [2]


def test_lists_that_cannot_be(root):
    builders.write_prw_lists(root, ["c1s1_000001"], ["c1s1_000004", "c1s1_000005", "c1s1_000004"])
    refused(lambda: prw.load_test_pool(root), "frame_test.mat", "c1s1_000004.jpg twice")
    builders.write_prw_lists(root, ["c1s1_000001"], ["../../secret"])
    refused(lambda: prw.load_test_pool(root), "frame_test.mat", "no plain file name")
    scipy.io.savemat(root / "frame_test.mat", {"img_index_test": np.eye(2)})
    refused(lambda: prw.load_test_pool(root), "frame_test.mat", "not a cell array")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "484 1 2 3 4",
        "x 1 2 3 4 c1s1_000004",
        "484 1 2 nan 4 c1s1_000004",
        "-2 1 2 3 4 c1s1_000004",
        "484 1,2 3 4 5 6",
    ],
)
def test_query_lines_that_cannot_be(root, line):
    file = root / "query_info.txt"
    file.write_text(f"{builders.PRW_QUERIES[0]}\n\n{line}\n" if line else "\n")
    words = ("line 3", "is not `id x y w h frame`") if line else ("holds no query",)
    refused(lambda: prw.load_protocol(root, "prw"), str(file), *words)
    file.write_bytes(b"\xff\xfe\x00")
    refused(lambda: prw.load_protocol(root, "prw"), str(file), "cannot be read as text")


def test_frames_without_a_camera_cannot_be_searched_across_cameras(root):
    builders.write_prw_lists(root, ["c1s1_000001"], ["c1s1_000004", "frame7"])
    builders.write_prw_frame(root, "frame7", [(484, 1, 1, 20, 50)])
    assert len(prw.load_protocol(root, "prw").images) == 2
    refused(lambda: prw.load_protocol(root, "prw", cross_camera=True), "'frame7.jpg'")
