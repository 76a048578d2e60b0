"""The metrics of a predictions file, on a tiny root, on a root with a protocol only, and on files that do not fit."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from distillery.errors import UserError
from distillery.files import sha256_of_file
from distillery.person_search.benchmarks import cuhk_sysu
from distillery.person_search.predictions import Predictions, validated, write_predictions
from distillery.person_search.scoring import score
from person_search import builders


@pytest.fixture
def root(tmp_path):
    return builders.write_root(tmp_path / "CUHK-SYSU")


@pytest.fixture
def perfect(root):
    """The true boxes, with the identity as feature."""
    pool = cuhk_sysu.load_test_pool(root)
    ids = np.concatenate([image.ids for image in pool.images])
    return Predictions(
        gallery_image=np.repeat([image.name for image in pool.images], [len(image.ids) for image in pool.images]),
        gallery_box=np.concatenate([image.boxes for image in pool.images]),
        gallery_score=np.ones(len(ids), np.float32),
        gallery_feature=np.eye(3, dtype=np.float32)[ids],
        query_feature=np.eye(3, dtype=np.float32)[:2],
    )


def test_perfect_predictions_score_one(root, perfect, tmp_path):
    results = tmp_path / "p.npz"
    write_predictions(results, perfect)
    metrics = score(root, results, gallery_sizes=[2, 3, -1])
    ones = {"map": 1.0, "top1": 1.0, "top5": 1.0, "top10": 1.0}
    assert metrics["numbers"] == pytest.approx(ones | {"ap": 1.0, "recall": 1.0})
    assert metrics["by_gallery_size"] == {"2": ones, "3": ones, "full": ones}
    assert metrics["gallery_size"] == -1 and "note" not in metrics
    assert metrics["counts"]["people"] == 6 and metrics["counts"]["queries"] == 2
    assert metrics["per_query"] == {"image": ["s3.jpg", "s6.jpg"], "ap": [1.0, 1.0], "best_rank": [1, 1]}
    assert metrics["inputs"]["p.npz"] == sha256_of_file(results)
    assert set(metrics["inputs"]) == {
        "p.npz",
        "annotation/Images.mat",
        "annotation/pool.mat",
        "annotation/test/train_test/TestG2.mat",
        "annotation/test/train_test/TestG3.mat",
    }
    json.dumps(metrics, allow_nan=False)


def test_all_sizes_by_default_and_the_largest_as_headline(root, perfect, tmp_path):
    write_predictions(tmp_path / "p.npz", perfect)
    metrics = score(root, tmp_path / "p.npz", protocol="seqnet")
    assert list(metrics["by_gallery_size"]) == ["2", "3"] and metrics["gallery_size"] == 3
    assert metrics["protocol"] == "seqnet" and metrics["benchmark"] == "cuhk_sysu"


def test_a_root_that_holds_only_the_real_protocol(real_data, tmp_path):
    folder = tmp_path / "root" / cuhk_sysu.PROTOCOLS
    folder.mkdir(parents=True)
    shutil.copy(real_data / "cuhk_sysu/TestG100.mat", folder)
    protocol = cuhk_sysu.load_protocol(tmp_path / "root", 100)
    seen = list(cuhk_sysu.test_appearances(protocol))
    features = np.random.default_rng(0).normal(size=(2900, 64))
    truth = validated(
        {
            "gallery_image": np.array([name for name, *_ in seen]),
            "gallery_box": np.array([box for _, box, _ in seen]),
            "gallery_score": np.ones(len(seen)),
            "gallery_feature": features[[identity for *_, identity in seen]],
            "query_feature": features,
        }
    )
    write_predictions(tmp_path / "p.npz", truth)
    metrics = score(tmp_path / "root", tmp_path / "p.npz")
    assert metrics["numbers"].keys() == {"map", "top1", "top5", "top10"}
    # Truth finds everybody, but where a person stands twice in one image one of the two equal boxes is a miss.
    imperfect = [q for q, ap in enumerate(metrics["per_query"]["ap"]) if ap < 1]
    assert set(imperfect) <= {1250, 1633, 1997, 2561, 493, 2132} and metrics["numbers"]["map"] > 0.999
    assert "Search scores only" in metrics["note"] and metrics["counts"]["positives"] == 5447


def refused(root, results, *words, **options):
    with pytest.raises(UserError) as caught:
        score(root, results, **options)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


def test_predictions_that_do_not_fit(root, perfect, tmp_path):
    results = tmp_path / "p.npz"
    fields = dict(vars(perfect))
    write_predictions(results, Predictions(**(fields | {"query_feature": np.ones((5, 3), np.float32)})))
    refused(root, results, "p.npz", "array 'query_feature'", "5 rows", "2 queries")
    names = np.array([f"Image/SSM/{name}" for name in perfect.gallery_image])
    write_predictions(results, Predictions(**(fields | {"gallery_image": names})))
    refused(root, results, "array 'gallery_image'", "without folder")


def test_partial_predictions(root, perfect, tmp_path):
    results = tmp_path / "p.npz"
    features = perfect.query_feature.copy()
    features[1] = np.nan
    write_predictions(results, Predictions(**(dict(vars(perfect)) | {"query_feature": features})))
    refused(root, results, "NaN in 1 rows", "--allow-partial")
    metrics = score(root, results, allow_partial=True)
    assert metrics["counts"]["queries"] == 1 and metrics["counts"]["queries_not_run"] == 1
    assert metrics["numbers"]["map"] == 1.0 and metrics["per_query"]["ap"] == [1.0, None]
    features[:] = np.nan
    write_predictions(results, Predictions(**(dict(vars(perfect)) | {"query_feature": features})))
    refused(root, results, "no query was run", allow_partial=True)


def test_unknown_protocol_and_size(root, perfect, tmp_path):
    results = tmp_path / "p.npz"
    write_predictions(results, perfect)
    refused(root, results, "'seqnet2'", "official, seqnet", protocol="seqnet2")
    refused(root, results, "TestG100.mat", "choose among 2, 3", gallery_sizes=[100])
    refused(root, tmp_path / "absent.npz", "absent.npz", "does not exist")
    refused(tmp_path, results, "holds no TestG*.mat")
    (root / cuhk_sysu.IMAGES).write_bytes(b"rubbish")
    refused(root, results, "Images.mat", "not a MATLAB v5")
