"""What stands in the streets beside people: bins, bollards, planters, benches, boards, poles and parked cars."""

from __future__ import annotations

from collections.abc import Callable

from distillery.data.worlds.street_looks import CLOTHES
from distillery.data.worlds.street_raster import UNIT, Canvas, Colour, Sprite, cosine, sine

_GREY: Colour = (96, 98, 102)
_DARK: Colour = (44, 46, 50)
_GREEN: Colour = (62, 96, 50)
_WOOD: Colour = (122, 88, 56)


def draw_clutter(kind: str, variant: int, height_px: int, light: int) -> Sprite:
    """Draws an object of `KINDS`, `OCCLUDERS` or `CARS` where a person of average size is `height_px` pixels tall.

    Args:
        kind: The kind of object.
        variant: Any number below 4096; picks its colours (those of clothes) and its form.
        height_px: Pixels in 1000 figure units; at least 16 are drawn, or thin things would fall between the samples.
        light: Direction of the light, -64 (from the left) to 64 (from the right).
    """
    half_width = 1250 if kind == "car" else 480
    canvas = Canvas(max(height_px, 16), half_width, top=-760 if kind == "pole" else 60, light=light)
    main, other = CLOTHES[variant % len(CLOTHES)], CLOTHES[(variant // 17) % len(CLOTHES)]
    _DRAW[kind](canvas, main, other, variant)
    return canvas.sprite()


def _bin(canvas: Canvas, main: Colour, other: Colour, variant: int) -> None:
    canvas.column(0, ((500, 120), (985, 96), (1000, 92)), main)
    canvas.column(0, ((455, 100), (475, 134), (515, 134)), _DARK)
    canvas.column(0, ((640, 56), (760, 54)), other)


def _bollard(canvas: Canvas, main: Colour, other: Colour, variant: int) -> None:
    canvas.capsule((0, 560), (0, 965), 34, 38, _GREY)
    canvas.column(0, ((600, 36), (650, 37)), main)
    canvas.column(0, ((700, 37), (745, 37)), main)


def _planter(canvas: Canvas, main: Colour, other: Colour, variant: int) -> None:
    for step in range(7):
        angle = (variant * 7 + step * 37) % 256
        centre = (150 * cosine(angle) // UNIT, 600 + 80 * sine(angle) // UNIT)
        canvas.ellipse(centre, 110, 100, (_GREEN[0] + step * 6, _GREEN[1] + step * 7, _GREEN[2] + step * 3))
        if variant % 2:
            canvas.ellipse((centre[0] + 20, centre[1] - 30), 22, 20, other)
    canvas.column(0, ((700, 220), (730, 214), (1000, 180)), main if variant % 3 else _GREY)


def _bench(canvas: Canvas, main: Colour, other: Colour, variant: int) -> None:
    for x in (-300, 300):
        canvas.column(x, ((640, 18), (1000, 22)), _DARK)
    for y in (640, 700, 790):
        canvas.column(0, ((y, 380), (y + 40, 380)), _WOOD if variant % 2 else main)


def _board(canvas: Canvas, main: Colour, other: Colour, variant: int) -> None:
    for x in (-120, 120):
        canvas.column(x, ((400, 16), (1000, 20)), _DARK)
    canvas.column(0, ((340, 150), (860, 170)), main)
    for row in range(3):
        canvas.column(0, ((430 + row * 120, 110 - 24 * (variant % 3)), (480 + row * 120, 110 - 30 * row)), other)


def _pole(canvas: Canvas, main: Colour, other: Colour, variant: int) -> None:
    canvas.column(0, ((-700, 18), (960, 26), (1000, 44)), _GREY)
    if variant % 3 == 0:
        canvas.ellipse((0, -560), 130, 130, main)
        canvas.column(0, ((-590, 84), (-540, 84)), (230, 230, 228))
    elif variant % 3 == 1:
        canvas.column(70, ((-600, 130), (-420, 130)), main)


def _stand(canvas: Canvas, main: Colour, other: Colour, variant: int) -> None:
    canvas.column(0, ((560, 300), (1000, 290)), main)
    canvas.column(0, ((520, 330), (580, 330)), other)
    for step in range(5):
        canvas.ellipse((-220 + 110 * step, 500), 50, 44, CLOTHES[(variant + 5 * step) % len(CLOTHES)])


def _car(canvas: Canvas, main: Colour, other: Colour, variant: int) -> None:
    lean = 90 if variant % 2 else -90
    canvas.column(0, ((420, 470), (450, 520), (640, 760)), main)
    canvas.column(lean, ((450, 430), (620, 600)), (54, 66, 78))
    canvas.column(lean // 2, ((440, 22), (640, 26)), main)
    canvas.column(0, ((620, 1040), (680, 1130), (840, 1150), (900, 1120)), main)
    for x in (-700, 700):
        canvas.ellipse((x, 880), 150, 125, (28, 28, 30))
        canvas.ellipse((x, 880), 80, 66, (150, 150, 154))
    for x, colour in ((-1090, (236, 226, 170)), (1090, (180, 40, 40))):
        canvas.ellipse((x * (1 if lean > 0 else -1), 720), 48, 36, colour)


_DRAW: dict[str, Callable[[Canvas, Colour, Colour, int], None]] = {
    "bin": _bin,
    "bollard": _bollard,
    "planter": _planter,
    "bench": _bench,
    "board": _board,
    "pole": _pole,
    "stand": _stand,
    "car": _car,
}
KINDS = tuple(_DRAW)
"""Every kind of object."""
OCCLUDERS = ("bin", "planter", "board", "stand", "bench", "pole")
"""Kinds that are put in front of a person to hide a part of them."""
