from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillery.distill.shrink import shrink

ALEXNET = (96, 256, 384, 384, 256)


def test_ones_change_nothing() -> None:
    assert shrink(ALEXNET, [1.0] * 5) == ALEXNET


def test_halves_are_the_intelligent_student() -> None:
    assert shrink(ALEXNET, [0.5] * 5) == (48, 128, 192, 192, 128)


def test_each_layer_takes_its_own_ratio() -> None:
    # 96 * 0.1 = 9.6 -> 10; 256 * 0.3 = 76.8 -> 76 (an even number nearest to it); 384 * 0.28 = 107.52 -> 108.
    assert shrink(ALEXNET, [0.1, 0.3, 0.28, 0.5, 1.0]) == (10, 76, 108, 192, 256)


def test_no_layer_vanishes() -> None:
    assert shrink((4, 4), [0.01, 0.01]) == (2, 2)
    assert shrink((10,), [0.1], multiple=4) == (4,)


@given(st.lists(st.tuples(st.integers(1, 2048), st.floats(0.01, 4)), min_size=1, max_size=6), st.integers(1, 8))
def test_nearest_multiple(layers: list[tuple[int, float]], multiple: int) -> None:
    channels, ratios = zip(*layers, strict=True)
    for channel, ratio, found in zip(channels, ratios, shrink(channels, ratios, multiple=multiple), strict=True):
        assert found >= multiple
        assert found % multiple == 0
        assert found == multiple or abs(found - channel * ratio) <= multiple / 2 + 1e-9


def test_a_ratio_for_each_layer() -> None:
    with pytest.raises(ValueError, match="4 ratios for 5 layers"):
        shrink(ALEXNET, [0.5] * 4)
