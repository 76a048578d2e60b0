"""Textures of the embedded video world: two or three scalar fields, summed, between two colours; integers only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from distillery.data.worlds.raster import ONE, SINE, SUB, TURN, Bytes, Ints, cos, sin

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Component:
    """One scalar field."""

    kind: str
    """A key of `FIELDS`."""
    period: int
    """Repeat length, 1/16 pixel."""
    angle: int
    """Orientation, 1/4096 turn."""
    phase: int
    """Offset, 1/4096 period."""
    weight: int
    """Share in the sum; the shares of a texture add up to 256."""
    seed: int
    """Seed of the field's lattice, where it has one."""


@dataclass(frozen=True)
class Texture:
    """A recipe that `synthesise` turns into pixels."""

    components: tuple[Component, ...]
    colours: tuple[Colour, Colour]


def _axes(part: Component, height: int, width: int) -> tuple[Ints, Ints]:
    """Two orthogonal phases (H, W), in 1/4096 period, of a grating with the component's direction and period."""
    x = np.arange(width, dtype=np.int32)[None, :] - width // 2
    y = np.arange(height, dtype=np.int32)[:, None] - height // 2
    step_c, step_s = (wave * SUB * TURN // part.period >> 6 for wave in (cos(part.angle), sin(part.angle)))
    return (x * step_c + y * step_s >> 8) + part.phase, (y * step_c - x * step_s >> 8) + part.phase


def _sine(part: Component, height: int, width: int) -> Ints:
    """A sinusoidal grating."""
    along, _ = _axes(part, height, width)
    return np.asarray(128 + (SINE[along & (TURN - 1)] * 127 >> 14))


def _stripes(part: Component, height: int, width: int) -> Ints:
    """A grating of bars with soft edges."""
    along, _ = _axes(part, height, width)
    return np.asarray(np.clip(128 + (SINE[along & (TURN - 1)] * 640 >> 14), 0, 255))


def _checker(part: Component, height: int, width: int) -> Ints:
    """A checkerboard with soft edges."""
    along, across = _axes(part, height, width)
    product = SINE[along & (TURN - 1)] * (SINE[across & (TURN - 1)] >> 4) >> 10
    return np.asarray(np.clip(128 + (product * 900 >> 14), 0, 255))


def _dots(part: Component, height: int, width: int) -> Ints:
    """A lattice of soft discs."""
    along, across = _axes(part, height, width)
    total = SINE[along & (TURN - 1)] + SINE[across & (TURN - 1)] - ONE // 2
    return np.asarray(np.clip(128 + (total * 420 >> 14), 0, 255))


def _rings(part: Component, height: int, width: int) -> Ints:
    """Concentric rings around a point off the middle."""
    x = np.arange(width, dtype=np.int32)[None, :] - width // 2 + (cos(part.angle) * width >> 16)
    y = np.arange(height, dtype=np.int32)[:, None] - height // 2 + (sin(part.angle) * width >> 16)
    # IEEE 754 rounds square roots correctly, so this floor is the same everywhere.
    distance = np.sqrt((x * x + y * y << 8).astype(np.float64)).astype(np.int32)  # 1/16 pixel
    angle = distance * TURN // part.period + part.phase
    return np.asarray(128 + (SINE[angle & (TURN - 1)] * 127 >> 14))


def _noise(part: Component, height: int, width: int) -> Ints:
    """Value noise: random levels on a lattice, smoothly interpolated."""
    cell = max(part.period // 2, 16)
    rows, columns = height * 16 // cell + 2, width * 16 // cell + 2
    lattice = np.random.Generator(np.random.PCG64(part.seed)).integers(0, 256, size=(rows, columns), dtype=np.int32)

    def cells(length: int) -> tuple[Ints, Ints]:
        place = np.arange(length, dtype=np.int32) * 16
        index = place // cell
        part_of_cell = (place - index * cell) * (TURN // 2) // cell
        return index, (ONE - SINE[(part_of_cell + TURN // 4) & (TURN - 1)]) >> 7  # 0..256, cosine ease

    row, down = cells(height)
    column, across = cells(width)
    wide = lattice[:, column] * (256 - across) + lattice[:, column + 1] * across >> 8
    level = wide[row] * (256 - down)[:, None] + wide[row + 1] * down[:, None] >> 8
    return np.asarray(np.clip((level - 128) * 3 // 2 + 128, 0, 255), dtype=np.int32)


def _blotches(part: Component, height: int, width: int) -> Ints:
    """Value noise with a steep step: camouflage."""
    return np.asarray(np.clip((_noise(part, height, width) - 128) * 6 + 128, 0, 255))


FIELDS: dict[str, Callable[[Component, int, int], Ints]] = {
    "sine": _sine,
    "stripes": _stripes,
    "checker": _checker,
    "dots": _dots,
    "rings": _rings,
    "noise": _noise,
    "blotches": _blotches,
}
"""Scalar fields (H, W) of values 0..255."""


def synthesise(texture: Texture, height: int, width: int) -> Bytes:
    """Pixels (height, width, 3) of a texture."""
    level = np.zeros((height, width), dtype=np.int32)
    for part in texture.components:
        level += FIELDS[part.kind](part, height, width) * part.weight
    level = np.clip((level - 128 * 256) * 3 // 2 + 128 * 256, 0, 65280) >> 8
    first, second = (np.array(colour, dtype=np.int32) for colour in texture.colours)
    table = (first * (255 - np.arange(256, dtype=np.int32)[:, None]) + second * np.arange(256)[:, None]) // 255
    return np.asarray(table.astype(np.uint8)[level])


def draw_colour(rng: np.random.Generator, vivid: tuple[int, int], light: tuple[int, int]) -> Colour:
    """A colour with hue, chroma in `vivid` and lightness in `light` drawn evenly (both within 0..255)."""
    hue, chroma = int(rng.integers(TURN)), int(rng.integers(*vivid))
    base = int(rng.integers(*light))
    red, green, blue = (min(max(base + (chroma * cos(hue + third * TURN // 3) >> 14), 0), 255) for third in range(3))
    return red, green, blue


def difference(first: Colour, second: Colour) -> int:
    """Sum of absolute channel differences, 0..765."""
    return sum(abs(a - b) for a, b in zip(first, second, strict=True))


def blend(first: Colour, second: Colour, share: int) -> Colour:
    """`first` moved towards `second` by `share`/256."""
    red, green, blue = (a + ((b - a) * share >> 8) for a, b in zip(first, second, strict=True))
    return red, green, blue


def draw_texture(
    rng: np.random.Generator, periods: tuple[int, int], colours: tuple[Colour, Colour], kinds: tuple[str, ...]
) -> Texture:
    """Draws two or three components of different kinds.

    Args:
        rng: Source of randomness; only `Generator.integers` is used.
        periods: Range of the repeat length, in pixels.
        colours: The two ends of the texture.
        kinds: The kinds to choose from, keys of `FIELDS`.
    """
    count = 2 + int(rng.integers(2))
    left, parts, free = 256, [], list(kinds)
    for index in range(count):
        kind = free.pop(int(rng.integers(len(free))))
        weight = left if index == count - 1 else int(rng.integers(left * 5 // 16, left * 11 // 16))
        left -= weight
        period = int(rng.integers(periods[0] * 16, periods[1] * 16))
        angle, phase, seed = (int(rng.integers(limit)) for limit in (TURN, TURN, 2**31))
        parts.append(Component(kind, period, angle, phase, weight, seed))
    return Texture(tuple(parts), colours)


def look_alike(rng: np.random.Generator, texture: Texture, share: int = 24) -> Texture:
    """Another texture of the same family: same kinds, nearby colours, other periods, directions and phases."""
    parts = tuple(
        replace(
            part,
            period=part.period * int(rng.integers(205, 315)) // 256,
            angle=int(rng.integers(TURN)),
            phase=int(rng.integers(TURN)),
            seed=int(rng.integers(2**31)),
        )
        for part in texture.components
    )
    first, second = (
        blend(colour, draw_colour(rng, (30, 120), (70, 190)), int(rng.integers(share))) for colour in texture.colours
    )
    return Texture(parts, (first, second))
