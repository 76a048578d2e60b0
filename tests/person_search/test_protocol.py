"""Scores against a literal reference, hand-worked cases, the real protocol and a published model's results."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from distillery.person_search import evidence
from distillery.person_search import protocol as scoring
from distillery.person_search.benchmarks import cuhk_sysu, prw
from distillery.person_search.benchmarks.base import Protocol, Query, SearchImage
from distillery.person_search.benchmarks.cuhk_protocols import chosen_queries
from distillery.person_search.predictions import Detections, validated, validated_form
from distillery.person_search.protocol import average_precision, detection_scores, iou_threshold, search_scores
from person_search import builders, reference


def make_protocol(queries, size=0):
    """queries: [(image, [(image, x1 y1 x2 y2 or None), ...]), ...]."""
    images = sorted({name for _, gallery in queries for name, _ in gallery})
    flat = [entry for _, gallery in queries for entry in gallery]
    boxes = [box for _, box in flat if box is not None]
    return Protocol(
        name="test",
        gallery_size=size,
        queries=[Query(image, np.zeros(4, np.float32), i) for i, (image, _) in enumerate(queries)],
        images=images,
        offsets=np.cumsum([0, *(len(gallery) for _, gallery in queries)]).astype(np.int64),
        entries=np.array([images.index(name) for name, _ in flat], np.int32),
        positives=np.array([i for i, (_, box) in enumerate(flat) if box is not None], np.int64),
        positive_boxes=np.array(boxes, np.float32).reshape(-1, 4),
    )


def make_predictions(detections, queries):
    """detections: [(image, box, score, feature), ...]."""
    columns = list(zip(*detections, strict=True)) if detections else [[], np.empty((0, 4)), [], np.empty((0, 2))]
    names = ("gallery_image", "gallery_box", "gallery_score", "gallery_feature")
    arrays = {name: np.asarray(column) for name, column in zip(names, columns, strict=True)}
    return validated(arrays | {"query_feature": np.asarray(queries, float)})


@st.composite
def searches(draw):
    """Random galleries with duplicates, absent people, images without detections, detections below the threshold."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    names = [f"s{i}.jpg" for i in range(draw(st.integers(1, 8)))]
    homes = {name: rng.integers(0, 60, 4) for name in [*names, "elsewhere.jpg"]}

    def place(name):
        x, y, w, h = homes[name] + (0, 0, 12, 20) + rng.integers(-6, 7, 4)
        return [x, y, x + max(w, 1), y + max(h, 1)]

    queries = []
    for _ in range(draw(st.integers(1, 5))):
        gallery = [
            (name, place(name) if rng.random() < 0.6 else None) for name in rng.choice(names, rng.integers(0, 10))
        ]
        queries.append(("s0.jpg", gallery))
    dimensions = draw(st.integers(2, 6))
    detections = [
        (name, place(name), rng.uniform(0.3, 1), rng.normal(size=dimensions))
        for name in rng.choice([*names, "elsewhere.jpg"], draw(st.integers(1, 30)))
    ]
    return make_protocol(queries), make_predictions(detections, rng.normal(size=(len(queries), dimensions)))


def agree(protocol, predictions, variant):
    ours = search_scores(protocol, predictions, variant=variant)
    expected, *tops, precisions = reference.search(protocol, predictions, variant)
    np.testing.assert_allclose(ours.average_precision, precisions, atol=1e-9)
    assert ours.map == pytest.approx(expected, abs=1e-9)
    assert [ours.top[k] for k in (1, 5, 10)] == pytest.approx(tops)


@settings(max_examples=200, deadline=None)
@given(case=searches(), variant=st.sampled_from(scoring.VARIANTS))
def test_search_equals_the_literal_reference(case, variant):
    agree(*case, variant)


@settings(max_examples=40, deadline=None)
@given(case=searches(), pairs=st.integers(1, 20))
def test_blocks_and_matrix_products_change_nothing(case, pairs):
    whole = search_scores(*case)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "BLOCK_PAIRS", pairs)
        patch.setattr(evidence, "DENSE_QUERIES", 1)
        blocked = search_scores(*case)
    np.testing.assert_allclose(blocked.average_precision, whole.average_precision, atol=1e-9)


BOX = [0, 0, 40, 100]
ODD_QUERIES = [1250, 1633, 1997, 2561, 493, 2132]
"""Queries of the real protocol that list a positive image twice (the first four) or their own image."""
AWAY = [200, 0, 240, 100]


