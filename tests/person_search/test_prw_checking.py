"""What the check of a PRW root finds."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import scipy.io

from distillery import datasets
from distillery.config.data import EmbeddedPRW
from distillery.data.worlds.prw import write_prw
from distillery.errors import UserError
from distillery.person_search.benchmarks import registry
from distillery.person_search.predictions import validated, write_predictions
from distillery.person_search.scoring import score
from person_search import builders

check = partial(datasets.check, "prw")


@pytest.fixture
def root(tmp_path):
    return builders.write_prw_root(tmp_path / "PRW")


def test_a_whole_root_has_no_fault(root):
    report = check(root)
    assert report.ok, report.faults
    assert report.counts == {
        "train_frames": 3,
        "train_boxes": 6,
        "train_identities": 3,
        "test_frames": 5,
        "test_boxes": 8,
        "test_identities": 3,
        "queries_prw": 3,
        "queries_prw_mini": 1,
    }
    assert report.decoded == report.listed == 8
    assert any("1 queries have no positive" in note for note in report.notes)
    assert len(report.notes) == 1
    assert check(root, images="sample").ok


def truncated_image(root):
    file = root / "frames/c1s1_000004.jpg"
    file.write_bytes(file.read_bytes()[:-2000])


def lost_image(root):
    (root / "frames/c1s1_000004.jpg").unlink()


def lost_annotation(root):
    (root / "annotations/c1s1_000002.jpg.mat").unlink(missing_ok=True)
    (root / "annotations/c3s1_000002.jpg.mat").unlink()


def box_outside(root):
    builders.write_prw_frame(root, "c3s1_000002", [(7, 400, 20, 40, 100), (2, 1, 1, 20, 50), (932, 1, 1, 20, 50)])


def frame_in_both(root):
    builders.write_prw_lists(root, [*builders.PRW_TRAIN, "c2s1_000006"], list(builders.PRW_TEST))


def person_in_both(root):
    builders.write_prw_frame(root, "c6s1_000003", [(932, 20, 20, 40, 90), (484, 50, 20, 40, 90)])


def nobody_labelled(root):
    for name in builders.PRW_TRAIN:
        builders.write_prw_frame(root, name, [(-2, 20, 20, 40, 90)])


def no_queries(root):
    (root / "query_info.txt").unlink()


def no_frames(root):
    (root / "frames").rename(root / "images")


def wrong_list(root):
    scipy.io.savemat(root / "frame_test.mat", {"wrong": 1})


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncated_image, ("c1s1_000004.jpg", "truncated")),
        (lost_image, ("c1s1_000004.jpg", "does not exist")),
        (lost_annotation, ("c3s1_000002.jpg.mat", "does not exist")),
        (box_outside, ("c3s1_000002.jpg", "[400, 20, 440, 120] is outside the image (300 x 200")),
        (frame_in_both, ("1 frames are both in training and in test", "c2s1_000006.jpg")),
        (person_in_both, ("1 people are both", "id 484")),
        (nobody_labelled, ("frame_train.mat", "nobody")),
        (no_queries, ("query_info.txt", "does not exist")),
        (no_frames, ("frames", "does not exist")),
        (wrong_list, ("frame_test.mat", "no variable 'img_index_test'")),
    ],
)
def test_each_fault_is_found_and_named(root, damage, words):
    damage(root)
    report = check(root)
    assert len(report.faults) == 1, report.faults
    assert all(word in report.faults[0] for word in words), report.faults


def test_what_is_worth_knowing_is_a_note(root):
    (root / "prwmini_query_info.txt").unlink()
    (root / "frames/extra.jpg").touch()
    scipy.io.savemat(root / "ID_train.mat", {"ID_train": np.array([[2, 7, 8]])})
    (root / "query_info.txt").write_text("485 121.0 20.0 40.0 100.0 c1s1_000005\n484 1 1 20 50 c4s1_999999\n")
    report = check(root)
    assert report.ok, report.faults
    for words in ("PRW-mini cannot be scored", "extra.jpg", "2 ids", "1 boxes equal no", "1 queries are in frames"):
        assert any(words in note for note in report.notes), (words, report.notes)


def test_absent_and_empty_roots(root, tmp_path):
    with pytest.raises(UserError, match="does not exist; pass the folder that holds prw"):
        check(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    assert [fault.split(":")[0].split("/")[-1] for fault in check(tmp_path / "empty").faults] == [
        "frame_train.mat",
        "frame_test.mat",
        "query_info.txt",
        "frames",
    ]


def test_the_embedded_world_is_whole_and_its_truth_scores(tmp_path):
    sizes = {"train_frames": 14, "train_identities": 4, "test_frames": 18, "test_identities": 6}
    spec = EmbeddedPRW(source="embedded", seed=3, width=160, height=120, **sizes, queries=8, mini_queries=6)
    root = tmp_path / "prw"
    write_prw(root, spec, workers=1)
    report = check(root)
    assert report.ok, report.faults
    assert report.decoded == 32 and report.counts["queries_prw_mini"] == 6
    assert registry.load_train("prw", root).identities == 4
    pool, queries = registry.load_pool("prw", root), registry.load_queries("prw_mini", root)
    ids = np.concatenate([image.ids for image in pool.images])
    truth = {
        "gallery_image": np.repeat([image.name for image in pool.images], [len(image.ids) for image in pool.images]),
        "gallery_box": np.concatenate([image.boxes for image in pool.images]),
        "gallery_score": np.ones(len(ids)),
        "gallery_feature": np.eye(pool.identities + 1)[ids],
        "query_feature": np.eye(pool.identities + 1)[[query.identity for query in queries]],
    }
    write_predictions(tmp_path / "p.npz", validated(truth))
    numbers = score(root, tmp_path / "p.npz", benchmark="prw_mini")["numbers"]
    assert numbers["recall"] == numbers["ap"] == 1.0
    assert numbers["map"] > 0.9  # not 1 where an id stands twice in a frame
