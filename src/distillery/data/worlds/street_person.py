"""Draws a pedestrian: a walking skeleton seen from any side, dressed in what a `Look` says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from distillery.data.worlds.street_looks import Look
from distillery.data.worlds.street_raster import UNIT, Canvas, Colour, Fill, Ints, Mask, Sprite, cosine, sine

Test = Callable[[Ints, Ints], Mask]
"""Whether the garment has its main colour at (x (1, w), y (h, 1)); broadcasts to (h, w)."""

_SWING = 19  # largest angle of a leg from the vertical, in 1/256 turns (27 degrees)
_TORSO = ((142, 36, 34), (164, 66, 48), (190, 102, 62), (230, 114, 68), (360, 98, 64), (440, 97, 66), (530, 106, 72))
"""(y, half-width seen from the front, half-width seen from the side)."""
_COAT = ((142, 36, 34), (164, 68, 50), (190, 104, 64), (230, 118, 72), (360, 106, 72), (500, 116, 82), (700, 136, 98))
_SKIRT = ((485, 100, 70), (560, 116, 86), (720, 142, 112))


@dataclass(frozen=True)
class Pose:
    """What changes from image to image.

    Attributes:
        yaw: Direction of walking in 1/256 turns: 0 towards the camera, 64 to the right, 128 away, 192 to the left.
        phase: Phase of the step in 1/256.
        light: Direction of the light, -64 (from the left) to 64 (from the right).
    """

    yaw: int
    phase: int
    light: int


def draw_person(look: Look, pose: Pose, height_px: int) -> Sprite:
    """Draws a person whose average-sized fellow would be `height_px` pixels tall."""
    figure = _Figure(look, pose, max(height_px * look.height // 1000, 8))
    back_to_camera = figure.cos < -150
    figure.legs()
    figure.arms(near=False)
    if not back_to_camera:
        figure.bag(behind=True)
        figure.long_hair()
    figure.torso()
    figure.head()
    if back_to_camera:
        figure.long_hair()
        figure.bag(behind=True)
    figure.arms(near=True)
    figure.bag(behind=False)
    return figure.canvas.sprite()


class _Figure:
    """One person in one pose; lateral (to the person's left) and forward positions project to x and depth."""

    def __init__(self, look: Look, pose: Pose, height_px: int) -> None:
        self.look, self.pose = look, pose
        self.cos, self.sin = cosine(pose.yaw), sine(pose.yaw)
        self.canvas = Canvas(height_px, light=pose.light)
        self.wrists: dict[int, tuple[int, int]] = {}

    def _x(self, lateral: int, forward: int) -> int:
        return (lateral * self.cos + forward * self.sin) // UNIT

    def _nearness(self, lateral: int, forward: int) -> int:
        return (forward * self.cos - lateral * self.sin) // UNIT

    def _wide(self, size: int) -> int:
        return size * self.look.build // 1000

    def _outline(self, shape: tuple[tuple[int, int, int], ...]) -> list[tuple[int, int]]:
        frontal = abs(self.cos)
        return [(y, self._wide(side + (front - side) * frontal // UNIT)) for y, front, side in shape]

    def legs(self) -> None:
        """Thighs, shins and shoes, the far leg first; a skirt over them."""
        swing, lift = sine(self.pose.phase), cosine(self.pose.phase)
        for side in sorted((-1, 1), key=lambda side: self._nearness(side * 50, side * swing // 8)):
            angle = side * _SWING * swing // UNIT
            bend = max(0, side * lift) * 26 // UNIT + 2
            hip, lateral = 505, self._wide(side * 50)
            knee_forward, knee_y = 232 * sine(angle) // UNIT, hip + 232 * cosine(angle) // UNIT
            ankle_forward = knee_forward + 232 * sine(angle - bend) // UNIT
            ankle_y = knee_y + 232 * cosine(angle - bend) // UNIT
            points = [
                (self._x(lateral, 0), hip),
                (self._x(lateral, knee_forward), knee_y),
                (self._x(lateral * 9 // 10, ankle_forward), ankle_y),
            ]
            toe = (self._x(lateral, ankle_forward + 62), ankle_y + 14)
            dim = 232 if self._nearness(lateral, knee_forward) < 0 else 256
            cloth = _dimmed(self.look.trousers, dim)
            skin = _dimmed(self.look.skin, dim)
            thigh = skin if self.look.lower == "skirt" else cloth
            shin = cloth if self.look.lower == "trousers" else skin
            slim = 40 if self.look.lower == "skirt" else 54
            self.canvas.capsule(points[2], toe, 24, 19, self.look.shoes)
            self.canvas.capsule(points[1], points[2], self._wide(slim - 10), self._wide(30), shin)
            self.canvas.capsule(points[0], points[1], self._wide(slim + 6), self._wide(slim - 8), thigh)
        if self.look.lower == "skirt":
            self.canvas.column(0, self._outline(_SKIRT), self.look.trousers)
        else:
            self.canvas.column(0, self._outline(((470, 96, 64), (545, 104, 70))), self.look.trousers)

    def arms(self, *, near: bool) -> None:
        """The arms that are nearer to (or farther from) the camera than the torso."""
        swing = sine(self.pose.phase)
        for side in (-1, 1):
            lateral = self._wide(side * 112)
            if (self._nearness(lateral, -side * swing // 40) >= 0) != near:
                continue
            angle = -side * _SWING * swing // UNIT
            elbow_forward = 150 * sine(angle) // UNIT
            hand_forward = elbow_forward + 140 * sine(angle + 12) // UNIT
            shoulder = (self._x(lateral, 0), 198)
            elbow = (self._x(lateral + 24 * side, elbow_forward), 198 + 150 * cosine(angle) // UNIT)
            wrist = (self._x(lateral + 20 * side, hand_forward), elbow[1] + 140 * cosine(angle + 12) // UNIT)
            self.wrists[side] = wrist
            dim = 256 if near else 226
            cloth = _sleeve(self.look, dim)
            skin = _dimmed(self.look.skin, dim)
            self.canvas.capsule(wrist, (wrist[0], wrist[1] + 22), 24, 20, skin)
            self.canvas.capsule(elbow, wrist, 32, 26, cloth if self.look.sleeves == "long" else skin)
            self.canvas.capsule(shoulder, elbow, 42, 34, cloth)

    def torso(self) -> None:
        """The upper garment with its pattern, and the straps of a backpack on its front."""
        shape = _COAT if self.look.coat else _TORSO
        middle = 92 * self.sin // UNIT
        self.canvas.capsule((0, 120), (0, 165), 28, 34, self.look.skin)
        self.canvas.column(0, self._outline(shape), _upper(self.look, self.cos, middle))
        if self.look.bag == "backpack" and self.cos > -150:
            for side in (-1, 1):
                x = self._x(self._wide(side * 62), 40)
                self.canvas.capsule((x, 172), (x + 4, 330), 13, 11, self.look.bag_colour)

    def head(self) -> None:
        """Hair or hat, then the face where it can be seen."""
        look, canvas = self.look, self.canvas
        bald = look.haircut == "bald"
        canvas.ellipse((0, 70), 49, 66, look.skin if bald else look.hair)
        if look.haircut == "bun":
            canvas.ellipse((-42 * self.sin // UNIT, 18), 28, 26, look.hair)
        if self.cos > -520:
            middle = 26 * self.sin // UNIT
            canvas.ellipse((middle, 84), 38, 52, look.skin, below=46)
            if self.cos > 100:
                for side in (-1, 1):
                    canvas.ellipse(
                        (middle + side * 17 * self.cos // UNIT + 10 * self.sin // UNIT, 80), 7, 6, (38, 30, 30)
                    )
                canvas.ellipse((middle + 6 * self.sin // UNIT, 112), 13, 4, _dimmed(look.skin, 176))
        if look.haircut == "cap":
            canvas.column(0, ((0, 22), (14, 42), (48, 53), (58, 53)), look.hat)
            if self.cos > -520:
                canvas.ellipse((44 * self.sin // UNIT, 58), 44, 10, _dimmed(look.hat, 200))

    def long_hair(self) -> None:
        """Hair that falls on the shoulders."""
        if self.look.haircut == "long":
            back = -20 * self.sin // UNIT
            self.canvas.column(back, ((20, 30), (60, 56), (150, 60), (225, 48), (240, 30)), self.look.hair)

    def bag(self, *, behind: bool) -> None:
        """A backpack (`behind`), or a bag at the hip or in the hand."""
        look, canvas = self.look, self.canvas
        if look.bag == "backpack" and behind:
            x = self._x(0, -88)
            half = 54 + 40 * abs(self.cos) // UNIT
            canvas.column(x, ((180, half - 26), (205, half), (400, half), (425, half - 14)), look.bag_colour)
            if self.cos < -150:
                canvas.column(x, ((315, half - 24), (385, half - 24)), _dimmed(look.bag_colour, 196))
        elif look.bag == "shoulder" and not behind:
            x = self._x(self._wide(124), -10)
            strap = self._x(self._wide(-52), 30 if self.cos > 0 else -30)
            if self._nearness(self._wide(124), 0) > -60:
                canvas.capsule((strap, 176), (x, 430), 9, 9, _dimmed(look.bag_colour, 190))
                canvas.column(x, ((425, 62), (440, 70), (545, 70), (555, 62)), look.bag_colour)
        elif look.bag == "hand" and not behind and -1 in self.wrists:
            x, y = self.wrists[-1]
            half = 46 + 26 * abs(self.sin) // UNIT
            for side in (-1, 1):
                canvas.capsule((x, y + 20), (x + side * half // 2, y + 75), 6, 6, _dimmed(look.bag_colour, 180))
            canvas.column(x, ((y + 70, half - 8), (y + 80, half), (y + 190, half + 6)), look.bag_colour)


def _dimmed(colour: Colour, share: int) -> Colour:
    """`colour` times `share` / 256."""
    return colour[0] * share >> 8, colour[1] * share >> 8, colour[2] * share >> 8


def _sleeve(look: Look, dim: int) -> Fill:
    cloth, accent = _dimmed(look.upper, dim), _dimmed(look.accent, dim)
    if look.pattern == "stripes":
        return _choose(lambda x, y: y // (look.period // 2) % 2 == 0, cloth, accent)
    if look.pattern == "two_tone":
        return _choose(lambda x, y: y < 330, cloth, accent)
    return cloth


def _upper(look: Look, cos: int, middle: int) -> Fill:
    """The texture of the upper garment; `middle` is the x of the middle of the chest."""
    half = look.period // 2
    # Turning away from the camera presses the pattern together sideways.
    press = max(abs(cos), 420)

    def across(x: Ints) -> Ints:
        return (x - middle) * UNIT // press

    front, back = cos > -300, cos < 300
    tests: dict[str, Test] = {
        "stripes": lambda x, y: y // half % 2 == 0,
        "bars": lambda x, y: across(x) // half % 2 == 0,
        "checks": lambda x, y: (across(x) // half + y // half) % 2 == 0,
        "dots": lambda x, y: _off_dots(across(x), y, look.period * 3 // 4),
        "logo": lambda x, y: ~((np.abs(across(x)) < 50) & (np.abs(y - 275) < 42)) | (not front),
        "two_tone": lambda x, y: y < 330,
        "open": lambda x, y: (np.abs(x - middle) > 14 + (y - 150) // 12) | (not front),
        "backprint": lambda x, y: ~((np.abs(x + middle) < 62) & (np.abs(y - 300) < 75)) | (not back),
    }
    return _choose(tests[look.pattern], look.upper, look.accent) if look.pattern in tests else look.upper


def _off_dots(x: Ints, y: Ints, pitch: int) -> Mask:
    shifted = x + (y // pitch % 2) * (pitch // 2)
    dx, dy = shifted % pitch - pitch // 2, y % pitch - pitch // 2
    off: Mask = dx * dx + dy * dy > (pitch * 3 // 10) ** 2
    return off


def _choose(test: Test, where: Colour, elsewhere: Colour) -> Fill:
    """A texture of two colours."""
    first, second = np.array(where, np.int32), np.array(elsewhere, np.int32)
    return lambda x, y: np.where(np.broadcast_to(test(x, y), (y.shape[0], x.shape[1]))[..., None], first, second)
