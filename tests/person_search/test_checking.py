"""What the check of a root finds."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import scipy.io

from distillery import datasets
from distillery.config.data import EmbeddedCUHKSYSU
from distillery.data.worlds.cuhk_sysu import write_cuhk_sysu
from distillery.errors import UserError
from distillery.person_search.benchmarks.cuhk_sysu import load_train
from distillery.person_search.histogram import histogram_predictions
from distillery.person_search.predictions import write_predictions
from distillery.person_search.scoring import score
from person_search import builders

check = partial(datasets.check, "cuhk_sysu")


@pytest.fixture
def root(tmp_path):
    return builders.write_root(tmp_path / "CUHK-SYSU")


def test_a_whole_root_has_no_fault(root):
    report = check(root)
    assert report.ok and report.faults == [] and report.notes == []
    assert report.counts == {
        "images": 7,
        "boxes": 10,
        "test_images": 4,
        "train_images": 3,
        "train_identities": 2,
        "queries_TestG2": 2,
        "queries_TestG3": 2,
    }
    assert report.decoded == report.listed == 7
    assert check(root, images="sample").ok


def test_a_root_with_a_protocol_only(tmp_path):
    builders.write_protocol(tmp_path, 1, [("s1.jpg", (1, 1, 5, 5), [("s2.jpg", (1, 1, 5, 5))])])
    report = check(tmp_path)
    assert [fault.split(":")[0].split("/")[-1] for fault in report.faults] == [
        "Images.mat",
        "pool.mat",
        "Train.mat",
        "SSM",
    ]
    assert report.counts == {"queries_TestG1": 1}


def test_an_absent_root(tmp_path):
    with pytest.raises(UserError, match="does not exist; pass the folder that holds cuhk_sysu"):
        check(tmp_path / "absent")


def truncate(root):
    file = root / "Image/SSM/s4.jpg"
    file.write_bytes(file.read_bytes()[:-2000])


def text_instead(root):
    (root / "Image/SSM/s4.jpg").write_text("<html>404</html>")


def remove(root):
    (root / "Image/SSM/s4.jpg").unlink()


def wrong_mat(root):
    scipy.io.savemat(root / "annotation/pool.mat", {"wrong": 1})


def short_gallery(root):
    builders.write_protocol(root, 3, builders.QUERIES[2])


def other_order(root):
    builders.write_protocol(root, 3, builders.QUERIES[3][::-1])


def box_outside(root):
    boxes = builders.BOXES | {"s4.jpg": [(60, 20, 40, 100), (290, 20, 40, 100)]}
    builders.write_annotations(root, boxes, builders.POOL, builders.PEOPLE)


def unknown_image(root):
    builders.write_annotations(root, builders.BOXES, [*builders.POOL, "s77.jpg"], builders.PEOPLE)


def train_in_pool(root):
    builders.write_annotations(root, builders.BOXES, [*builders.POOL, "s1.jpg"], builders.PEOPLE)


def no_images(root):
    (root / "Image").rename(root / "images")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncate, ("s4.jpg", "truncated")),
        (text_instead, ("s4.jpg", "not a JPEG or PNG")),
        (remove, ("s4.jpg", "does not exist")),
        (wrong_mat, ("pool.mat", "no variable 'pool'")),
        (short_gallery, ("TestG3.mat", "2 queries have no gallery of 3")),
        (other_order, ("TestG3.mat", "query 1 of TestG3")),
        (box_outside, ("s4.jpg", "[290, 20, 330, 120] is outside the image (300 x 200")),
        (unknown_image, ("pool.mat", "s77.jpg")),
        (train_in_pool, ("Train.mat", "in the test pool", "s1.jpg")),
        (no_images, ("Image/SSM", "does not exist")),
    ],
)
def test_each_fault_is_found_and_named(root, damage, words):
    damage(root)
    report = check(root)
    assert len(report.faults) == 1, report.faults
    assert all(word in report.faults[0] for word in words), report.faults
    assert not report.ok


def test_subsets_are_checked(root):
    builders.write_subset(root, "Occlusion.mat", "Occlusion1", [builders.QUERIES[3][0]])
    builders.write_subset(root, "Resolution.mat", "Test_Size", [("s4.jpg", (60, 20, 40, 100), [])])
    report = check(root)
    assert report.ok and report.counts["queries_occlusion"] == report.counts["queries_resolution"] == 1
    assert [note for note in report.notes if "Resolution.mat: 1 queries are no queries of TestG2" in note]
    builders.write_subset(root, "Occlusion.mat", "Wrong", [builders.QUERIES[3][0]])
    assert "no variable 'Occlusion1'" in check(root).faults[0]


def test_labels_without_a_box_and_unlisted_files_are_notes(root):
    people = [[*builders.PEOPLE[0], ("s2.jpg", (31, 20, 40, 100))], builders.PEOPLE[1]]
    builders.write_annotations(root, builders.BOXES, builders.POOL, people)
    (root / "Image/SSM/extra.jpg").touch()
    report = check(root)
    assert report.ok
    assert any("1 labelled boxes" in note for note in report.notes)
    assert any("extra.jpg" in note for note in report.notes)


def test_the_embedded_street_world_is_whole_and_its_baseline_scores(tmp_path):
    spec = EmbeddedCUHKSYSU(
        source="embedded",
        seed=3,
        train_images=8,
        train_identities=3,
        test_images=10,
        test_identities=4,
        gallery_sizes=(6, 8),
    )
    root = tmp_path / "cuhk_sysu"
    write_cuhk_sysu(root, spec, workers=1)
    report = check(root)
    assert report.ok, report.faults
    assert report.notes == []
    assert report.decoded == 18 and report.counts["train_identities"] == 3
    labelled = np.concatenate([image.ids for image in load_train(root).images])
    assert set(labelled.tolist()) == {-1, 0, 1, 2}
    predictions = histogram_predictions(root)
    write_predictions(tmp_path / "p.npz", predictions)
    metrics = score(root, tmp_path / "p.npz")
    assert metrics["numbers"]["recall"] == 1.0 and 0 < metrics["numbers"]["map"] < 1
    assert list(metrics["by_gallery_size"]) == ["6", "8"]
