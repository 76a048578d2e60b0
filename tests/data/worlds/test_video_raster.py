"""The integer renderer against independent ones: scipy's interpolation, geometry, and plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from distillery.data.worlds import raster
from distillery.data.worlds.raster import RADIUS, SINE, SPRITE, SUB, TEXEL, TURN, Layer, Pose


def disc(colour: tuple[int, int, int] = (200, 100, 50)) -> np.ndarray:
    """RGBA of a hard disc that fills a sprite's circle."""
    centre = np.arange(SPRITE) - SPRITE / 2 + 0.5
    inside = centre[None] ** 2 + centre[:, None] ** 2 <= RADIUS**2
    rgba = np.zeros((SPRITE, SPRITE, 4), dtype=np.int32)
    rgba[..., :3] = colour
    rgba[..., 3] = inside * 255
    return rgba


def test_sine_table_is_rounded_far_from_ties_so_no_libm_can_change_it():
    exact = [math.sin(2 * math.pi * k / TURN) * raster.ONE for k in range(TURN)]
    assert np.abs(SINE - exact).max() <= 0.5
    assert min(abs(abs(value - math.floor(value)) - 0.5) for value in exact) > 1e-6


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_pack_keeps_every_channel(seed):
    rgba = np.random.default_rng(seed).integers(0, 256, size=(5, 7, 4))
    assert (raster.unpack(raster.pack(rgba)) == rgba).all()


def test_sample_is_scipys_linear_interpolation_within_rounding():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, size=(16, 16, 4))
    u, v = rng.integers(128, 15 * TEXEL + 128, size=(2, 400), dtype=np.int32)
    got = raster.unpack(raster.sample(raster.pack(image), u, v))
    places = np.stack([v, u]) / TEXEL - 0.5
    for channel in range(4):
        peer = ndimage.map_coordinates(image[..., channel].astype(float), places, order=1)
        assert np.abs(got[:, channel] - peer).max() <= 2  # three roundings down


