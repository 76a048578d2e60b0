"""Textures and sprites: value ranges, known periods, families."""

from __future__ import annotations

import math

import numpy as np
import pytest

from distillery.data.worlds import textures
from distillery.data.worlds.raster import RADIUS, TURN, unpack
from distillery.data.worlds.textures import FIELDS, Component, Texture
from distillery.data.worlds.video_sprites import Shape, Sprite, draw_shape, pixels, similar


def part(kind: str, period: int = 16 * 8, angle: int = 0, weight: int = 256) -> Component:
    return Component(kind, period, angle, phase=100, weight=weight, seed=5)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


@pytest.mark.parametrize("kind", FIELDS)
@pytest.mark.parametrize(("height", "width"), [(64, 64), (769, 1329)])
def test_fields_use_their_range_and_never_leave_it(kind, height, width):
    field = FIELDS[kind](part(kind, angle=300), height, width)
    assert field.shape == (height, width)
    assert field.min() >= 0
    assert field.max() <= 255
    assert np.ptp(field) > 120


@pytest.mark.parametrize("kind", ["sine", "stripes"])
@pytest.mark.parametrize(("angle", "axis"), [(0, 1), (TURN // 4, 0)])
def test_gratings_have_the_period_that_they_are_given(kind, angle, axis):
    field = FIELDS[kind](part(kind, angle=angle), 64, 64).astype(float)
    line = field.mean(axis=1 - axis)
    assert np.abs(np.fft.rfft(line))[1:].argmax() + 1 == 64 // 8


def test_texture_runs_between_its_colours():
    texture = Texture((part("sine"),), ((10, 200, 30), (90, 20, 40)))
    image = textures.synthesise(texture, 64, 64)
    assert image.reshape(-1, 3).min(axis=0).tolist() == [10, 20, 30]
    assert image.reshape(-1, 3).max(axis=0).tolist() == [90, 200, 40]


def test_drawn_textures_have_two_or_three_kinds_whose_weights_add_up():
    rng, kinds = generator(), tuple(FIELDS)
    for _ in range(50):
        texture = textures.draw_texture(rng, (8, 20), ((0, 0, 0), (255, 255, 255)), kinds)
        assert len({p.kind for p in texture.components}) == len(texture.components) in (2, 3)
        assert sum(p.weight for p in texture.components) == 256
        assert all(8 * 16 <= p.period < 20 * 16 for p in texture.components)


def test_look_alikes_share_the_family_but_not_the_object():
    rng = generator(3)
    texture = textures.draw_texture(rng, (8, 20), ((200, 30, 30), (20, 60, 220)), tuple(FIELDS))
    sprite = Sprite(draw_shape(rng), texture, 40)
    other = similar(rng, sprite)
    assert [p.kind for p in other.texture.components] == [p.kind for p in texture.components]
    assert other.texture != texture
    assert other.shape != sprite.shape
    for mine, theirs in zip(texture.colours, other.texture.colours, strict=True):
        assert textures.difference(mine, theirs) < 120


def test_polygon_outline_is_the_distance_to_its_sides():
    square = Shape("polygon", corners=tuple((k * TURN // 4 + TURN // 8, 256) for k in range(4)))
    theta = np.arange(TURN) * 2 * math.pi / TURN
    exact = 256 * math.cos(math.pi / 4) / np.maximum(np.abs(np.cos(theta)), np.abs(np.sin(theta)))
    assert np.abs(square.outline() - exact).max() <= 1.5


@pytest.mark.parametrize("seed", range(40))
def test_drawn_shapes_fill_a_good_part_of_the_disc_and_touch_it(seed):
    rng = generator(seed)
    shape = draw_shape(rng)
    outline = shape.outline()
    assert outline.max() == 256
    assert outline.min() > 50
    sprite = Sprite(shape, textures.draw_texture(rng, (8, 20), ((0, 0, 0), (250, 250, 250)), tuple(FIELDS)), 60)
    rgba = unpack(pixels(sprite)[0])
    assert rgba[..., 3].max() == 255
    assert (rgba[:2, :, 3] == 0).all() and (rgba[:, -2:, 3] == 0).all()
    share = (rgba[..., 3] >= 128).sum() / (math.pi * RADIUS**2)
    assert 0.25 < share <= 1.02
