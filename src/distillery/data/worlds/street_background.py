"""The empty street: sky, house fronts with windows and shops, trees, and a paved ground in perspective."""

from __future__ import annotations

import numpy as np

from distillery.data.worlds.street_looks import CLOTHES
from distillery.data.worlds.street_raster import Colour, Ints, value_noise

_FRONTS: tuple[Colour, ...] = (
    (158, 132, 110),
    (132, 84, 68),
    (186, 178, 160),
    (120, 122, 126),
    (168, 150, 112),
    (96, 104, 108),
    (198, 190, 184),
    (142, 110, 92),
)
_GROUNDS: tuple[Colour, ...] = (
    (128, 126, 122),
    (106, 108, 112),
    (150, 140, 126),
    (136, 116, 100),
    (92, 94, 96),
    (160, 158, 152),
)
_SKIES: tuple[Colour, ...] = ((196, 208, 222), (214, 214, 212), (150, 180, 214), (226, 214, 196))
_TREES: tuple[Colour, ...] = ((54, 82, 44), (74, 98, 50), (92, 96, 48))


def draw_background(generator: np.random.Generator, width: int, height: int, horizon: int) -> Ints:
    """Draws an empty street (height, width, 3), 0..255, whose ground plane vanishes at row `horizon`."""
    street: Ints = np.empty((height, width, 3), np.int32)
    base = horizon + max(height // 30, 2)  # where the fronts meet the ground
    sky = _pick(generator, _SKIES)
    street[:base] = sky
    _fronts(generator, street, base)
    _ground(generator, street, base, horizon)
    _trees(generator, street, base)
    grain = value_noise(generator, height, width, 3, 9) + value_noise(generator, height, width, 23, 14)
    return np.clip(street + grain[..., None], 0, 255)


def _pick(generator: np.random.Generator, palette: tuple[Colour, ...], jitter: int = 12) -> Ints:
    colour = np.array(palette[int(generator.integers(0, len(palette)))], np.int32)
    return colour + generator.integers(-jitter, jitter + 1, 3, dtype=np.int32)


def _span(generator: np.random.Generator, low: int, high: int) -> int:
    """A whole number in low..high - 1, or `low` where there is no room."""
    return int(generator.integers(low, max(high, low + 1)))


def _fronts(generator: np.random.Generator, street: Ints, base: int) -> None:
    """House fronts side by side, each with its own colour, courses of brick, windows and often a shop."""
    width = street.shape[1]
    left = 0
    while left < width:
        right = min(left + _span(generator, width // 4, width * 3 // 5), width)
        roof = 0 if generator.integers(0, 3) else _span(generator, 0, base // 2)
        front = street[roof:base, left:right]
        rows = np.arange(front.shape[0], dtype=np.int32)[:, None]
        columns = np.arange(front.shape[1], dtype=np.int32)[None, :]
        colour = _pick(generator, _FRONTS)
        front[:] = colour
        course = _span(generator, 4, 8)
        seams = (rows % course == 0) | ((columns + rows // course % 2 * course) % (2 * course) == 0)
        if generator.integers(0, 2):
            front[seams] = colour * 220 >> 8
        step_x, step_y = (
            _span(generator, width // 16 + 4, width // 8 + 5),
            _span(generator, base // 4 + 4, base // 2 + 5),
        )
        glass = _pick(generator, ((58, 68, 80), (36, 40, 46), (120, 136, 150)))
        window = (columns % step_x > step_x * 2 // 5) & (rows % step_y > step_y // 2)
        frame = (columns % step_x > step_x // 3) & (rows % step_y > step_y * 2 // 5)
        front[frame] = np.minimum(colour + 34, 255)
        front[window] = glass
        if generator.integers(0, 3):
            _shop(generator, front)
        left = right


def _shop(generator: np.random.Generator, front: Ints) -> None:
    """A shop window with an awning and goods in the colours of clothes."""
    rows, columns = front.shape[:2]
    top = rows * 3 // 5
    front[top:] = _pick(generator, ((50, 54, 60), (92, 96, 100), (140, 136, 126)))
    good = max(columns // _span(generator, 5, 11), 3)
    for left in range(good // 3, columns - good // 2, good):
        tall = _span(generator, 1, (rows - top) * 2 // 3)
        front[rows - tall :, left : left + good // 2] = _pick(generator, CLOTHES)
    awning = max((rows - top) // 4, 1)
    first, second = _pick(generator, CLOTHES), _pick(generator, CLOTHES)
    stripes = np.arange(columns) // 5 % 2 == 0
    front[top : top + awning] = np.where(stripes[:, None], first, second)


def _trees(generator: np.random.Generator, street: Ints, base: int) -> None:
    """Crowns and trunks in front of the houses."""
    height, width = street.shape[:2]
    rows = np.arange(height, dtype=np.int32)[:, None]
    columns = np.arange(width, dtype=np.int32)[None, :]
    for _ in range(_span(generator, 0, 3)):
        x, radius = _span(generator, 0, width), max(_span(generator, base // 3, base // 2 + 2), 4)
        y = _span(generator, radius // 3, radius + 1)
        trunk = max(radius // 12, 1)
        street[y:base, max(x - trunk, 0) : x + trunk] = (70, 56, 44)
        ragged = value_noise(generator, height, width, max(radius // 4, 2), 60)
        crown = ((columns - x) ** 2 + (rows - y) ** 2) * 100 <= radius * radius * (80 + ragged)
        leaves = _pick(generator, _TREES) + value_noise(generator, height, width, max(radius // 6, 2), 30)[..., None]
        street[crown] = leaves[crown]


def _ground(generator: np.random.Generator, street: Ints, base: int, horizon: int) -> None:
    """Paving slabs or stripes in perspective, with a kerb and, sometimes, a road."""
    height, width = street.shape[:2]
    down = np.arange(base, height, dtype=np.int32)[:, None] - horizon
    across = np.arange(width, dtype=np.int32)[None, :] - width // 2
    depth = height * 64 // down  # of the ground point: 64 where it lies one image height below the eye
    sideways = across * depth // 64 + 64 * width
    slab = max(_span(generator, height // 8, height // 3), 4)
    colour = _pick(generator, _GROUNDS)
    ground = np.broadcast_to(colour, (height - base, width, 3)).copy()
    along = depth * height // 128
    odd = (sideways // slab + along // slab) % 2 == 0
    style = int(generator.integers(0, 4))
    if style < 2:
        ground[odd] = colour * _span(generator, 208, 244) >> 8
    if style != 1:
        ground[(sideways % slab < slab // 10 + 1) | (along % slab < slab // 10 + 1)] = colour * 204 >> 8
    if generator.integers(0, 2):
        far, near = sorted(generator.integers(70, 400, 2).tolist())
        ground[(depth >= far)[:, 0] & (depth < near + 30)[:, 0]] = _pick(generator, ((70, 72, 76), (88, 88, 90)))
        ground[(depth >= far - 6)[:, 0] & (depth < far)[:, 0]] = colour + 26
    street[base:] = ground + (value_noise(generator, height - base, width, 9, 10))[..., None]