def test_mipmaps_are_block_means():
    rgba = np.random.default_rng(2).integers(0, 256, size=(SPRITE, SPRITE, 4))
    half = raster.unpack(raster.mipmaps(rgba)[1])
    assert np.abs(half - rgba.reshape(SPRITE // 2, 2, SPRITE // 2, 2, 4).mean(axis=(1, 3))).max() <= 0.5


@pytest.mark.parametrize("diameter", [12, 30, 61])
@pytest.mark.parametrize(("width", "height"), [(256, 256), (128, 256), (256, 180)])
def test_a_placed_disc_has_the_area_and_box_of_an_ellipse(diameter, width, height):
    levels = raster.mipmaps(disc())
    layer = raster.place(levels, Pose(100 * SUB, 80 * SUB, diameter * SUB, width=width, height=height))
    wide, tall = diameter * width / 256, diameter * height / 256
    assert layer.mask.sum() == pytest.approx(math.pi / 4 * wide * tall, rel=0.12)
    x, y, w, h = raster.tight(layer.mask, layer.left, layer.top)
    assert (w, h) == (pytest.approx(wide, abs=1.6), pytest.approx(tall, abs=1.6))
    assert (x + w / 2, y + h / 2) == (pytest.approx(100, abs=0.6), pytest.approx(80, abs=0.6))


def test_a_quarter_turn_turns_the_picture():
    rgba = disc()
    rgba[: SPRITE // 2, :, :3] = 0
    rgba[:, : SPRITE // 2, 1] = 255
    levels = raster.mipmaps(rgba)
    # A window's first pixel is chosen so that it is symmetric about a centre on a pixel boundary.
    straight = raster.place(levels, Pose(64 * SUB, 64 * SUB, 40 * SUB)).rgba
    turned = raster.place(levels, Pose(64 * SUB, 64 * SUB, 40 * SUB, angle=TURN // 4)).rgba
    side = straight.shape[0] - (straight.shape[0] % 2)
    expected = np.rot90(straight[:side, :side], k=-1)
    assert np.abs(turned[:side, :side] - expected)[8:-8, 8:-8].mean() < 12


def test_deformation_changes_the_outline():
    levels = raster.mipmaps(disc())
    round_ = raster.place(levels, Pose(640, 640, 640))
    bent = raster.place(levels, Pose(640, 640, 640, bend=900))
    assert (round_.mask ^ bent.mask).sum() > 30


def test_window_is_scipys_shift_within_rounding():
    image = np.random.default_rng(3).integers(0, 256, size=(40, 50, 3), dtype=np.int32)
    got = raster.window(image, x=5 * SUB + 3, y=7 * SUB + 12, height=20, width=30)
    rows, columns = np.mgrid[0:20, 0:30].astype(float)
    for channel in range(3):
        peer = ndimage.map_coordinates(
            image[..., channel].astype(float), [rows + 7 + 12 / SUB, columns + 5 + 3 / SUB], order=1
        )
        assert np.abs(got[..., channel] - peer).max() <= 0.51


@pytest.mark.parametrize(("zoom", "angle"), [(256, 0), (256, 300), (170, 0), (400, 3900), (180, 1024)])
def test_turned_window_is_scipys_affine_map_within_rounding(zoom, angle):
    rng = np.random.default_rng(4)
    image = ndimage.gaussian_filter(rng.integers(0, 256, size=(120, 140, 4)).astype(float), (2, 2, 0))
    image = (np.clip((image - 128) * 4 + 128, 0, 255)).astype(np.int32)
    height, width, x, y = 40, 50, 70 * SUB + 5, 60 * SUB + 3
    got = raster.turned_window(raster.pack(image), x, y, zoom, angle, height, width)
    assert got.shape == (height, width, 3)
    rows, columns = np.mgrid[0:height, 0:width] + 0.5
    dx, dy, turn = columns - width / 2, rows - height / 2, 2 * math.pi * angle / TURN
    u = x / SUB + (dx * math.cos(turn) + dy * math.sin(turn)) * 256 / zoom
    v = y / SUB + (dy * math.cos(turn) - dx * math.sin(turn)) * 256 / zoom
    slope = np.abs(np.diff(image, axis=0)).max()
    for channel in range(3):
        peer = ndimage.map_coordinates(image[..., channel].astype(float), [v - 0.5, u - 0.5], order=1)
        difference = np.abs(got[..., channel] - peer)
        assert difference.max() <= 3 + 0.1 * slope  # three roundings down, and a tenth of a pixel
        assert difference.mean() <= 2


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (4, 0), (0, -3), (-5, 2)])
def test_streak_spreads_a_point_along_the_motion(dx, dy):
    steps = max(abs(dx), abs(dy)) + 1
    picture = np.zeros((21, 31, 3), dtype=np.int32)
    picture[10, 15] = 70 * steps
    got = raster.streak(picture, dx, dy)
    assert got.shape == picture.shape
    rows, columns = np.nonzero(got[..., 0])
    assert (np.ptp(columns), np.ptp(rows)) == (abs(dx), abs(dy))
    assert (got.sum(axis=(0, 1)) == 70 * steps).all()
    assert (columns.mean(), rows.mean()) == (pytest.approx(15, abs=0.5), pytest.approx(10, abs=0.5))
    if dx * dy:
        assert np.sign(np.corrcoef(columns, rows)[0, 1]) == np.sign(dx * dy)


def test_streak_keeps_what_is_even_up_to_the_border():
    assert (raster.streak(np.full((9, 12, 3), 90, dtype=np.int32), 5, -3) == 90).all()


def test_composite_clips_to_the_frame_and_blends():
    frame = np.full((10, 12, 3), 100, dtype=np.int32)
    rgba = np.zeros((6, 6, 4), dtype=np.int32)
    rgba[..., :3], rgba[..., 3] = 200, 255
    rgba[5, 5, 3] = 128
    raster.composite(frame, Layer(-3, -2, rgba))
    assert (frame[:3, :3] == 200).all()
    assert frame[3, 2].tolist() == [150] * 3
    assert (frame[4:] == 100).all()
    assert (frame[:, 3:] == 100).all()
    before = frame.copy()
    raster.composite(frame, Layer(50, 3, rgba))
    assert (frame == before).all()


def test_inside_and_covered_count_pixels():
    rgba = np.full((4, 4, 4), 255, dtype=np.int32)
    layer = Layer(-1, 2, rgba)
    assert raster.inside(layer, (5, 9)).sum() == 3 * 3
    assert raster.covered(layer, Layer(1, 4, rgba)).sum() == 2 * 2
    assert raster.covered(layer, Layer(9, 9, rgba)).sum() == 0
    assert raster.inside(Layer(20, 20, rgba), (5, 9)).sum() == 0


@pytest.mark.parametrize(("dx", "dy"), [(5, 0), (0, -4), (3, 6)])
def test_motion_blur_spreads_along_the_motion_and_keeps_the_coverage(dx, dy):
    rgba = np.zeros((9, 9, 4), dtype=np.int32)
    rgba[4, 4] = (200, 90, 10, 240)
    layer = raster.smear(Layer(10, 20, rgba), dx, dy)
    rows, columns = np.nonzero(layer.rgba[..., 3])
    assert (np.ptp(columns), np.ptp(rows)) == (abs(dx), abs(dy))
    assert layer.rgba[..., 3].sum() == pytest.approx(240, abs=10)
    assert (layer.rgba[rows, columns, :3] == (200, 90, 10)).all()
    assert (columns.mean() + layer.left, rows.mean() + layer.top) == (
        pytest.approx(14, abs=1),
        pytest.approx(24, abs=1),
    )
