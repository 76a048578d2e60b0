from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillery.tracking.protocols import pixels, raster
from distillery.tracking.protocols.raster import TOOLKIT, TRAX
from tracking.protocols import vot_reference as reference

coarse = st.integers(-6, 26).map(float)
fine = st.integers(-60, 260).map(lambda tenths: tenths / 10)
boxes = st.tuples(fine, fine, st.integers(-20, 200).map(lambda tenths: tenths / 10), st.integers(0, 20).map(float))
quadrilaterals = st.one_of(st.tuples(*[coarse] * 8), st.tuples(*[fine] * 8))
sizes = st.tuples(st.integers(8, 24), st.integers(8, 24))

# What pysot's compiled `vot_overlap(first, second, (64, 48))` returns; single precision.
COMPILED = [
    ([55.2, 43.5, 54.5, 57.8, 45.3, 57.3, 46.0, 43.0], [41.7, 44.7, 14.3, 9.2], 0.6197183132171631),
    ([23.5, 19.0, 1.1, 19.1, 1.1, 5.9, 23.4, 5.8], [0.3, 11.5, 22.4, 13.2], 0.38736841082572937),
    ([62.5, 39.5, 68.8, 57.3, 47.2, 64.9, 41.0, 47.1], [40.2, 41.4, 18.8, 22.9], 0.44949495792388916),
    ([15.1, 38.4, 37.5, 43.0, 32.1, 69.6, 9.6, 65.0], [8.8, 45.2, 22.9, 27.1], 0.36866360902786255),
    (
        [59.8, -8.5, 46.6, -9.9, 30.3, 24.9, 6.3, 16.0],
        [54.5, 15.3, 1.9, 45.9, 25.9, 53.9, 8.8, 15.6],
        0.16089385747909546,
    ),
    (
        [54.0, 30.6, 30.5, 8.9, -8.8, 64.7, -3.1, 57.6],
        [19.4, 66.1, 22.0, 64.9, 34.5, 9.2, 49.3, 44.0],
        0.2810283601284027,
    ),
    (
        [44.7, 27.1, 7.8, 41.3, -1.4, 45.4, 40.8, 20.1],
        [53.9, 5.5, 21.2, 53.8, 20.4, 47.1, 39.0, 65.3],
        0.04651162773370743,
    ),
    ([69.3, 47.9, 54.7, 2.2, 47.0, 57.8, 22.1, 34.3], [28.4, 66.7, 15.4, 22.2, -9.9, 23.6, 40.5, 64.8], 0.0),
    ([63.9, 16.2, 69.1, 5.0, 55.9, 2.6, 22.4, -4.1], [50.1, 48.0, 6.5, 21.6], 0.0),
]


def square(x: float, y: float, side: float) -> list[float]:
    return [x, y, x + side, y, x + side, y + side, x, y + side]


def overlap(first: list[float], second: list[float], last: tuple[float, float], rule: raster.Rule) -> float:
    return float(raster.overlaps([first], [second], last, rule)[0])


def test_by_hand() -> None:
    one, other = [0.0, 0, 10, 10], [5.0, 5, 10, 10]
    # TraX draws both ends: 11 x 11 pixels each, of which 6 x 6 are shared.
    assert overlap(square(0, 0, 10), other, (99, 99), TRAX) == pytest.approx(36 / (121 + 121 - 36), abs=1e-7)
    assert overlap(one, other, (99, 99), TRAX) == overlap(square(0, 0, 10), square(5, 5, 10), (99, 99), TRAX)
    # The toolkit's boxes have w x h pixels, its polygons draw both ends.
    assert overlap(one, other, (99, 99), TOOLKIT) == 25 / 175
    assert overlap(square(0, 0, 10), square(5, 5, 10), (99, 99), TOOLKIT) == 36 / 206
    # A diamond: its tips are pixels to the toolkit, nothing to TraX; 1 + 3 + 5 + 3 + 1 pixels, of 25.
    diamond = [2.0, 0, 4, 2, 2, 4, 0, 2]
    assert overlap(diamond, [0.0, 0, 4, 4], (99, 99), TRAX) == pytest.approx(11 / 25)
    assert overlap(diamond, [0.0, 0, 5, 5], (99, 99), TOOLKIT) == 13 / 25


@pytest.mark.parametrize(("first", "second", "expected"), COMPILED)
def test_compiled_code_gives_the_same(first: list[float], second: list[float], expected: float) -> None:
    assert overlap(first, second, (64, 48), TRAX) == expected
    assert reference.overlap_trax(first, second, (64, 48)) == expected


def test_the_image_cuts_regions() -> None:
    # Columns 0 … 6 of 0 … 10 are inside: 7 x 11 pixels of the first, 2 x 11 of the second, 2 x 6 of both.
    assert overlap(square(0, 0, 10), square(5, 5, 10), (6, 99), TRAX) == pytest.approx(12 / (77 + 22 - 12))
    # A region that the image's edge leaves a single column of is not drawn (its bounding box is empty).
    assert overlap(square(0, 0, 10), square(5, 5, 10), (5, 99), TRAX) == 0
    assert overlap(square(0, 0, 10), square(20, 20, 5), (15, 15), TRAX) == 0


