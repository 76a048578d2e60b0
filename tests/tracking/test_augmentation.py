from __future__ import annotations

import cv2
import numpy as np
import pytest

from distillery.config.pairs import Pairs
from distillery.tracking.augmentation import COLOUR_AXES, UNIFORMS, Augmentations, augmentations, cut, margin
from distillery.tracking.crops import Surroundings


def drawn(count: int = 400, side: int = 255, *, blur: float = 0.0, **options: float) -> Augmentations:
    noise = np.random.default_rng(0)
    return augmentations(
        noise.random((count, UNIFORMS)),
        noise.standard_normal((count, 3)),
        np.zeros(count, bool),
        Pairs(epoch=1, **options),
        stretch=0.1,
        shift=3,
        blur=blur,
        side=side,
    )


def plain(**changes: object) -> Augmentations:
    """One crop to which nothing happens."""
    nothing = Augmentations(np.ones((1, 2)), np.zeros((1, 2), np.int64), None, np.zeros(1, np.int64), np.zeros(1))
    return nothing._replace(**changes)


def cropped(image: np.ndarray, augmentation: Augmentations) -> np.ndarray:
    """The whole image as its own surroundings."""
    side = len(image)
    out = np.empty_like(image)
    cut(Surroundings(image, ((side - 1) / 2, (side - 1) / 2), 1.0), 0, augmentation, side, out)
    return out


IMAGE = np.random.default_rng(1).integers(0, 256, (61, 61, 3), dtype=np.uint8)


def test_nothing_happens_without_settings() -> None:
    assert drawn().colour is None
    assert not drawn().blur.any()
    assert np.array_equal(cropped(IMAGE, plain()), IMAGE)


def test_stretch_and_shift_keep_their_limits() -> None:
    one, two = drawn(), drawn(aspect=True)
    assert np.array_equal(one.stretch[:, 0], one.stretch[:, 1])
    assert abs(np.corrcoef(two.stretch.T)[0, 1]) < 0.2
    assert np.array_equal(one.stretch[:, 0], two.stretch[:, 0])  # one setting leaves the others' numbers alone
    assert 0.9 <= two.stretch.min() < 0.91
    assert 1.09 < two.stretch.max() <= 1.1
    assert set(one.shift.flatten()) == set(range(-3, 4))


class TestBlur:
    @pytest.mark.parametrize(("side", "lengths"), [(255, range(5, 46, 2)), (127, range(3, 24, 2))])
    def test_lengths_are_the_references_and_go_with_the_crop(self, side: int, lengths: range) -> None:
        made = drawn(3000, side, blur=0.5)
        assert set(made.blur) == {0, *lengths}
        assert 0.45 < (made.blur > 0).mean() < 0.55

    @pytest.mark.parametrize("length", [3, 7])
    def test_is_pysots_cross(self, length: int) -> None:
        kernel = np.zeros((length, length))
        kernel[:, length // 2] += 0.3 / length
        kernel[length // 2] += 0.7 / length
        found = cropped(IMAGE, plain(blur=np.array([length]), blur_weight=np.array([0.3])))
        expected = cv2.filter2D(IMAGE.astype(float), -1, kernel)
        assert np.abs(found - expected).max() <= 1.01  # the bars are rounded before they are mixed


class TestColour:
    def test_brightness(self) -> None:
        colour = drawn(colour=0.5).colour
        assert colour is not None
        gains = colour[:, 0, 0]
        assert 0.5 <= gains.min() < 0.52
        assert 1.48 < gains.max() <= 1.5
        assert np.array_equal(colour[..., :3], gains[:, None, None] * np.eye(3))
        assert not colour[..., 3].any()

    def test_grey_has_the_luma_of_the_standard(self) -> None:
        made = augmentations(
            np.zeros((1, UNIFORMS)),
            np.zeros((1, 3)),
            np.array([True]),
            Pairs(epoch=1, grey=0.5),
            stretch=0.0,
            shift=0,
            blur=0.0,
            side=61,
        )
        found = cropped(IMAGE, made)
        luma = cv2.cvtColor(IMAGE, cv2.COLOR_RGB2GRAY)
        for channel in range(3):
            assert np.abs(found[..., channel].astype(int) - luma).max() <= 1

    def test_jitter_goes_along_the_axes(self) -> None:
        colour = drawn(4000, jitter=2.0).colour
        assert colour is not None
        offsets = colour[..., 3]
        expected = 4 * COLOUR_AXES.T @ COLOUR_AXES
        np.testing.assert_allclose(np.cov(offsets.T), expected, rtol=0.1, atol=1)
        # Mostly brightness: the three channels move together.
        assert np.corrcoef(offsets.T).min() > 0.5

    def test_saturates(self) -> None:
        offset = np.concatenate([np.eye(3), np.full((3, 1), 300.0)], axis=1)[None]
        assert (cropped(IMAGE, plain(colour=offset)) == 255).all()
        assert (cropped(IMAGE, plain(colour=-offset)) == 0).all()


def test_margin_holds_the_widest_crop() -> None:
    assert margin(Pairs(epoch=1, stretch=0.18, shift=64), 127, 255) == int(np.ceil(255 / 0.82 + 128)) + 2
    assert margin(Pairs(epoch=1, exemplar_shift=200), 127, 239) == int(np.ceil(127 / 0.95 + 400)) + 2