def as_pairs(protocol, predictions, *, shuffled=0):
    """The same predictions as detections of each pair that the protocol looks at."""
    features, probes = reference.unit(predictions.gallery_feature), reference.unit(predictions.query_feature)
    rows = [
        (q, d)
        for q in range(len(protocol.queries))
        for d, name in enumerate(predictions.gallery_image)
        if str(name) in {entry.image for entry in protocol.gallery(q)}
    ]
    rows = [rows[i] for i in np.random.default_rng(shuffled).permutation(len(rows))]
    queries, found = np.array(rows, int).reshape(-1, 2).T
    return validated_form(
        {
            "pair_query": queries,
            "pair_image": predictions.gallery_image[found],
            "pair_box": predictions.gallery_box[found],
            "pair_score": predictions.gallery_score[found],
            "pair_similarity": np.array([np.dot(features[d], probes[q]) for q, d in rows]),
            "query_run": np.ones(len(protocol.queries), bool),
        }
    )


@settings(max_examples=100, deadline=None)
@given(case=searches(), variant=st.sampled_from(scoring.VARIANTS), pairs=st.integers(1, 50))
def test_pairs_score_as_the_features_that_they_come_from(case, variant, pairs):
    protocol, predictions = case
    expected = search_scores(protocol, predictions, variant=variant)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "BLOCK_PAIRS", pairs)
        found = search_scores(protocol, as_pairs(protocol, predictions), variant=variant)
    np.testing.assert_allclose(found.average_precision, expected.average_precision, atol=1e-9)
    assert found.best_rank.tolist() == expected.best_rank.tolist()


@settings(max_examples=60, deadline=None)
@given(case=searches(), variant=st.sampled_from(scoring.VARIANTS), share=st.sampled_from([0, 10**9]))
def test_one_product_and_image_by_image_agree(case, variant, share):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "_DENSE_SHARE", share)
        agree(*case, variant)


@settings(max_examples=60, deadline=None)
@given(case=searches(), seed=st.integers(0, 99))
def test_some_queries_alone_score_as_among_all(case, seed):
    protocol, predictions = case
    rows = np.random.default_rng(seed).integers(0, len(protocol.queries), 3)
    some = search_scores(chosen_queries(protocol, rows), predictions, query_rows=rows)
    whole = search_scores(protocol, predictions)
    np.testing.assert_allclose(some.average_precision, whole.average_precision[rows], atol=1e-9)
    pairs = search_scores(chosen_queries(protocol, rows), as_pairs(protocol, predictions), query_rows=rows)
    np.testing.assert_allclose(pairs.average_precision, whole.average_precision[rows], atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cross_camera=st.booleans())
def test_prw_equals_the_literal_reference(tmp_path_factory, seed, cross_camera):
    """Random frames of three cameras with ids, several boxes of one id, unlabelled people and nobody at all."""
    rng = np.random.default_rng(seed)
    names = [f"c{rng.integers(1, 4)}s1_{i:06d}" for i in range(8)]

    def row(identity):
        return (identity, *rng.uniform(-10, 40, 2).round(1), *rng.uniform(12, 40, 2).round(1))

    frames = {name: [row(rng.choice([3, 5, 11, -2])) for _ in range(rng.integers(0, 4))] for name in names}
    root = tmp_path_factory.mktemp("prw")
    builders.write_prw_lists(root, names[:1], names)
    for name, rows in frames.items():
        builders.write_prw_frame(root, name, rows)
    places = [("3", names[0]), ("5", names[1]), ("11", names[2]), ("99", names[3]), ("5", "c1s1_999999")]
    lines = [f"{identity} 1.5 2.5 20.0 30.0 {name}" for identity, name in places]
    (root / "query_info.txt").write_text("\n".join(lines))
    detections = []
    for name in rng.choice(names, rng.integers(0, 25)):
        _, x, y, w, h = frames[name][0] if frames[name] and rng.random() < 0.7 else row(0)
        detections.append(
            (f"{name}.jpg", [x, y, x + w, y + h + rng.integers(0, 4)], rng.uniform(0.4, 1), rng.normal(size=4))
        )
    predictions = make_predictions(detections, rng.normal(size=(5, 4 if detections else 2)))
    scores = search_scores(prw.load_protocol(root, "prw", cross_camera=cross_camera), predictions)
    precisions, ranks = reference.prw(frames, lines, predictions, cross_camera=cross_camera)
    np.testing.assert_allclose(scores.average_precision, precisions, atol=1e-9)
    assert scores.best_rank.tolist() == ranks.tolist()


