"""The colour-histogram baseline."""

from __future__ import annotations

import numpy as np
import pytest

from distillery.errors import UserError
from distillery.person_search.histogram import DIMENSIONS, histogram_feature, histogram_predictions
from distillery.person_search.predictions import write_predictions
from distillery.person_search.scoring import score
from person_search import builders


@pytest.fixture
def root(tmp_path):
    return builders.write_root(tmp_path / "CUHK-SYSU")


def test_cosine_is_the_mean_bhattacharyya_coefficient_of_the_stripes():
    image = np.zeros((60, 20, 3), np.uint8)
    other = image.copy()
    other[:30] = (0, 0, 255)  # the upper three of six stripes in another colour
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
