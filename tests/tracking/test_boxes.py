from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torchvision.ops import box_iou

from distillery.tracking import boxes

coordinates = st.integers(-200, 200).map(lambda n: n / 4)
sizes = st.integers(0, 200).map(lambda n: n / 4)
box_arrays = st.integers(1, 8).flatmap(
    lambda n: st.tuples(arrays(float, (n, 2), elements=coordinates), arrays(float, (n, 2), elements=sizes)).map(
        np.hstack
    )
)


@given(box_arrays)
def test_every_conversion_has_its_inverse(xywh: np.ndarray) -> None:
    assert np.array_equal(boxes.xyxy_to_xywh(boxes.xywh_to_xyxy(xywh)), xywh)
    assert np.array_equal(boxes.centre_to_xywh(boxes.xywh_to_centre(xywh)), xywh)
    assert np.array_equal(boxes.from_pixels(boxes.to_pixels(xywh)), xywh)


@given(box_arrays)
def test_iou_equals_torchvision(first: np.ndarray) -> None:
    second = np.roll(first, 1, axis=0) + np.array([1.25, -0.5, 0.75, 2.0])
    peer = box_iou(torch.tensor(boxes.xywh_to_xyxy(first)), torch.tensor(boxes.xywh_to_xyxy(second)))
    assert boxes.iou(first, second) == pytest.approx(peer.diagonal().numpy(), abs=1e-12)


@given(box_arrays)
def test_iou_is_symmetric_and_one_with_itself(xywh: np.ndarray) -> None:
    other = xywh[::-1]
    assert np.array_equal(boxes.iou(xywh, other), boxes.iou(other, xywh))
    solid = xywh[(xywh[:, 2] > 0) & (xywh[:, 3] > 0)]
    assert (boxes.iou(solid, solid) == pytest.approx(1.0, abs=1e-12)) if len(solid) else True


def test_iou_by_hand() -> None:
    # 10x10 boxes, shifted by 5 in both directions: 25 shared of 175; by 5 in one: 50 of 150.
    found = boxes.iou(
        [[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]], [[5, 5, 10, 10], [5, 0, 10, 10], [10, 0, 10, 10]]
    )
    assert found == pytest.approx([25 / 175, 1 / 3, 0.0])


def test_an_empty_or_inverted_box_overlaps_nothing() -> None:
    assert boxes.iou([0, 0, 0, 0], [0, 0, 0, 0]) == 0
    assert boxes.iou([5, 5, -4, -4], [0, 0, 10, 10]) == 0
    assert boxes.iou([5, 5, -4, -4], [5, 5, -4, -4]) == 0


def test_the_first_pixel_of_a_file_is_index_zero() -> None:
    assert boxes.to_pixels([1, 1, 7, 9]).tolist() == [0, 0, 7, 9]
    assert boxes.from_pixels([0, 0, 7, 9]).tolist() == [1, 1, 7, 9]


def test_the_centre_of_one_pixel_is_that_pixel() -> None:
    assert boxes.xywh_to_centre([3, 4, 1, 1])[:2].tolist() == [3, 4]
    assert boxes.xywh_to_centre([3, 4, 2, 3])[:2].tolist() == [3.5, 5]


@pytest.mark.filterwarnings("error")
def test_numbers_that_no_image_has() -> None:
    assert boxes.iou([1e200, 0, 10, 10], [0, 0, 10, 10]) == 0
    assert 0 <= boxes.iou([0, 0, 1e200, 1e200], [0, 0, 10, 10]) < 1e-15
    assert boxes.iou([0, 0, 1e308, 1e308], [0, 0, 1e308, 1e308]) == 1
    reached = boxes.within_reach([-1e300, 5, 1e155, np.nan])
    assert reached[:3].tolist() == [-boxes.FARTHEST, 5, boxes.FARTHEST]
    assert np.isnan(reached[3])
