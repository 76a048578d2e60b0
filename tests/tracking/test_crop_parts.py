"""Crops beside a literal reference: SiamFC's square with context, and the mapping of pysot's `par_crop.py`."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillery.config.pairs import Pairs
from distillery.config.shards import sides
from distillery.tracking.augmentation import margin
from distillery.tracking.crop_parts import BLOCK, Part, Scale, part_of

SCALE = Scale(127, 0.5)
W, H = 160, 120


def frame(size: tuple[int, int] = (W, H), grain: int = 40) -> np.ndarray:
    noise = np.random.default_rng(1)
    smooth = cv2.resize(noise.integers(0, 200, (12, 16, 3), dtype=np.uint8), size, interpolation=cv2.INTER_CUBIC)
    return cv2.add(smooth, noise.integers(0, grain, smooth.shape, dtype=np.uint8))


def reference(image: np.ndarray, corners: tuple[float, float, float, float], side: int) -> np.ndarray:
    """The whole crop in float64, pixel by pixel.

    SiamFC, section 3.1 and 3.2: a square of side sqrt((w + 2p)(h + 2p)), p = (w + h) / 4, becomes 127 pixels, the crop
    shows side/127 times as much. pysot maps the square's edges to the centres of the first and the last pixel, reads
    between pixels bilinearly, and takes the frame's mean colour for those outside.
    """
    x1, y1, x2, y2 = corners
    centre, w, h = ((x1 + x2) / 2, (y1 + y2) / 2), x2 - x1, y2 - y1
    p = (w + h) / 4
    square = math.sqrt((w + 2 * p) * (h + 2 * p)) * side / 127
    padded = np.full((image.shape[0] + 2, image.shape[1] + 2, 3), np.round(image.mean((0, 1))))
    padded[1:-1, 1:-1] = image
    outside = padded[0, 0]
    made = np.empty((side, side, 3))
    for row in range(side):
        for column in range(side):
            x = centre[0] - square / 2 + column * square / (side - 1) + 1
            y = centre[1] - square / 2 + row * square / (side - 1) + 1
            left, top = math.floor(x), math.floor(y)
            if not (0 <= left < padded.shape[1] - 1 and 0 <= top < padded.shape[0] - 1):
                made[row, column] = outside
                continue
            a, b = x - left, y - top
            upper = (1 - a) * padded[top, left] + a * padded[top, left + 1]
            lower = (1 - a) * padded[top + 1, left] + a * padded[top + 1, left + 1]
            made[row, column] = (1 - b) * upper + b * lower
    return made


def unfolded(part: Part, side: int, border: tuple[float, float, float]) -> np.ndarray:
    """The whole crop that a part stands for, by one warp."""
    step = part.scale * side / (side - 1)
    middle = (side - 1) / 2
    matrix = np.array([[step, 0, part.centre[0] - step * middle], [0, step, part.centre[1] - step * middle]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(part.image, matrix, (side, side), flags=flags, borderValue=border)


BOXES = [
    pytest.param((60.0, 40.0, 90.0, 65.0), 95, id="inside, shrunk"),
    pytest.param((70.5, 50.25, 82.0, 60.0), 151, id="small, enlarged"),
    pytest.param((2.0, 3.0, 40.0, 60.0), 121, id="in the corner"),
    pytest.param((5.0, 4.0, 150.0, 115.0), 101, id="nearly the whole frame"),
    pytest.param((130.0, 90.0, 175.0, 140.0), 151, id="half outside"),
    pytest.param((-30.0, 40.0, -2.0, 60.0), 111, id="outside, in view"),
]


def cut(image: np.ndarray, corners: tuple[float, ...], side: int) -> tuple[Part, tuple[float, float, float]]:
    x1, y1, x2, y2 = corners
    border = tuple(float(value) for value in np.round(image.mean((0, 1))))
    part = part_of(image, ((x1 + x2) / 2, (y1 + y2) / 2), (x2 - x1, y2 - y1), side, SCALE, border)
    assert part is not None
    return part, border


@pytest.mark.parametrize(("corners", "side"), BOXES)
def test_a_part_is_the_crop_of_the_reference(corners: tuple[float, ...], side: int) -> None:
    image = frame()
    part, border = cut(image, corners, side)
    difference = np.abs(unfolded(part, side, border) - reference(image, corners, side))
    # OpenCV places pixels on a grid of 1/32: on this frame's grain of 40 levels that is a level or two.
    assert difference.mean() < 0.5
    assert difference.max() <= 5
    assert part.image.shape[0] * part.image.shape[1] <= side**2


def test_where_the_crop_shrinks_it_is_pysots_to_the_bit() -> None:
    """OpenCV's own warp with pysot's matrix, whose padding is cut away."""
    image, corners, side = frame((480, 360)), (30.0, 100.0, 130.0, 240.0), 101
    part, border = cut(image, corners, side)
    x1, y1, x2, y2 = corners
    p = (x2 - x1 + y2 - y1) / 4
    square = math.sqrt((x2 - x1 + 2 * p) * (y2 - y1 + 2 * p)) * side / 127
    left, top = (x1 + x2 - square) / 2, (y1 + y2 - square) / 2
    a = (side - 1) / square
    whole = cv2.warpAffine(image, np.array([[a, 0, -a * left], [0, a, -a * top]]), (side, side), borderValue=border)
    column, row = ((side - 1) / 2 - value for value in part.centre)
    assert column == int(column) > 0
    rows, columns = slice(int(row), int(row) + len(part.image)), slice(int(column), int(column) + part.image.shape[1])
    # The matrix differs in its last bits, which may move a pixel by one step of OpenCV's grid.
    assert (whole[rows, columns] == part.image).mean() > 0.99
    assert np.abs(whole[rows, columns].astype(int) - part.image).max() <= 3
    whole[rows, columns] = border
    assert (whole == border).all()


def test_pixels_of_the_frame_are_kept_where_it_would_be_enlarged() -> None:
    image = frame()
    part, _ = cut(image, (70, 50, 82, 60), 151)
    height, width = part.image.shape[:2]
    column, row = round(76 - part.centre[0]), round(55 - part.centre[1])
    assert np.array_equal(part.image, image[row : row + height, column : column + width])


@pytest.mark.parametrize(("corners", "side"), [((70.0, 50.0, 82.0, 60.0), 301), ((62.0, 40.0, 92.0, 70.0), 151)])
def test_what_jpeg_loses_is_no_more_than_of_the_whole_crop(corners: tuple[float, ...], side: int) -> None:
    """Frames of all training sets are JPEG; the crop of one, stored as a part or as a whole."""
    image = cv2.imdecode(cv2.imencode(".jpg", frame(grain=12))[1], 1)
    part, border = cut(image, corners, side)
    whole = unfolded(part, side, border)
    stored, peers = (cv2.imdecode(cv2.imencode(".jpg", pixels)[1], 1) for pixels in (part.image, whole))
    ours = unfolded(part._replace(image=stored), side, border)
    lost, lost_of_whole = (np.abs(made.astype(int) - whole).mean() for made in (ours, peers))
    assert lost < max(1.0, 1.1 * lost_of_whole)


@pytest.mark.parametrize("centre", [(-500.0, 60.0), (700.0, 60.0), (80.0, -400.0), (80.0, 600.0)])
def test_nothing_of_the_frame_is_no_part(centre: tuple[float, float]) -> None:
    assert part_of(frame(), centre, (20, 20), 127, SCALE, (0, 0, 0)) is None


@given(
    centre=st.tuples(st.floats(-200, 400), st.floats(-200, 400)),
    size=st.tuples(st.floats(0.5, 500), st.floats(0.5, 500)),
    side=st.integers(32, 300),
)
def test_a_part_lies_in_its_crop(centre: tuple[float, float], size: tuple[float, float], side: int) -> None:
    part = part_of(np.zeros((H, W, 3), np.uint8), centre, size, side, SCALE, (0, 0, 0))
    if part is None:
        return
    height, width = part.image.shape[:2]
    assert min(height, width) >= 1
    assert part.scale <= 1.0 + 1e-9 or max(height, width) <= max(W, H)
    # Its pixels lie within the square, the pixel beyond that bilinear reading needs, and the rest of a JPEG block.
    reach = side / 2 * part.scale + 1.5
    assert part.centre[0] - reach <= BLOCK
    assert part.centre[0] + reach >= width - 1
    assert part.centre[1] - reach <= BLOCK
    assert part.centre[1] + reach >= height - 1


@given(st.floats(0, 0.5), st.integers(0, 90), st.floats(0, 0.5), st.integers(0, 90), st.integers(32, 300))
def test_the_sides_are_the_margins_of_the_augmentations(a: float, b: int, c: float, d: int, search: int) -> None:
    pairs = Pairs(epoch=1, exemplar_stretch=a, exemplar_shift=b, stretch=c, shift=d)
    inner, outer = sides(pairs, 127, search)
    assert outer == margin(pairs, 127, search)
    assert inner == margin(pairs.model_copy(update={"stretch": 0.0, "shift": 0}), 127, 1)
