from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillery.tracking.crops import context_side, crop, mean_colour, surroundings

GREY = (10.0, 120.0, 250.0)


def smooth(height: int = 60, width: int = 80, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def literal(image: np.ndarray, centre: tuple[float, float], side: float, size: int) -> np.ndarray:
    """Bilinear sampling written out: pixel (u, v) of the result shows the middle of its share of the square."""
    padded = np.pad(image.astype(float), ((400, 400), (400, 400), (0, 0)))
    padded[:400] = padded[400 + len(image) :] = GREY
    padded[:, :400] = padded[:, 400 + image.shape[1] :] = GREY
    out = np.empty((size, size, 3))
    for v in range(size):
        for u in range(size):
            x = centre[0] - side / 2 + (u + 0.5) * side / size + 400
            y = centre[1] - side / 2 + (v + 0.5) * side / size + 400
            i, j = int(np.floor(y)), int(np.floor(x))
            a, b = y - i, x - j
            above = (1 - b) * padded[i, j] + b * padded[i, j + 1]
            below = (1 - b) * padded[i + 1, j] + b * padded[i + 1, j + 1]
            out[v, u] = (1 - a) * above + a * below
    return out


def test_context_side() -> None:
    # w = 30, h = 50: p = 0.5 * 80 = 40, s = sqrt(70 * 90).
    assert context_side(30, 50, 0.5) == pytest.approx(np.sqrt(6300))
    assert context_side(40, 40, 0.5) == pytest.approx(80)
    assert context_side(40, 90, 0) == pytest.approx(60)


@pytest.mark.parametrize(("size", "centre"), [(15, (7.0, 7.0)), (16, (7.5, 7.5))])
def test_the_whole_image_is_itself(size: int, centre: tuple[float, float]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    assert np.array_equal(crop(image, centre, size, size, GREY), image)


def test_whole_pixels_are_cut_out() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    assert np.array_equal(crop(image, (20.0, 12.0), 9, 9, GREY), image[8:17, 16:25])


@settings(max_examples=30, deadline=None)
@given(st.floats(15, 60), st.floats(15, 40), st.integers(4, 24))
def test_equals_opencv_sampling_at_the_same_scale(x: float, y: float, size: int) -> None:
    image = smooth()
    expected = cv2.getRectSubPix(image, (size, size), (x, y))
    assert np.abs(crop(image, (x, y), size, size, GREY).astype(int) - expected).max() <= 2


@settings(max_examples=20, deadline=None)
@given(st.floats(-20, 100), st.floats(-20, 80), st.floats(4, 150), st.integers(3, 20))
def test_equals_bilinear_sampling_at_any_scale(x: float, y: float, side: float, size: int) -> None:
    image = smooth()
    found, expected = crop(image, (x, y), side, size, GREY), literal(image, (x, y), side, size)
    # OpenCV rounds positions to a 32nd of a pixel; only at the image's edge can that be worth several levels.
    difference = np.abs(found - expected)
    assert difference.max() <= 255 / 32 + 1
    assert difference.mean() <= 1


def test_outside_is_the_border_colour() -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    assert (crop(image, (500.0, 500.0), 20, 8, GREY) == np.array(GREY, np.uint8)).all()
    half = crop(image, (0.0, 10.0), 10, 10, GREY)
    assert (half[:, :4] == np.array(GREY, np.uint8)).all()
    assert (half[:, 6:] == 0).all()


def test_mean_colour() -> None:
    image = np.random.default_rng(0).integers(0, 256, (13, 7, 3), dtype=np.uint8)
    assert mean_colour(image) == pytest.approx(image.mean((0, 1)).tolist())


def test_a_bright_square_stays_in_the_middle_at_the_right_size() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    image[40:61, 90:131] = 255  # rows 40..60, columns 90..130: centre (110, 50), 41 x 21
    made = crop(image, (110.0, 50.0), 82, 164, (0, 0, 0))[..., 0].astype(float)
    rows, columns = np.mgrid[:164, :164]
    assert (made * columns).sum() / made.sum() == pytest.approx(81.5, abs=0.05)
    assert (made * rows).sum() / made.sum() == pytest.approx(81.5, abs=0.05)
    assert made.sum() / 255 == pytest.approx(4 * 41 * 21, rel=0.02)


def test_two_sides_change_the_aspect_and_out_is_written() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    image[40:61, 90:131] = 255
    out = np.zeros((82, 82, 3), np.uint8)
    assert crop(image, (110.0, 50.0), (82.0, 41.0), 82, (0, 0, 0), out=out) is out
    made = out[..., 0].astype(float)
    rows, columns = np.mgrid[:82, :82]
    assert (made * columns).sum() / made.sum() == pytest.approx(40.5, abs=0.05)
    assert (made * rows).sum() / made.sum() == pytest.approx(40.5, abs=0.05)
    assert (made[41] / 255).sum() == pytest.approx(41, abs=0.2)
    assert (made[:, 41] / 255).sum() == pytest.approx(42, abs=0.2)


class TestSurroundings:
    @settings(max_examples=40, deadline=None)
    @given(st.floats(-20, 100), st.floats(-20, 80), st.floats(0.1, 1.0), st.integers(20, 60))
    def test_a_small_target_is_resampled_once(self, x: float, y: float, scale: float, size: int) -> None:
        image = smooth()
        made = surroundings(image, (x, y), scale, size)
        assert made.scale == scale
        assert len(made.image) <= math.ceil(scale * size) + 2  # no more than is seen
        found = crop(made.image, made.centre, scale * size, size, (0, 0, 0)).astype(int)
        expected = crop(image, (x, y), scale * size, size, mean_colour(image))
        # OpenCV rounds positions to a 32nd of a pixel.
        assert np.abs(found - expected).max() <= 255 / 16 + 2

    @pytest.mark.parametrize("scale", [1.5, 2.0, 3.7])
    def test_a_large_target_is_shrunk_without_moving(self, scale: float) -> None:
        rows, columns = np.mgrid[:300, :300]
        blob = 255 * np.exp(-((rows - 130) ** 2 + (columns - 140) ** 2) / 1800)
        image = np.repeat(blob[..., None], 3, axis=2).astype(np.uint8)
        made = surroundings(image, (140.0, 130.0), scale, 60)
        assert 60 <= len(made.image) <= 62
        assert 1 <= made.scale < 1.02
        found = crop(made.image, made.centre, 60 * made.scale, 60, (0, 0, 0))[..., 0].astype(float)
        found = np.maximum(found - 40, 0)  # outside the frame is its mean colour
        rows, columns = np.mgrid[:60, :60]
        assert (found * columns).sum() / found.sum() == pytest.approx(29.5, abs=0.1)
        assert (found * rows).sum() / found.sum() == pytest.approx(29.5, abs=0.1)

    @pytest.mark.parametrize("centre", [(500.0, 500.0), (-500.0, 10.0)])
    def test_wholly_outside_is_the_mean_colour(self, centre: tuple[float, float]) -> None:
        image = np.full((20, 30, 3), (10, 120, 250), np.uint8)
        for scale in (0.5, 4.0):
            assert (surroundings(image, centre, scale, 16).image == (10, 120, 250)).all()

    def test_keeps_no_frame_alive(self) -> None:
        image = np.zeros((40, 40, 3), np.uint8)
        made = surroundings(image, (20.0, 20.0), 1.0, 10)
        assert not np.shares_memory(made.image, image)