def test_an_image_listed_twice_scores_the_same_number_twice():
    """Where one of two equal entries is a hit and the other is not, they tie: AP is 1/2, wherever the hit stands."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        order = [BOX, None] if rng.random() < 0.5 else [None, BOX]
        gallery = [("a.jpg", box) for box in order]
        others = [(f"n{i}.jpg", None) for i in range(9)]
        protocol = make_protocol([("q.jpg", gallery), ("q.jpg", others), ("q.jpg", gallery + others[:1])])
        features = rng.normal(size=(10, 37))
        names = ["a.jpg", *(name for name, _ in others)]
        predictions = make_predictions(
            [(name, BOX, 1.0, feature) for name, feature in zip(names, features, strict=True)], features[[0, 1, 0]]
        )
        scores = search_scores(protocol, predictions)
        assert scores.average_precision.tolist() == [0.5, 0.0, 0.5] and scores.best_rank.tolist() == [2, 0, 2]


def test_detections_alone_have_detection_scores():
    images = [SearchImage("a.jpg", Path("a.jpg"), np.array([BOX], np.float32), np.array([0]))]
    found = Detections(np.array(["a.jpg"]), np.array([BOX], np.float32), np.ones(1, np.float32))
    assert detection_scores(images, found).ap == 1.0


def test_worked_example():
    """Ranking of the query: hit (0.9), miss (0.8), hit (0.5); a third appearance has no detection.

    AP = (1/1 + 2/3) / 2 of two hits, times recall 2/3: 5/9.
    """
    protocol = make_protocol([("q.jpg", [("a.jpg", BOX), ("b.jpg", BOX), ("c.jpg", BOX), ("d.jpg", None)])])
    angle = [[x, np.sqrt(1 - x * x)] for x in (0.9, 0.5, 0.8, 0.99)]
    predictions = make_predictions(
        [
            ("a.jpg", BOX, 1.0, angle[0]),
            ("b.jpg", BOX, 1.0, angle[1]),
            ("d.jpg", BOX, 1.0, angle[2]),
            ("d.jpg", BOX, 0.49, angle[3]),  # below the detection threshold: not there
        ],
        [[7.0, 0.0]],  # the scorer normalises
    )
    scores = search_scores(protocol, predictions)
    assert scores.average_precision == pytest.approx([5 / 9])
    assert scores.top == {1: 1.0, 5: 1.0, 10: 1.0} and scores.best_rank.tolist() == [1]
    assert scores.counts["gallery_images_without_detection"] == 1 and scores.counts["detections"] == 3


def test_only_the_most_similar_overlapping_detection_is_a_hit():
    protocol = make_protocol([("q.jpg", [("a.jpg", BOX)])])
    similar = [("a.jpg", AWAY, 1.0, [1.0, 0.0]), ("a.jpg", BOX, 0.6, [0.9, 0.1]), ("a.jpg", BOX, 1.0, [0.5, 0.5])]
    scores = search_scores(protocol, make_predictions(similar, [[1.0, 0.0]]))
    assert scores.average_precision == pytest.approx([1 / 2]) and scores.best_rank.tolist() == [2]


def test_duplicate_gallery_image_official_and_seqnet():
    """A gallery that lists one positive image twice, and one detection in it.

    Official: it is ranked twice, a hit each time: AP 1. SeqNet looks once but expects two: AP 1 * 1/2.
    """
    protocol = make_protocol([("q.jpg", [("a.jpg", BOX), ("a.jpg", BOX)])])
    predictions = make_predictions([("a.jpg", BOX, 1.0, [1.0, 0.0])], [[1.0, 0.0]])
    assert search_scores(protocol, predictions).map == 1.0
    seqnet = search_scores(protocol, predictions, variant="seqnet")
    assert seqnet.map == 0.5 and seqnet.top[1] == 1.0


def test_constant_features_gain_nothing_from_ties():
    gallery = [("a.jpg", BOX), *((f"n{i}.jpg", None) for i in range(9))]
    predictions = make_predictions([(name, BOX, 1.0, [1.0, 0.0]) for name, _ in gallery], [[1.0, 0.0]])
    scores = search_scores(make_protocol([("q.jpg", gallery)]), predictions)
    assert scores.map == pytest.approx(0.1) and scores.best_rank.tolist() == [10] and scores.top[5] == 0.0


def test_nothing_to_find_and_nothing_found():
    protocol = make_protocol([("q.jpg", []), ("q.jpg", [("a.jpg", None)]), ("q.jpg", [("a.jpg", BOX)])])
    for detections in ([], [("a.jpg", AWAY, 1.0, [1.0, 0.0])], [("a.jpg", BOX, 0.1, [1.0, 0.0])]):
        scores = search_scores(protocol, make_predictions(detections, np.ones((3, 2))))
        assert scores.map == 0.0 and scores.average_precision.tolist() == [0, 0, 0] and scores.top[10] == 0.0
    assert scores.counts["queries_without_positives"] == 2


def test_queries_that_were_not_run_are_left_out():
    protocol = make_protocol([("q.jpg", [("a.jpg", BOX)]), ("q.jpg", [("a.jpg", BOX)])])
    predictions = make_predictions([("a.jpg", BOX, 1.0, [1.0, 0.0])], [[np.nan, np.nan], [1.0, 0.0]])
    scores = search_scores(protocol, predictions)
    assert scores.map == 1.0 and scores.top[1] == 1.0
    assert np.isnan(scores.average_precision[0]) and scores.counts["queries_not_run"] == 1


def test_iou_threshold_is_smaller_for_small_people():
    boxes = np.array([[0, 0, 10, 20], [0, 0, 100, 200], [5, 5, 30, 55]])
    assert iou_threshold(boxes) == pytest.approx([200 / (20 * 30), 0.5, 0.5])
    assert iou_threshold(boxes[:1]) < 0.5


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), steps=st.integers(2, 30))
def test_average_precision_is_sklearns(seed, steps):
    rng = np.random.default_rng(seed)
    labels, scores = rng.random(40) < 0.3, rng.integers(0, steps, 40) / steps  # with ties
    labels[0] = True
    assert average_precision(labels, scores) == pytest.approx(average_precision_score(labels, scores), abs=1e-12)


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_detection_equals_the_literal_reference(seed):
    rng = np.random.default_rng(seed)

    def boxes(count):
        corner = rng.integers(0, 30, (count, 2))
        return np.hstack([corner, corner + rng.integers(10, 40, (count, 2))]).astype(np.float32)

    names = [f"s{i}.jpg" for i in range(5)]
    images = [SearchImage(n, Path(n), boxes(rng.integers(0, 4)), np.zeros(0, np.int64)) for n in names]
    count = int(rng.integers(0, 25))
    predictions = validated(
        {
            "gallery_image": rng.choice([*names, "elsewhere.jpg"], count),
            "gallery_box": boxes(count),
            "gallery_score": rng.permutation(np.linspace(0.3, 1, count)),
            "gallery_feature": np.zeros((count, 2)),
            "query_feature": np.zeros((0, 2)),
        }
    )
    ours = detection_scores(images, predictions)
    assert (ours.ap, ours.recall) == pytest.approx(reference.detection(images, predictions), abs=1e-9)


def test_detection_worked_example():
    """Two people; detections right 0.9, double 0.8, right 0.7: AP (1 + 2/3) / 2, recall 1."""
    images = [SearchImage("a.jpg", Path("a.jpg"), np.array([BOX, AWAY], np.float32), np.array([0, -1]))]
    found = [("a.jpg", BOX, 0.9, [1.0, 0]), ("a.jpg", [0, 0, 40, 90], 0.8, [1.0, 0]), ("a.jpg", AWAY, 0.7, [1.0, 0])]
    scores = detection_scores(images, make_predictions(found, [[1.0, 0.0]]))
    assert scores.recall == 1.0 and scores.ap == pytest.approx(5 / 6)


@pytest.fixture(scope="module")
def real(real_data, tmp_path_factory):
    root = tmp_path_factory.mktemp("real")
    (root / cuhk_sysu.PROTOCOLS).mkdir(parents=True)
    shutil.copy(real_data / "cuhk_sysu/TestG100.mat", root / cuhk_sysu.PROTOCOLS)
    return cuhk_sysu.load_protocol(root, 100)


@pytest.fixture(scope="module")
def noisy(real):
    """Detections on the real galleries: most people, jittered, with features near their identity's, and clutter."""
    rng = np.random.default_rng(7)
    seen = [(name, box, identity) for name, box, identity in cuhk_sysu.test_appearances(real) if rng.random() < 0.9]
    centres = rng.normal(size=(2900, 256)).astype(np.float32)
    clutter = 41_000 - len(seen)
    corner = rng.uniform(0, 600, (clutter, 2))
    people = np.array([box for _, box, _ in seen]) + rng.normal(0, 6, (len(seen), 4))
    people[:, 2:] = np.maximum(people[:, 2:], people[:, :2] + 1)
    features = np.concatenate([centres[[i for *_, i in seen]], rng.normal(size=(clutter, 256))])
    return validated(
        {
            "gallery_image": np.concatenate([[name for name, *_ in seen], rng.choice(real.images, clutter)]),
            "gallery_box": np.concatenate([people, np.hstack([corner, corner + rng.uniform(20, 200, (clutter, 2))])]),
            "gallery_score": rng.uniform(0.45, 1, 41_000),
            "gallery_feature": features + rng.normal(0, 2, features.shape),
            "query_feature": centres + rng.normal(0, 2, centres.shape),
        }
    )


