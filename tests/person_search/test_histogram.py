"""The colour-histogram baseline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from distillery.data.images import read_image
from distillery.errors import UserError
from distillery.person_search import histogram as module
from distillery.person_search.histogram import (
    DIMENSIONS,
    histogram_feature,
    histogram_predictions,
    predictions_of_all,
)
from distillery.person_search.predictions import write_predictions
from distillery.person_search.scoring import score
from person_search import builders


@pytest.fixture
def root(tmp_path):
    return builders.write_root(tmp_path / "CUHK-SYSU")


def test_cosine_is_the_mean_bhattacharyya_coefficient_of_the_stripes():
    image = np.zeros((60, 20, 3), np.uint8)
    other = image.copy()
    other[:30] = (255, 0, 0)  # the upper three of six stripes in another colour
    box = np.array([0, 0, 20, 60], np.float32)
    assert histogram_feature(image, box) @ histogram_feature(image, box) == pytest.approx(1)
    assert histogram_feature(image, box) @ histogram_feature(other, box) == pytest.approx(0.5)
    other[:30, :10] = 0  # half of the colour back in these stripes: sqrt(1/2) each
    assert histogram_feature(image, box) @ histogram_feature(other, box) == pytest.approx((3 * 0.5**0.5 + 3) / 6)


@pytest.mark.parametrize("box", [(-5, -5, 10, 10), (18, 50, 40, 90), (3, 3, 3.5, 4), (500, 500, 600, 600)])
def test_boxes_at_and_beyond_the_border(box):
    feature = histogram_feature(np.full((60, 20, 3), 90, np.uint8), np.array(box, np.float32))
    assert feature.shape == (DIMENSIONS,) and feature.dtype == np.float32
    assert np.linalg.norm(feature) == pytest.approx(0 if box[0] == 500 else 1)


def test_it_finds_people_by_their_clothes_on_true_boxes(root, tmp_path):
    predictions = histogram_predictions(root)
    write_predictions(tmp_path / "p.npz", predictions)
    metrics = score(root, tmp_path / "p.npz")
    assert metrics["numbers"]["map"] == metrics["numbers"]["top1"] == 1.0
    assert metrics["numbers"]["ap"] == metrics["numbers"]["recall"] == 1.0  # true boxes, by construction
    assert len(predictions.gallery_image) == 6 and (predictions.gallery_score == 1).all()


def test_truncated_image_is_refused(root):
    file = root / "Image/SSM/s4.jpg"
    file.write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(UserError, match=r"s4\.jpg: is truncated; restore"):
        histogram_predictions(root)


FRAMES = {"c1s1_000001": (120, 90), "c2s1_000001": (100, 80), "c6s1_000001": (80, 60), "c6s1_000002": (80, 60)}
"""Frame -> width and height; the last is for training."""
PEOPLE = {
    "c1s1_000001": [(7, 10.4, 5.2, 20, 60), (9, 60, 5, 20, 60)],
    "c2s1_000001": [(9, 5, 5, 20, 60), (-2, 60, 5, 20, 60)],
    "c6s1_000001": [(7, 20, -3.5, 15, 45)],
    "c6s1_000002": [(3, 20, 5, 15, 45)],
}
CLOTHES = {7: (200, 30, 30), 9: (30, 30, 200), -2: (30, 160, 30), 3: (0, 0, 0)}
PROBES = {"query_info.txt": [(7, 0), (9, 1), (7, 2)], "prwmini_query_info.txt": [(9, 0)]}
"""File -> (identity, index of the frame)."""


def _write_prw(root: Path) -> Path:
    (root / "frames").mkdir(parents=True)
    (root / "annotations").mkdir()
    for k, (name, (width, height)) in enumerate(FRAMES.items()):
        pixels = np.random.Generator(np.random.PCG64(k)).integers(90, 130, (height, width, 3), np.uint8)
        for identity, x, y, w, h in PEOPLE[name]:
            pixels[max(int(y), 0) : int(y + h), int(x) : int(x + w)] = CLOTHES[identity]
        Image.fromarray(pixels).save(root / f"frames/{name}.jpg", quality=95)
        scipy.io.savemat(root / f"annotations/{name}.jpg.mat", {"box_new": np.array(PEOPLE[name], float)})
    names = list(FRAMES)
    scipy.io.savemat(root / "frame_test.mat", {"img_index_test": builders.cell(names[:3])})
    scipy.io.savemat(root / "frame_train.mat", {"img_index_train": builders.cell(names[3:])})
    for file, probes in PROBES.items():
        rows = [(row, names[frame]) for identity, frame in probes for row in PEOPLE[names[frame]] if row[0] == identity]
        lines = [" ".join(map(str, row)) + f" {frame}\r\n" for row, frame in rows]
        (root / file).write_bytes("".join(lines).encode())
    return root


def test_prw_and_prw_mini_in_one_pass(tmp_path, monkeypatch):
    root, reads = _write_prw(tmp_path / "PRW"), []
    monkeypatch.setattr(module, "read_image", lambda path: reads.append(path.name) or read_image(path))
    both = predictions_of_all(root, ["prw", "prw_mini"])
    assert sorted(reads) == [f"{name}.jpg" for name in list(FRAMES)[:3]]
    whole, mini = both["prw"], both["prw_mini"]
    assert len(whole.query_feature) == 3 and len(mini.query_feature) == 1
    np.testing.assert_array_equal(whole.gallery_feature, mini.gallery_feature)
    assert sorted(whole.gallery_image) == ["c1s1_000001.jpg"] * 2 + ["c2s1_000001.jpg"] * 2 + ["c6s1_000001.jpg"]
    for query, (identity, frame) in enumerate(PROBES["query_info.txt"]):
        similarity = whole.gallery_feature @ whole.query_feature[query]
        similarity[whole.gallery_image == f"{list(FRAMES)[frame]}.jpg"] = -1  # the query's own frame is not searched
        best = int(similarity.argmax())
        other = {7: 2 - frame, 9: 1 - frame}[identity]  # where the same person stands
        assert whole.gallery_image[best] == f"{list(FRAMES)[other]}.jpg"
        np.testing.assert_allclose(np.linalg.norm(whole.query_feature[query]), 1, atol=1e-6)
    write_predictions(tmp_path / "p.npz", whole)
    alone = histogram_predictions(root, "prw_mini")
    np.testing.assert_array_equal(alone.query_feature, mini.query_feature)


def test_query_image_that_nobody_searches(root):
    queries = [("s1.jpg", (100, 20, 40, 100), [("s4.jpg", (60, 20, 40, 100)), ("s5.jpg", None)])]
    for size in builders.QUERIES:
        builders.write_protocol(root, size, queries)
    predictions = histogram_predictions(root)
    expected = histogram_feature(read_image(root / "Image/SSM/s1.jpg"), np.array([100, 20, 140, 120], np.float32))
    np.testing.assert_array_equal(predictions.query_feature, expected[None])
    assert "s1.jpg" not in predictions.gallery_image


def test_benchmarks_of_two_datasets_at_once(root):
    with pytest.raises(UserError, match="cuhk_sysu and prw do not share their images; run one after the other"):
        predictions_of_all(root, ["cuhk_sysu", "prw"])
