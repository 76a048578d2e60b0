from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillery.config.siamrpn import SiamRPNGeometry
from distillery.tracking.anchors import decode, encode, grid, overlaps, sizes

GEOMETRY = SiamRPNGeometry()
COMPACT = SiamRPNGeometry(exemplar=63, search=135, small_search=143, train_search=127, stride=4, anchor_scale=4)


def test_sizes_by_hand() -> None:
    # sqrt(64 / 0.33) = 13.9, 13 * 0.33 = 4.29; sqrt(128) = 11.3, 5.5; 8, 8; sqrt(32) = 5.66, 10; sqrt(21.3) = 4.6, 12.
    expected = [[13, 4], [11, 5], [8, 8], [5, 10], [4, 12]]
    assert sizes(GEOMETRY).tolist() == [[8 * w, 8 * h] for w, h in expected]
    assert sizes(COMPACT).tolist() == [[4 * w, 4 * h] for w, h in expected]


@pytest.mark.parametrize("cells", [17, 19, 21, 25])
def test_the_grid_is_symmetric(cells: int) -> None:
    """DaSiamRPN's grid under Python 3 begins at -76 instead of -72 for 19 cells: half a stride off."""
    anchors = grid(GEOMETRY, cells).reshape(5, cells, cells, 4)
    assert anchors[..., :2].mean(axis=(0, 1, 2)).tolist() == [0, 0]
    assert anchors[0, 0, 0, :2].tolist() == [-(cells // 2) * 8] * 2
    assert anchors[3, 2, 5].tolist() == [(5 - cells // 2) * 8, (2 - cells // 2) * 8, 40, 80]


def test_against_the_reference_loops() -> None:
    """pysot's `generate_anchor`, spelt out: anchor by anchor, row by row."""
    expected = [
        [8 * (column - 9), 8 * (row - 9), 8 * int((64 / ratio) ** 0.5), 8 * int(int((64 / ratio) ** 0.5) * ratio)]
        for ratio in (0.33, 0.5, 1, 2, 3)
        for row in range(19)
        for column in range(19)
    ]
    assert grid(GEOMETRY, 19).tolist() == expected


def test_compact_anchors_are_the_published_ones_halved() -> None:
    assert np.array_equal(grid(COMPACT, 17) * 2, grid(GEOMETRY, 17))


def test_encoding_by_hand() -> None:
    anchor = np.array([[16, -8, 64, 32]], np.float32)
    box = np.array([[[32.0, 0.0, 128.0, 16.0]]])
    np.testing.assert_allclose(encode(box, anchor), [[[0.25, 0.25, np.log(2), -np.log(2)]]], rtol=1e-6)


sides = st.floats(4, 400)
boxes = st.tuples(st.floats(-100, 100), st.floats(-100, 100), sides, sides)


@given(st.lists(boxes, min_size=1, max_size=4))
def test_decoding_inverts_encoding(drawn: list[tuple[float, ...]]) -> None:
    anchors = grid(COMPACT, 3)
    found = decode(encode(np.array(drawn)[:, None], anchors), anchors)
    expected = np.broadcast_to(np.array(drawn)[:, None], found.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_wild_offsets_give_finite_boxes() -> None:
    anchors = grid(GEOMETRY, 3)
    for value in (1e30, -1e30):
        sizes_ = decode(np.full((len(anchors), 4), value, np.float32), anchors)[:, 2:]
        assert np.isfinite(sizes_).all()
        assert (sizes_ > 0).all()
        assert (sizes_ <= 63 * anchors[:, 2:]).all()


@pytest.mark.parametrize("box", [[0.0, 0.0, 0.0, 10.0], [0.0, 0.0, 10.0, -1.0], [0.0, 0.0, np.nan, 10.0]])
def test_a_box_without_extent_cannot_be_encoded(box: list[float]) -> None:
    with pytest.raises(ValueError, match="without extent"):
        encode(np.array([[box]]), grid(GEOMETRY, 3))


def test_overlaps_by_counting_pixels() -> None:
    anchors = np.array([[0, 0, 8, 4], [2, 1, 4, 10], [50, 0, 4, 4]], np.float32)
    drawn = np.array([[1.0, 0.0, 6.0, 6.0], [0.0, 0.0, 8.0, 4.0]])

    def mask(box: np.ndarray) -> np.ndarray:
        middle = np.arange(-100, 100) + 0.5
        x, y = np.meshgrid(middle, middle)
        inside: np.ndarray = (abs(x - box[0]) < box[2] / 2) & (abs(y - box[1]) < box[3] / 2)
        return inside

    for row, box in enumerate(drawn):
        for column, anchor in enumerate(anchors):
            a, b = mask(box), mask(anchor)
            assert overlaps(drawn, anchors)[row, column] == pytest.approx((a & b).sum() / (a | b).sum())