@pytest.mark.parametrize("variant", scoring.VARIANTS)
def test_real_protocol_equals_the_literal_reference(real, noisy, variant):
    ours = search_scores(real, noisy, variant=variant)
    chosen = sorted({*range(0, 2900, 40), *ODD_QUERIES})
    expected, *tops, precisions = reference.search(real, noisy, variant, queries=chosen)
    # Similarities closer than float32 rounding may swap: the mean moves by less than 1e-5.
    assert ours.average_precision[chosen].mean() == pytest.approx(expected, abs=1e-5)
    assert np.abs(ours.average_precision[chosen] - precisions).max() < 0.02
    ranks = ours.best_rank[chosen]
    assert [np.mean((ranks > 0) & (ranks <= k)) for k in (1, 5, 10)] == pytest.approx(tops, abs=1e-3)
    assert 0.2 < ours.map < 0.95  # the case has hits and misses


def test_variants_differ_on_the_four_queries_with_duplicates_only(real, noisy):
    official, seqnet = (search_scores(real, noisy, variant=variant) for variant in scoring.VARIANTS)
    differing = np.flatnonzero(official.average_precision != seqnet.average_precision).tolist()
    assert differing and set(differing) <= set(ODD_QUERIES[:4])


def test_labels_of_a_published_model(real, real_data):
    """AMPN's results list its 119 queries with a wrong first match, each with its ten best detections and labels."""
    listed = json.loads((real_data / "cuhk_sysu/results/AMPN_cuhk_results.json").read_text())["results"]
    golden = json.loads((real_data / "golden.json").read_text())["cuhk_sysu"]["AMPN"]
    queries, detections, features, labels = [], [], np.eye(len(listed)), []
    for i, result in enumerate(listed):
        shown = {entry["img"]: entry["roi"] for entry in result["query_gt"]}
        names = list(dict.fromkeys([*shown, *(entry["img"] for entry in result["gallery"])]))
        queries.append((result["query_img"], [(f"{i}/{name}", shown.get(name)) for name in names]))
        for entry in result["gallery"]:
            similarity = entry["score"]
            feature = np.zeros(len(listed) + 1)
            feature[i], feature[-1] = similarity, np.sqrt(1 - similarity**2)
            detections.append((f"{i}/{entry['img']}", entry["roi"][:4], entry["roi"][4], feature))
            labels.append(entry["correct"])
    protocol = make_protocol(queries)
    probes = np.hstack([features, np.zeros((len(listed), 1))])
    scores = search_scores(protocol, make_predictions(detections, probes), variant="seqnet")
    assert len(labels) == 1190 and golden["labels_agree"] == "1190/1190"
    ranks = [next((k + 1 for k in range(10) if labels[10 * i + k]), 0) for i in range(len(listed))]
    assert scores.best_rank.tolist() == ranks
    for i in range(len(listed)):
        own, similarity = labels[10 * i : 10 * i + 10], [e["score"] for e in listed[i]["gallery"]]
        expected = average_precision_score(own, similarity) * sum(own) if any(own) else 0.0
        truths = len(listed[i]["query_gt"])
        assert scores.average_precision[i] * truths == pytest.approx(expected)
    wrong = int((scores.best_rank != 1).sum())
    assert wrong == golden["wrong_top1"] == len(listed)
    assert round(100 * (1 - wrong / len(real.queries)), 2) == golden["published_top1"]
