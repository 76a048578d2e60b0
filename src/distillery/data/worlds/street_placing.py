"""Where people and objects stand in an image, so that nobody is hidden more than the annotation can bear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from distillery.data.worlds.street_clutter import KINDS, OCCLUDERS, draw_clutter
from distillery.data.worlds.street_looks import Look
from distillery.data.worlds.street_person import Pose, draw_person
from distillery.data.worlds.street_raster import Sprite

LEAST_VISIBLE = 40
"""Per cent of a person that is always visible; whoever would be hidden more is put elsewhere."""
_FREE = 90
"""Per cent that stays visible of everybody unless an occlusion is wanted."""
_CROWDED, _OBSTRUCTED = 15, 10
"""Per cent of the people who are put close to somebody, and behind an object."""
_TRIES = 40
_SMALLEST, _TALLEST = 225, 545
"""Range of the people's heights, per mille of the image's usable height."""


@dataclass(frozen=True)
class Ground:
    """The street as the camera sees it.

    Attributes:
        width, height: Size of the image in pixels.
        horizon: The row where the ground vanishes.
        light: Direction of the light, -64 (from the left) to 64 (from the right).
        tallest: Height of somebody who stands at the lower edge, per mille of the usable height.
    """

    width: int
    height: int
    horizon: int
    light: int
    tallest: int = _TALLEST

    @property
    def unit(self) -> int:
        """Usable height: that of the image, less in images narrower than 4:3."""
        return min(self.height, self.width * 3 // 4)

    def foot(self, size: int) -> int:
        """Row at which somebody stands who appears `size` pixels tall; the tallest stands at the lower edge."""
        return self.horizon + size * (self.height - 3 - self.horizon) * 1000 // (self.tallest * self.unit)

    def size(self, foot: int) -> int:
        """Inverse of `foot`."""
        return (foot - self.horizon) * self.tallest * self.unit // (1000 * (self.height - 3 - self.horizon))


@dataclass(frozen=True)
class Placed:
    """A sprite with the pixel (`left`, `top`) of its corner; whoever has the larger `foot` row is nearer."""

    sprite: Sprite
    left: int
    top: int
    foot: int

    def windows(self, ground: Ground) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """(rows, columns) of the image that the sprite covers, and the same part of the sprite."""
        rows, columns = self.sprite.alpha.shape
        y0, y1 = max(self.top, 0), max(min(self.top + rows, ground.height), 0)
        x0, x1 = max(self.left, 0), max(min(self.left + columns, ground.width), 0)
        return (slice(y0, y1), slice(x0, x1)), (
            slice(y0 - self.top, max(y1 - self.top, 0)),
            slice(x0 - self.left, max(x1 - self.left, 0)),
        )


def stand(ground: Ground, sprite: Sprite, size: int, x: int) -> Placed:
    """Puts a figure drawn for `size` on the ground with its axis at column `x`."""
    foot = ground.foot(size)
    return Placed(sprite, x + sprite.left, foot + sprite.top, foot)


def visible_shares(ground: Ground, items: Sequence[Placed], count: int) -> list[int]:
    """Per cent of each of the first `count` items that nothing nearer hides."""
    taken = np.zeros((ground.height, ground.width), np.bool_)
    shares = [0] * len(items)
    for index in sorted(range(len(items)), key=lambda index: items[index].foot, reverse=True):
        window, cut = items[index].windows(ground)
        mask = items[index].sprite.alpha[cut] >= 128
        whole = int(np.count_nonzero(items[index].sprite.alpha >= 128))
        shares[index] = 100 * int(np.count_nonzero(mask & ~taken[window])) // max(whole, 1)
        taken[window] |= mask
    return shares[:count]


def place_people(generator: np.random.Generator, ground: Ground, looks: Sequence[Look]) -> list[Placed]:
    """Places everyone, in the order of `looks`; some overlap, nobody is visible less than `LEAST_VISIBLE` per cent."""
    for shrink in range(100, 0, -8):
        people: list[Placed] = []
        for look in looks:
            person = _place_person(generator, ground, people, look, shrink)
            if person is None:
                break  # too crowded: everyone is drawn again, smaller
            people.append(person)
        else:
            return people
    raise AssertionError(f"{len(looks)} people do not fit into {ground.width}x{ground.height} pixels")


def _place_person(
    generator: np.random.Generator, ground: Ground, people: list[Placed], look: Look, shrink: int
) -> Placed | None:
    size = max(ground.unit * int(generator.integers(_SMALLEST, _TALLEST)) * shrink // 100_000, 8)
    pose = Pose(int(generator.integers(0, 256)), int(generator.integers(0, 256)), ground.light)
    sprite = draw_person(look, pose, size)
    crowded = bool(people) and int(generator.integers(0, 100)) < _CROWDED
    leftmost, rightmost = 1 - sprite.left, ground.width - 1 - sprite.left - sprite.alpha.shape[1]
    best, best_share = None, LEAST_VISIBLE - 1
    for _ in range(_TRIES):
        if crowded:
            other = people[int(generator.integers(0, len(people)))]
            x = other.left - other.sprite.left + int(generator.integers(-size // 3, size // 3 + 1))
            x = min(max(x, leftmost), rightmost)
        else:
            x = int(generator.integers(leftmost, max(rightmost, leftmost) + 1))
        person = stand(ground, sprite, size, x)
        share = min(visible_shares(ground, [*people, person], len(people) + 1))
        if (LEAST_VISIBLE + 5 <= share < _FREE) if crowded else share >= _FREE:
            return person
        if share > best_share:
            best, best_share = person, share
    return best


def place_objects(generator: np.random.Generator, ground: Ground, people: Sequence[Placed]) -> list[Placed]:
    """Places things before some of the people, and more things where they hide next to nothing of anybody."""
    objects: list[Placed] = []
    for person in people:
        if generator.integers(0, 100) < _OBSTRUCTED:
            size = ground.size(person.foot) + 1 + ground.unit // 50
            axis = person.left - person.sprite.left
            _place_object(
                generator, ground, people, objects, OCCLUDERS, size, axis - size // 4, axis + size // 4, LEAST_VISIBLE
            )
    for _ in range(int(generator.integers(1, 6))):
        size = max(ground.unit * int(generator.integers(160, 500)) // 1000, 8)
        _place_object(generator, ground, people, objects, KINDS, size, 0, ground.width - 1, _FREE)
    return objects


def _place_object(
    generator: np.random.Generator,
    ground: Ground,
    people: Sequence[Placed],
    objects: list[Placed],
    kinds: Sequence[str],
    size: int,
    first: int,
    last: int,
    least: int,
) -> None:
    """Adds a thing between two columns, unless it would leave somebody visible to less than `least` per cent."""
    kind = kinds[int(generator.integers(0, len(kinds)))]
    sprite = draw_clutter(kind, int(generator.integers(0, 4096)), size, ground.light)
    before = visible_shares(ground, [*people, *objects], len(people))
    for _ in range(6):
        item = stand(ground, sprite, size, int(generator.integers(first, last + 1)))
        after = visible_shares(ground, [*people, *objects, item], len(people))
        if all(share == was or share >= least for was, share in zip(before, after, strict=True)):
            objects.append(item)
            return
