"""Integer drawing: shapes, shading and noise that are the same bytes on every machine.

No floating point takes part in a pixel, so neither the SIMD width nor the maths library can move a value. Shapes are
drawn on a supersampled canvas in *figure units*: 1000 units are the height of a person of average size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]
Colour = tuple[int, int, int]
Fill = Colour | Callable[[Ints, Ints], Ints]
"""A plain colour, or a texture: (x (1, w), y (h, 1)) in figure units -> RGB (h, w, 3)."""

UNIT = 1024
"""Fixed-point one of `sine` and `cosine`; a full turn is 256 steps."""
_SINE = tuple(round(UNIT * math.sin(2 * math.pi * step / 256)) for step in range(256))
_SUPERSAMPLING = 2
_ALONG = 32  # steps along a capsule; keeps every product below within 31 bits


def sine(angle: int) -> int:
    """`UNIT` times the sine of `angle` / 256 turns."""
    return _SINE[angle % 256]


def cosine(angle: int) -> int:
    """`UNIT` times the cosine of `angle` / 256 turns."""
    return _SINE[(angle + 64) % 256]


def piecewise(points: Sequence[tuple[int, int]], at: Ints) -> Ints:
    """Linear interpolation through `points` (ascending abscissae), in integers; constant beyond the ends."""
    value = np.full_like(at, points[0][1])
    for (x0, y0), (x1, y1) in pairwise(points):
        inside = y0 + (y1 - y0) * (np.clip(at, x0, x1) - x0) // (x1 - x0)
        value = np.where(at >= x0, inside, value)
    return value


def value_noise(generator: np.random.Generator, height: int, width: int, cell: int, amplitude: int) -> Ints:
    """Smooth noise (height, width) in -amplitude..amplitude: a random lattice, bilinearly interpolated."""
    lattice = generator.integers(-amplitude, amplitude + 1, (height // cell + 2, width // cell + 2), dtype=np.int32)
    index, part = np.divmod(np.arange(height, dtype=np.int32), cell)
    rows = lattice[index] * (cell - part)[:, None] + lattice[index + 1] * part[:, None]
    index, part = np.divmod(np.arange(width, dtype=np.int32), cell)
    noise: Ints = (rows[:, index] * (cell - part) + rows[:, index + 1] * part) // (cell * cell)
    return noise


def shuffled(generator: np.random.Generator, count: int) -> list[int]:
    """0 .. count - 1 in random order, from whole numbers and a stable sort alone."""
    lots = generator.integers(0, 2**62, count, dtype=np.int64)
    return [int(index) for index in np.argsort(lots, kind="stable")]


def _pooled(samples: Ints) -> Ints:
    """Sums of the samples of each pixel."""
    n = _SUPERSAMPLING
    rows = sum((samples[start::n] for start in range(1, n)), start=samples[::n])
    return sum((rows[:, start::n] for start in range(1, n)), start=rows[:, ::n])


@dataclass(frozen=True)
class Sprite:
    """A drawn figure, cut to its outline.

    Attributes:
        rgb: Colours (h, w, 3), 0..255.
        alpha: Coverage (h, w), 0..256; 128 and more counts as the figure.
        left: Column of the first pixel relative to the figure's x = 0.
        top: Row of the first pixel relative to the row of the figure's y = 1000 (the ground).
    """

    rgb: Ints
    alpha: Ints
    left: int
    top: int


class Canvas:
    """A supersampled canvas in figure units: x to the right with 0 in the middle, y down with the ground at 1000.

    Args:
        height_px: Pixels in 1000 units.
        half_width: Half of the canvas width in units.
        top: y of the upper edge in units.
        light: Horizontal direction of the light, -64 (from the left) to 64 (from the right).
    """

    def __init__(self, height_px: int, half_width: int = 340, top: int = -40, light: int = 0) -> None:
        samples = _SUPERSAMPLING * height_px  # samples in 1000 units
        self._above = -(-samples * (1000 - top) // (1000 * _SUPERSAMPLING))
        below = 1 + height_px // 25
        self._beside = 1 + half_width * height_px // 1000
        row = np.arange(_SUPERSAMPLING * (self._above + below), dtype=np.int32) - _SUPERSAMPLING * self._above
        column = np.arange(_SUPERSAMPLING * 2 * self._beside, dtype=np.int32) - _SUPERSAMPLING * self._beside
        self.y: Ints = 1000 + (2 * row[:, None] + 1) * 1000 // (2 * samples)
        self.x: Ints = (2 * column[None, :] + 1) * 1000 // (2 * samples)
        self._rgb: Ints = np.zeros((row.size, column.size, 3), np.int32)
        self._cover: Mask = np.zeros((row.size, column.size), np.bool_)
        self._light = light

    def capsule(self, a: tuple[int, int], b: tuple[int, int], radius_a: int, radius_b: int, fill: Fill) -> None:
        """A thick line from `a` to `b` whose radius runs from `radius_a` to `radius_b`; darker at its rim."""
        reach = max(radius_a, radius_b)
        window = self._window(
            min(a[0], b[0]) - reach, max(a[0], b[0]) + reach, min(a[1], b[1]) - reach, max(a[1], b[1]) + reach
        )
        dx, dy = self.x[:, window[1]] - a[0], self.y[window[0]] - a[1]
        ux, uy = b[0] - a[0], b[1] - a[1]
        along = np.clip((dx * ux + dy * uy) * _ALONG // max(ux * ux + uy * uy, 1), 0, _ALONG)
        ex, ey = dx * _ALONG - ux * along, dy * _ALONG - uy * along
        limit = radius_a * _ALONG + (radius_b - radius_a) * along
        distance, limit_squared = ex * ex + ey * ey, limit * limit
        shade = 268 - 80 * (distance >> 8) // np.maximum(limit_squared >> 8, 1)
        shade = shade + self._light * (ex // 16) // np.maximum(limit // 16, 1)
        self._paint(window, distance <= limit_squared, fill, shade)

    def ellipse(self, centre: tuple[int, int], rx: int, ry: int, fill: Fill, below: int = -9999) -> None:
        """An ellipse with half-axes `rx`, `ry`; only its part with y >= `below`."""
        window = self._window(centre[0] - rx, centre[0] + rx, max(centre[1] - ry, below), centre[1] + ry)
        dx = (self.x[:, window[1]] - centre[0]) * 256 // rx
        dy = (self.y[window[0]] - centre[1]) * 256 // ry
        distance = dx * dx + dy * dy
        shade = 268 - 60 * distance // 65536 + self._light * dx // 256
        self._paint(window, distance <= 65536, fill, shade)

    def column(self, centre: int, half_widths: Sequence[tuple[int, int]], fill: Fill, lean: int = 0) -> None:
        """A symmetric upright shape given by (y, half-width) points; its axis leans by `lean` units."""
        top, foot = half_widths[0][0], half_widths[-1][0]
        reach = max(half for _, half in half_widths) + abs(lean)
        window = self._window(centre - reach, centre + reach, top, foot)
        y = self.y[window[0]]
        half = np.maximum(piecewise(half_widths, y), 1)
        across = (self.x[:, window[1]] - centre - lean * (y - top) // max(foot - top, 1)) * 256 // half
        shade = 268 - 70 * across * across // 65536 + self._light * across // 256
        self._paint(window, np.abs(across) <= 256, fill, shade)

    def sprite(self) -> Sprite:
        """Averages the samples of each pixel and cuts the result to its outline."""
        n = _SUPERSAMPLING
        count, total = _pooled(self._cover.astype(np.int32)), _pooled(self._rgb)
        inside = count * 2 >= n * n
        inside = inside if inside.any() else count > 0  # a figure thinner than a pixel
        inside_rows, inside_columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        cut = np.s_[inside_rows[0] : inside_rows[-1] + 1, inside_columns[0] : inside_columns[-1] + 1]
        rgb = total[cut] // np.maximum(count[cut], 1)[..., None]
        return Sprite(
            rgb, count[cut] * 256 // (n * n), int(inside_columns[0]) - self._beside, int(inside_rows[0]) - self._above
        )

    def _window(self, x0: int, x1: int, y0: int, y1: int) -> tuple[slice, slice]:
        """Rows and columns whose samples lie in the given rectangle."""
        rows = np.searchsorted(self.y[:, 0], [y0, y1 + 1])
        columns = np.searchsorted(self.x[0], [x0, x1 + 1])
        return slice(int(rows[0]), int(rows[1])), slice(int(columns[0]), int(columns[1]))

    def _paint(self, window: tuple[slice, slice], mask: Mask, fill: Fill, shade: Ints) -> None:
        if not mask.any():
            return
        colour = fill(self.x[:, window[1]], self.y[window[0]])[mask] if callable(fill) else np.array(fill, np.int32)
        self._rgb[window][mask] = np.clip(colour * shade[mask][:, None] >> 8, 0, 255)
        self._cover[window][mask] = True
