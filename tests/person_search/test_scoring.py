"""The metrics of a predictions file, on a tiny root, on a root with a protocol only, and on files that do not fit."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from distillery.cli import main
from distillery.errors import UserError
from distillery.files import sha256_of_file
from distillery.person_search.benchmarks import cuhk_sysu, registry
from distillery.person_search.predictions import (
    Detections,
    PairPredictions,
    Predictions,
    validated,
    write_predictions,
)
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


def test_annotated_people_give_a_second_number(root, perfect, tmp_path):
    results = tmp_path / "p.npz"
    missed = vars(perfect) | {"gallery_box": perfect.gallery_box + np.float32(500)}
    people = {f"true_{name}": getattr(perfect, f"gallery_{name}") for name in ("image", "box", "feature")}
    write_predictions(results, Predictions(**(missed | people)))
    metrics = score(root, results)
    assert metrics["numbers"]["map"] == 0 and metrics["numbers"]["recall"] == 0
    assert metrics["on_true_boxes"] == {"map": 1.0, "top1": 1.0, "top5": 1.0, "top10": 1.0}
    write_predictions(results, perfect)
    assert "on_true_boxes" not in score(root, results)


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


def pairs_of(found, protocol):
    """Every detection of the features, for every query, with the cosine as its similarity."""
    queries, count = len(protocol.queries), len(found.gallery_image)
    return PairPredictions(
        pair_query=np.repeat(np.arange(queries), count),
        pair_image=np.tile(found.gallery_image, queries),
        pair_box=np.tile(found.gallery_box, (queries, 1)),
        pair_score=np.tile(found.gallery_score, queries),
        pair_similarity=(found.query_feature @ found.gallery_feature.T).ravel(),
        query_run=np.ones(queries, bool),
    )


def test_pairs_have_search_scores(root, perfect, tmp_path):
    results = tmp_path / "p.npz"
    pairs = pairs_of(perfect, cuhk_sysu.load_protocol(root, 3))
    write_predictions(results, pairs)
    metrics = score(root, results)
    assert metrics["numbers"] == {"map": 1.0, "top1": 1.0, "top5": 1.0, "top10": 1.0}
    assert "no detections without a query" in metrics["note"] and list(metrics["by_gallery_size"]) == ["2", "3"]
    found = Detections(perfect.gallery_image, perfect.gallery_box, perfect.gallery_score)
    write_predictions(results, PairPredictions(**(dict(vars(pairs)) | {"gallery_size": 2, "detections": found})))
    metrics = score(root, results)
    assert metrics["numbers"]["ap"] == metrics["numbers"]["map"] == 1.0 and "note" not in metrics
    assert list(metrics["by_gallery_size"]) == ["2"] and metrics["gallery_size"] == 2
    refused(root, results, "galleries of 3 images were not run", gallery_sizes=[3])


def test_pairs_of_some_queries(root, perfect, tmp_path):
    results = tmp_path / "p.npz"
    pairs = dict(vars(pairs_of(perfect, cuhk_sysu.load_protocol(root, 3))))
    first = pairs["pair_query"] == 0
    kept = {name: value[first] for name, value in pairs.items() if name.startswith("pair")}
    write_predictions(results, PairPredictions(**kept, query_run=np.array([True, False])))
    refused(root, results, "array 'query_run'", "queries were not run in 1 rows", "--allow-partial")
    metrics = score(root, results, allow_partial=True)
    assert metrics["counts"]["queries"] == 1 and metrics["per_query"]["ap"] == [1.0, None]
    nothing = {name: value[:0] for name, value in kept.items()}
    write_predictions(results, PairPredictions(**nothing, query_run=np.zeros(2, bool)))
    refused(root, results, "no query was run", allow_partial=True)


def test_detections_alone(root, perfect, tmp_path):
    results = tmp_path / "p.npz"
    write_predictions(results, Detections(perfect.gallery_image, perfect.gallery_box, perfect.gallery_score))
    metrics = score(root, results)
    assert metrics["numbers"] == {"ap": 1.0, "recall": 1.0} and "Detection scores only" in metrics["note"]
    assert metrics["by_gallery_size"] == {} and metrics["counts"]["people"] == 6
    json.dumps(metrics, allow_nan=False)
    (root / cuhk_sysu.IMAGES).unlink()
    refused(root, results, "p.npz", "detections alone", "Images.mat")


def subset_of(size, query):
    image, box, gallery = builders.QUERIES[size][query]
    return image, box, gallery


def test_subsets_are_scored_with_the_same_features(root, perfect, tmp_path):
    results = tmp_path / "p.npz"
    write_predictions(results, perfect)
    assert score(root, results)["by_subset"] == {}
    builders.write_subset(root, "Occlusion.mat", "Occlusion1", [subset_of(3, 1)])
    stranger = ("s4.jpg", (60, 20, 40, 100), [("s3.jpg", (200, 20, 80, 150))])
    builders.write_subset(root, "Resolution.mat", "Test_Size", [stranger, subset_of(2, 0)])
    metrics = score(root, results)
    ones = {"map": 1.0, "top1": 1.0, "top5": 1.0, "top10": 1.0}
    assert metrics["by_subset"] == {"occlusion": ones, "resolution": ones}
    assert metrics["counts"]["queries_occlusion"] == metrics["counts"]["queries_resolution"] == 1
    assert "1 queries of Resolution.mat are no queries of TestG3" in metrics["note"]
    assert "annotation/test/subset/Occlusion.mat" in metrics["inputs"]
    # With the two queries' features exchanged each finds the other's person.
    write_predictions(results, Predictions(**(dict(vars(perfect)) | {"query_feature": perfect.query_feature[::-1]})))
    assert score(root, results)["by_subset"]["occlusion"]["top1"] == 0.0
    builders.write_subset(root, "Occlusion.mat", "Occlusion2", [subset_of(3, 1)])
    refused(root, results, "Occlusion.mat", "no variable 'Occlusion1'")


def test_a_subset_without_galleries_has_those_of_the_protocol(root, perfect, tmp_path):
    results = tmp_path / "p.npz"
    write_predictions(results, perfect)
    image, box, _ = subset_of(3, 1)
    builders.write_subset(root, "Occlusion.mat", "Occlusion1", [(image, box, [])])
    assert score(root, results)["by_subset"]["occlusion"]["map"] == 1.0
    builders.write_subset(root, "Occlusion.mat", "Occlusion1", [("s4.jpg", (60, 20, 40, 100), [])])
    metrics = score(root, results)
    assert metrics["by_subset"] == {} and metrics["counts"]["queries_occlusion"] == 0


@pytest.fixture
def prw_root(tmp_path):
    """Annotations, the list of test frames and queries; no image."""
    root = builders.write_prw_root(tmp_path / "PRW", images=False)
    (root / "frame_train.mat").unlink()
    return root


@pytest.fixture
def prw_truth(prw_root):
    pool = registry.load_pool("prw", prw_root, need_images=False)
    ids = np.concatenate([image.ids for image in pool.images])
    features = np.eye(pool.identities + 1, dtype=np.float32)
    return Predictions(
        gallery_image=np.repeat([image.name for image in pool.images], [len(image.ids) for image in pool.images]),
        gallery_box=np.concatenate([image.boxes for image in pool.images]),
        gallery_score=np.ones(len(ids), np.float32),
        gallery_feature=features[ids],
        query_feature=features[[query.identity for query in registry.load_queries("prw", prw_root)]],
    )


def test_prw_without_images(prw_root, prw_truth, tmp_path):
    """Query 485 ties with a second box of its id in c6s1_000008: AP 1/2; query 490 has no positive: 0."""
    results = tmp_path / "p.npz"
    write_predictions(results, prw_truth)
    metrics = score(prw_root, results, benchmark="prw")
    assert metrics["per_query"]["ap"] == [1.0, 0.5, 0.0]
    assert metrics["numbers"]["recall"] == 1.0 and metrics["numbers"]["map"] == pytest.approx(0.5)
    assert metrics["by_gallery_size"].keys() == {"full"} and "by_subset" not in metrics and "note" not in metrics
    assert metrics["counts"]["queries_without_positives"] == 1
    assert set(metrics["inputs"]) == {"p.npz", "annotations", "frame_test.mat", "query_info.txt"}
    cross = score(prw_root, results, benchmark="prw", protocol="cross_camera")
    assert cross["protocol"] == "cross_camera" and cross["counts"]["positives"] == 2
    json.dumps(metrics, allow_nan=False)
    refused(prw_root, results, "official, cross_camera", benchmark="prw", protocol="seqnet")
    refused(prw_root, results, "no galleries of 100", benchmark="prw", gallery_sizes=[100])
    refused(prw_root, results, "3 rows, prw_mini has 1 queries", benchmark="prw_mini")


def test_prw_mini_and_names_without_suffix(prw_root, prw_truth, tmp_path):
    results = tmp_path / "p.npz"
    (prw_root / "query_info.txt").unlink()
    mini = dict(vars(prw_truth)) | {"query_feature": prw_truth.query_feature[1:2]}
    write_predictions(results, Predictions(**mini))
    metrics = score(prw_root, results, benchmark="prw_mini")
    assert metrics["counts"]["queries"] == 1 and metrics["numbers"]["map"] == 0.5
    names = np.array([name.removesuffix(".jpg") for name in prw_truth.gallery_image])
    write_predictions(results, Predictions(**(mini | {"gallery_image": names})))
    refused(prw_root, results, "array 'gallery_image'", "'c1s1_000004.jpg'", benchmark="prw_mini")


def test_the_command(prw_root, prw_truth, tmp_path, capsys):
    write_predictions(tmp_path / "p.npz", prw_truth)
    options = ["--root", str(prw_root), "--results", str(tmp_path / "p.npz"), "--out", str(tmp_path / "m.json")]
    assert main(["score", "--benchmark", "prw", *options]) == 0
    assert "map: 0.5000" in capsys.readouterr().out
    assert json.loads((tmp_path / "m.json").read_text())["numbers"]["map"] == 0.5
    assert main(["score", "--benchmark", "prw_mini", *options]) == 1
    error = capsys.readouterr().err
    assert "p.npz" in error and "3 rows" in error and error.count("\n") == 1


def test_unknown_benchmark(root, tmp_path):
    refused(root, tmp_path / "p.npz", "'market'", "cuhk_sysu, prw, prw_mini", benchmark="market")
