"""CUHK-SYSU's layout: a tiny root, the real protocol and its golden facts, broken roots."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import scipy.io

from distillery.errors import UserError
from distillery.person_search.benchmarks import cuhk_sysu
from person_search import builders


@pytest.fixture
def root(tmp_path):
    return builders.write_root(tmp_path / "CUHK-SYSU")


@pytest.fixture(scope="module")
def real(real_data, tmp_path_factory):
    """A root that holds nothing but the real TestG100.mat."""
    root = tmp_path_factory.mktemp("real")
    folder = root / "annotation/test/train_test"
    folder.mkdir(parents=True)
    shutil.copy(real_data / "cuhk_sysu/TestG100.mat", folder)
    return cuhk_sysu.load_protocol(root, 100)


def test_train_images_are_sorted_and_labelled(root):
    train = cuhk_sysu.load_train(root)
    assert [image.name for image in train.images] == ["s1.jpg", "s10.jpg", "s2.jpg"]
    assert train.identities == 2
    assert [image.ids.tolist() for image in train.images] == [[1, 0], [1], [0]]
    assert all(image.path.is_file() for image in train.images)
    assert train.images[0].boxes.tolist() == [[10, 20, 50, 120], [100, 20, 140, 120]]
    assert train.images[0].boxes.dtype == np.float32


def test_test_pool_has_the_queries_as_identities(root):
    pool = cuhk_sysu.load_test_pool(root)
    assert {image.name: image.ids.tolist() for image in pool.images} == {
        "s3.jpg": [0, -1],
        "s4.jpg": [0],
        "s5.jpg": [1],  # its second box has no height and is dropped
        "s6.jpg": [1, -1],
    }
    assert pool.identities == 2


def test_byte_sized_boxes_do_not_overflow(root):
    protocol = cuhk_sysu.load_protocol(root, 2)
    assert protocol.queries[0].box.tolist() == [200, 20, 280, 170]  # 200 + 80 > 255


def test_sizes_and_galleries_in_file_order(root):
    assert cuhk_sysu.gallery_sizes(root) == [2, 3]
    gallery = cuhk_sysu.load_protocol(root, 3).gallery(1)
    assert [(e.image, None if e.box is None else e.box.tolist()) for e in gallery] == [
        ("s5.jpg", [20, 20, 60, 120]),
        ("s4.jpg", None),
        ("s3.jpg", None),
    ]


def test_the_whole_set_adds_the_pool_without_the_query_image(root):
    full = cuhk_sysu.load_protocol(root, cuhk_sysu.FULL_GALLERY)
    assert [[e.image for e in full.gallery(q)] for q in (0, 1)] == [
        ["s4.jpg", "s5.jpg", "s6.jpg"],
        ["s5.jpg", "s4.jpg", "s3.jpg"],
    ]
    assert [[e.box is not None for e in full.gallery(q)] for q in (0, 1)] == [[True, False, False]] * 2


def test_empty_gallery_and_query_without_positives(tmp_path):
    builders.write_protocol(tmp_path, 1, [("s1.jpg", (1, 1, 5, 5), []), ("s2.jpg", (1, 1, 5, 5), [("s1.jpg", None)])])
    protocol = cuhk_sysu.load_protocol(tmp_path, 1)
    assert protocol.gallery(0) == [] and len(protocol.positives) == 0 and len(protocol.gallery(1)) == 1


def test_golden_facts_of_the_real_protocol(real, real_data):
    golden = json.loads((real_data / "golden.json").read_text())["cuhk_sysu"]["TestG100"]
    galleries = [real.gallery(q) for q in range(len(real.queries))]
    assert len(galleries) == golden["queries"]
    assert {len(gallery) for gallery in galleries} == {100}
    assert len(real.positives) == golden["positives"]
    assert len(real.images) == golden["gallery_images"]
    assert len({query.image for query in real.queries}) == golden["distinct_query_images"]
    shown = [[entry.image for entry in gallery if entry.box is not None] for gallery in galleries]
    duplicates = [q for q, images in enumerate(shown) if len(set(images)) < len(images)]
    assert duplicates == golden["queries_with_duplicate_positive"]
    own = [q for q, images in enumerate(shown) if real.queries[q].image in images]
    assert own == golden["queries_with_own_image_as_positive"]
    pairs = {(name, tuple(box.tolist())) for name, box, _ in cuhk_sysu.test_appearances(real)}
    assert len(pairs) == golden["labelled_image_box_pairs"]


def test_real_protocol_equals_the_literal_reading_of_scipys(real, real_data):
    table = scipy.io.loadmat(real_data / "cuhk_sysu/TestG100.mat")["TestG100"]
    for q in range(0, 2900, 29):
        box = table[0, q]["Query"]["idlocate"][0, 0][0].astype(np.int32)
        box[2:] += box[:2]
        np.testing.assert_array_equal(real.queries[q].box, box)
        for entry, item in zip(real.gallery(q), table[0, q]["Gallery"].squeeze(), strict=True):
            assert entry.image == str(item[0][0])
            box = item[1][0].astype(np.int32)
            assert (entry.box is None) == (box.size == 0)
            if box.size:
                box[2:] += box[:2]
                np.testing.assert_array_equal(entry.box, box)


def refused(action, *words):
    with pytest.raises(UserError) as caught:
        action()
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["Images.mat", "pool.mat", "test/train_test/Train.mat"])
def test_missing_and_truncated_annotations_are_named(root, name):
    file = root / "annotation" / name
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    refused(lambda: cuhk_sysu.load_train(root), str(file))
    file.unlink()
    refused(lambda: cuhk_sysu.load_train(root), str(file), "does not exist")


def test_root_without_protocols(tmp_path):
    refused(lambda: cuhk_sysu.gallery_sizes(tmp_path), "holds no TestG*.mat")
    refused(lambda: cuhk_sysu.load_protocol(tmp_path, 100), "TestG100.mat", "does not exist")


def test_wrong_variable_and_wrong_fields(tmp_path):
    file = builders.write_protocol(tmp_path, 1, [("s1.jpg", (1, 1, 5, 5), [])], name="TestG2")
    refused(lambda: cuhk_sysu.load_protocol(tmp_path, 1), str(file), "no variable 'TestG1'", "'TestG2'")
    scipy.io.savemat(file, {"TestG1": builders.struct([("Query", "O")], [("s1.jpg",)])})
    refused(lambda: cuhk_sysu.load_protocol(tmp_path, 1), str(file), "field 'Gallery'")
    scipy.io.savemat(file, {"TestG1": np.eye(3)})
    refused(lambda: cuhk_sysu.load_protocol(tmp_path, 1), str(file), "is not a struct")


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((1, 2, 3), "3 numbers instead of 4"),
        ((1, 2, 3, 0), "without area"),
        (np.array([[1, 2, np.nan, 4]]), "impossible box"),
        (np.array([[1, 2, 1e300, 4]]), "impossible box"),
        ("text", "not made of numbers"),
        (None, "has no box"),
    ],
)
def test_query_boxes_that_cannot_be(tmp_path, monkeypatch, box, words):
    if isinstance(box, np.ndarray | str):
        monkeypatch.setattr(builders, "stored", lambda value: value)
    file = builders.write_protocol(tmp_path, 1, [("s1.jpg", (1, 1, 5, 5), []), ("s1.jpg", box, [])][1:])
    refused(lambda: cuhk_sysu.load_protocol(tmp_path, 1), str(file), "TestG1(1).Query", words)


@pytest.mark.parametrize("name", ["../../secret.jpg", "/etc/passwd", ".hidden", "a\\b.jpg"])
def test_image_names_cannot_leave_the_root(tmp_path, name):
    builders.write_protocol(tmp_path, 1, [("s1.jpg", (1, 1, 5, 5), [(name, None)])])
    refused(lambda: cuhk_sysu.load_protocol(tmp_path, 1), "TestG1(1).Gallery", "no plain file name")


def test_pool_image_that_images_mat_lacks(root):
    scipy.io.savemat(root / "annotation/pool.mat", {"pool": builders.cell(["s3.jpg", "s99.jpg"])})
    refused(lambda: cuhk_sysu.load_test_pool(root), "Images.mat", "s99.jpg")


def test_queries_in_another_order_are_refused(root):
    builders.write_protocol(root, 3, builders.QUERIES[3][::-1])
    first, second = (cuhk_sysu.load_protocol(root, size) for size in (2, 3))
    refused(lambda: cuhk_sysu.check_same_queries(first, second), "query 1 of TestG3", "TestG2")
    builders.write_protocol(root, 3, builders.QUERIES[3][:1])
    shorter = cuhk_sysu.load_protocol(root, 3)
    refused(lambda: cuhk_sysu.check_same_queries(first, shorter), "query 2")
    cuhk_sysu.check_same_queries(first, first)
