"""One frame of a fixed camera in the street world, with everyone in it annotated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distillery.data.worlds.street_camera import photograph
from distillery.data.worlds.street_looks import Look
from distillery.data.worlds.street_person import Pose, draw_person
from distillery.data.worlds.street_placing import LEAST_VISIBLE, Ground, Placed, stand, visible_shares
from distillery.data.worlds.street_scene import blend, cast_shadow
from distillery.data.worlds.street_views import VIEWS, stage
from distillery.engine.randomness import numpy_generator

PARTS = 64
"""Annotated coordinates are whole numbers of this part of a pixel: exact as floats on every machine."""
_WELL_VISIBLE, _OVERLAPPING = 85, 20
"""Per cent of everybody that stays visible, but for this per cent of the people, who may be hidden more."""
_TRIES = 24


@dataclass(frozen=True)
class Passer:
    """Somebody in a frame.

    Attributes:
        identity: Index among the labelled people, -1 for somebody unlabelled.
        look: What the person looks like.
        x: Where the person would like to stand, per mille of the frame's width.
        size: How tall somebody of average height appears there, per mille of the frame's usable height.
        yaw: Direction of walking in 1/256 turns, as in `Pose`.
        phase: Phase of the step in 1/256.
    """

    identity: int
    look: Look
    x: int
    size: int
    yaw: int
    phase: int


@dataclass(frozen=True)
class Frame:
    """Everything that determines a frame.

    Attributes:
        name: As in PRW, without extension: `c1s1_000151` is frame 151 of camera 1's first session.
        seed: Seed of the world.
        camera: Number of the camera, from 1.
        session: Number of the camera's session, whose light its frames share.
        width, height: Size in pixels.
        passers: Who is there, in the order of the annotation.
    """

    name: str
    seed: int
    camera: int
    session: int
    width: int
    height: int
    passers: tuple[Passer, ...]


@dataclass(frozen=True)
class Sighting:
    """A person as annotated: box (x, y, w, h) in 1/64 pixels from the frame's corner, visible share in per cent.

    The box bounds the whole body, hidden parts included, as tightly as a person draws it: within a pixel. It may
    reach over the frame's edge, where x or y is negative.
    """

    identity: int
    box: tuple[int, int, int, int]
    visible: int


def draw_frame(frame: Frame) -> tuple[npt.NDArray[np.uint8], list[Sighting]]:
    """Draws a frame (height, width, 3) uint8 RGB and annotates everyone, in the order of `frame.passers`."""
    view = VIEWS[frame.camera - 1]
    hour = numpy_generator(frame.seed, "prw", "light", frame.camera, frame.session)
    light, slope = int(hour.integers(-64, 65)), int(hour.integers(-60, 61))
    exposure = view.exposure * int(hour.integers(230, 284)) // 256
    empty = stage(frame.seed, frame.camera, light, frame.width, frame.height)
    generator = numpy_generator(frame.seed, "prw", "frame", frame.name)
    people = _place(generator, empty.ground, empty.things, frame.passers)
    items = [*people, *empty.things]
    street = empty.street.copy()
    for item in sorted(items, key=lambda item: item.foot):
        cast_shadow(street, empty.ground, item)
        blend(street, empty.ground, item, share=int(generator.integers(228, 276)))
    # Clouds: the light of a session is not quite the same from frame to frame.
    image = photograph(street, view.camera, exposure + int(generator.integers(-8, 9)), slope, generator)
    shares = visible_shares(empty.ground, items, len(people))
    return image, [
        Sighting(passer.identity, _drawn_by_hand(generator, person), share)
        for passer, person, share in zip(frame.passers, people, shares, strict=True)
    ]


def _drawn_by_hand(generator: np.random.Generator, person: Placed) -> tuple[int, int, int, int]:
    rows, columns = person.sprite.alpha.shape
    x, y, w, h = (
        PARTS * side + int(off)
        for side, off in zip((person.left, person.top, columns, rows), generator.integers(-44, 45, 4), strict=True)
    )
    return x, y, w, h


def _place(
    generator: np.random.Generator, ground: Ground, things: Sequence[Placed], passers: Sequence[Passer]
) -> list[Placed]:
    """Places everyone near where they would like to be; nobody is visible less than `LEAST_VISIBLE` per cent."""
    for shrink in range(100, 0, -8):
        people: list[Placed] = []
        for passer in passers:
            person = _place_passer(generator, ground, things, people, passer, shrink)
            if person is None:
                break  # too crowded: everyone is drawn again, smaller
            people.append(person)
        else:
            return people
    raise AssertionError(f"{len(passers)} people do not fit into {ground.width}x{ground.height} pixels")


def _place_passer(
    generator: np.random.Generator,
    ground: Ground,
    things: Sequence[Placed],
    people: Sequence[Placed],
    passer: Passer,
    shrink: int,
) -> Placed | None:
    size = max(ground.unit * passer.size * shrink // 100_000, 8)
    sprite = draw_person(passer.look, Pose(passer.yaw, passer.phase, ground.light), size)
    wanted = LEAST_VISIBLE if int(generator.integers(0, 100)) < _OVERLAPPING else _WELL_VISIBLE
    # A few are about to leave the frame or have just come: their boxes reach over its edge.
    over = ground.width // 80 if int(generator.integers(0, 4)) == 0 else 0
    leftmost = -over - sprite.left
    rightmost = max(ground.width + over - sprite.left - sprite.alpha.shape[1], leftmost)
    best, best_share = None, LEAST_VISIBLE - 1
    for attempt in range(_TRIES):
        reach = ground.width * attempt // _TRIES
        x = passer.x * ground.width // 1000 + int(generator.integers(-reach, reach + 1))
        person = stand(ground, sprite, size, min(max(x, leftmost), rightmost))
        share = min(visible_shares(ground, [*people, person, *things], len(people) + 1))
        if share >= wanted:
            return person
        if share > best_share:
            best, best_share = person, share
    return best
