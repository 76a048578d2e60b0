from __future__ import annotations

import pytest

from distillery.tracking.siamfc_training import labels


class TestLabels:
    @pytest.mark.parametrize("cells", [15, 17])
    def test_positives_are_within_two_cells_in_block_distance(self, cells: int) -> None:
        found = labels(cells, 16, 8).reshape(cells, cells)
        middle = cells // 2
        expected = {(middle + i, middle + j) for i in range(-2, 3) for j in range(-2, 3) if abs(i) + abs(j) <= 2}
        assert len(expected) == 13
        assert {(int(i), int(j)) for i, j in found.nonzero()} == expected
        assert found.sum() == 13

    def test_the_radius_is_in_pixels(self) -> None:
        assert labels(5, 8, 8).reshape(5, 5).sum() == 5
        assert labels(5, 0, 8).sum() == 1
        assert labels(4, 8, 8).sum() == 4  # no cell is in the middle of an even map