@pytest.mark.parametrize("rule", [TRAX, TOOLKIT], ids=["trax", "toolkit"])
def test_regions_without_extent(rule: raster.Rule) -> None:
    for flat in ([5.0, 5, 5, 5, 5, 5, 5, 5], [0.0, 5, 9, 5, 9, 5, 0, 5], [5.0, 0, 5, 0, 5, 9, 5, 9], [3.0, 3, 0, 4]):
        value = overlap(square(0, 0, 10), flat, (99, 99), rule)
        assert 0 <= value < 0.1
    assert overlap(square(0, 0, 10), square(1e30, 1e30, 5), (99, 99), rule) == 0


def test_two_points() -> None:
    point = [5.0] * 8
    assert overlap(point, point, (99, 99), TOOLKIT) == 1  # "two empty regions are considered to be identical"
    assert np.isnan(overlap(point, point, (99, 99), TRAX))  # 0 / 0 in region.c


@settings(max_examples=120, deadline=None)
@given(first=quadrilaterals, second=st.one_of(quadrilaterals, boxes), size=sizes)
def test_trax_counts_as_the_definition_does(
    first: tuple[float, ...], second: tuple[float, ...], size: tuple[int, int]
) -> None:
    ours = overlap(list(first), list(second), size, TRAX)
    assert ours == pytest.approx(reference.overlap_trax(first, second, size), abs=0, nan_ok=True)


@settings(max_examples=120, deadline=None)
@given(first=quadrilaterals, second=st.one_of(quadrilaterals, boxes), size=sizes)
def test_the_toolkit_counts_as_its_definition_does(
    first: tuple[float, ...], second: tuple[float, ...], size: tuple[int, int]
) -> None:
    ours = overlap(list(first), list(second), (size[0] - 1, size[1] - 1), TOOLKIT)
    if len(second) == 4 and np.round(np.float32(second[2:])).min() < 1:
        assert ours == 0  # nothing is drawn; the toolkit calls two such regions identical
    else:
        assert ours == pytest.approx(reference.overlap_toolkit(first, second, size), abs=0)


@settings(deadline=None)
@given(pairs=st.lists(st.tuples(quadrilaterals, quadrilaterals), min_size=1, max_size=9))
def test_overlap_is_symmetric_and_a_share(pairs: list[tuple[tuple[float, ...], tuple[float, ...]]]) -> None:
    first, second = (np.array(regions) for regions in zip(*pairs, strict=True))
    for rule in (TRAX, TOOLKIT):
        there, back = raster.overlaps(first, second, (40, 40), rule), raster.overlaps(second, first, (40, 40), rule)
        assert np.array_equal(there, back, equal_nan=True)
        assert ((there >= 0) & (there <= 1) | np.isnan(there)).all()


def test_many_frames_at_once_equal_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(3)
    turned = noise.uniform(0, np.pi, 300)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * noise.uniform(2, 40, (300, 1, 2))
    rotation = np.stack([[np.cos(turned), np.sin(turned)], [-np.sin(turned), np.cos(turned)]]).transpose(2, 0, 1)
    truth = (corners @ rotation + noise.uniform(0, 90, (300, 1, 2))).reshape(300, 8)
    found = np.concatenate([truth[:, :2] - 20, noise.uniform(5, 60, (300, 2))], axis=1)
    last = noise.integers(60, 100, (300, 2)).astype(float)
    together = raster.overlaps(truth, found, last, TRAX)
    alone = [raster.overlaps(truth[n : n + 1], found[n : n + 1], last[n], TRAX)[0] for n in range(300)]
    assert together.tolist() == alone
    monkeypatch.setattr(raster, "_BATCH", 7)
    monkeypatch.setattr(pixels, "_CHUNK", 50)
    assert raster.overlaps(truth, found, last, TRAX).tolist() == alone
    assert (together > 0).sum() > 50


def test_nothing_at_all() -> None:
    assert raster.overlaps(np.zeros((0, 8)), np.zeros((0, 4)), (9, 9), TRAX).shape == (0,)


def test_as_many_turned_boxes_as_vot2018_has() -> None:
    """20,000 of 100 rows each; `benchmarks/scoring.py` has their time."""
    noise = np.random.default_rng(0)
    tilt = np.array([10.0, 0, 80, 15, 70, 100, 0, 85])
    truth = noise.uniform(50, 500, (20_000, 1)) + tilt
    found = np.concatenate([truth[:, :2] + noise.uniform(-30, 30, (20_000, 2)), np.full((20_000, 2), 80.0)], axis=1)
    assert raster.overlaps(truth, found, (1000, 1000), TRAX).mean() > 0.2
