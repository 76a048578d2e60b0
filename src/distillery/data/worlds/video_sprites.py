"""Objects of the embedded video world: a star-shaped or polygonal soft mask over a texture."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from distillery.data.worlds.raster import RADIUS, SINE, SPRITE, TURN, Ints, Packed, mipmaps, sin
from distillery.data.worlds.textures import Texture, look_alike, synthesise


@dataclass(frozen=True)
class Shape:
    """A closed outline: its radius as a function of the angle, 1/256 of the sprite's radius."""

    kind: str
    """`polygon`, `star` or `blob`."""
    corners: tuple[tuple[int, int], ...] = ()
    """Polygon and star: (angle in 1/4096 turn, radius 1..256), ordered by angle, less than half a turn apart."""
    waves: tuple[tuple[int, int, int], ...] = ()
    """Blob: (frequency, amplitude in 1/256, phase in 1/4096 turn)."""

    def outline(self) -> Ints:
        """Radius at each of the 4096 angles, largest 256."""
        radius = _polygon(self.corners) if self.corners else _waves(self.waves)
        return np.asarray(radius * 256 // int(radius.max()), dtype=np.int32)


@dataclass(frozen=True)
class Sprite:
    """A recipe that `pixels` turns into an image with transparency."""

    shape: Shape
    texture: Texture
    rim: int
    """Darkness of the outline's inner rim, 0..256."""


def _polygon(corners: tuple[tuple[int, int], ...]) -> Ints:
    """Distance from the origin to the sides: r1 r2 sin(b - a) / (r1 sin(t - a) + r2 sin(b - t))."""
    radius = np.zeros(TURN, dtype=np.int64)
    for (start, first), (end, second) in zip(corners, (*corners[1:], corners[0]), strict=True):
        span = (end - start) % TURN
        step = np.arange(span, dtype=np.int64)
        bottom = first * SINE[step].astype(np.int64) + second * SINE[span - step]
        radius[(start + step) % TURN] = 16 * first * second * sin(span) // np.maximum(bottom, 1)
    return radius.astype(np.int32)


def _waves(waves: tuple[tuple[int, int, int], ...]) -> Ints:
    """A circle with ripples."""
    angle = np.arange(TURN, dtype=np.int32)
    radius = np.full(TURN, 256 * 16, dtype=np.int32)
    for frequency, amplitude, phase in waves:
        radius += SINE[(angle * frequency + phase) & (TURN - 1)] * amplitude >> 10
    return radius


@cache
def _polar() -> tuple[Ints, Ints]:
    """Angle (1/4096 turn) and distance (1/16 sprite pixel) of each sprite pixel's centre from the middle."""
    odd = [2 * i + 1 - SPRITE for i in range(SPRITE)]
    angle = [[round(math.atan2(y, x) * TURN / (2 * math.pi)) % TURN for x in odd] for y in odd]
    distance = [[math.isqrt((x * x + y * y) * 64) for x in odd] for y in odd]
    return np.array(angle, dtype=np.int32), np.array(distance, dtype=np.int32)


def draw_shape(rng: np.random.Generator) -> Shape:
    """Draws a polygon (3 to 7 corners), a star (4 to 7 spikes) or a blob (two or three ripples)."""
    kind = ("polygon", "star", "blob")[int(rng.integers(3))]
    turn = int(rng.integers(TURN))
    if kind == "blob":
        picked = [(frequency, int(rng.integers(10, 60))) for frequency in (2, 3, 5) if rng.integers(4)]
        return Shape(kind, waves=tuple((f, a * 2 // f + 6, int(rng.integers(TURN))) for f, a in (picked or [(2, 50)])))
    if kind == "star":
        spikes, dent = int(rng.integers(4, 8)), int(rng.integers(130, 200))
        corners = [(turn + TURN * k // (2 * spikes), 256 if k % 2 else dent) for k in range(2 * spikes)]
    else:
        sides = int(rng.integers(3, 8))
        jitter = TURN // (6 * sides) if sides > 3 else TURN // 24
        corners = [
            (turn + TURN * k // sides + int(rng.integers(-jitter, jitter)), int(rng.integers(190, 257)))
            for k in range(sides)
        ]
    return Shape(kind, corners=tuple(sorted((angle % TURN, radius) for angle, radius in corners)))


def draw_shield(rng: np.random.Generator) -> Shape:
    """Draws an octagon, nearly regular, that fills nearly the whole disc: it hides what lies behind."""
    turn = int(rng.integers(TURN))
    corners = [((turn + TURN * k // 8) % TURN, int(rng.integers(232, 257))) for k in range(8)]
    return Shape("polygon", corners=tuple(sorted(corners)))


def similar(rng: np.random.Generator, sprite: Sprite) -> Sprite:
    """A look-alike: same family of texture and nearby colours, other shape."""
    return replace(sprite, shape=draw_shape(rng), texture=look_alike(rng, sprite.texture))


def pixels(sprite: Sprite) -> tuple[Packed, ...]:
    """RGBA of a sprite as `raster.mipmaps`: soft edge, darker rim, and a little roundness."""
    angle, distance = _polar()
    depth = (sprite.shape.outline()[angle] * RADIUS >> 4) - distance  # 1/16 sprite pixel inside the outline
    alpha = np.clip(128 + depth * 8, 0, 255)
    rim = np.clip(48 - depth, 0, 48) * sprite.rim // 48
    roundness = distance * 56 // (RADIUS * 16)
    shade = 280 - roundness - rim
    colour = np.clip(synthesise(sprite.texture, SPRITE, SPRITE).astype(np.int32) * shade[..., None] >> 8, 0, 255)
    return mipmaps(np.concatenate([colour, alpha[..., None]], axis=-1))
