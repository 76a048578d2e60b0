"""How the embedded benchmarks differ: the shares of their challenges, their objects and their cameras; data alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Flight:
    """A camera that moves by its own; lengths in pixels of a frame of 240 x 180."""

    pan: tuple[int, int]
    """Range of the largest ordinary displacement an axis and frame, 1/16 pixel."""
    reach: int
    """How far it goes from where it starts, along an axis."""


@dataclass(frozen=True)
class Style:
    """What happens in the clips of a benchmark, and how often."""

    challenges: Mapping[str, int]
    """Share of clips in which each challenge is staged, in percent. `PLAIN` has those that every style may have; the
    others are `shake`, `zoom`, `roll` (the camera jerks, changes its focal length, turns about its axis; they need a
    `flight`), `vanish` and `bury` (the object leaves the frame altogether, is hidden altogether)."""
    distractors: tuple[int, ...] = (10, 50, 100)
    """Cumulative share of clips with at most 0, 1, 2 … look-alikes, in percent."""
    size: tuple[int, int] = (32, 54)
    """Range of the object's first diameter, in pixels of a frame of 240 x 180."""
    small: tuple[int, int] = (19, 25)
    """The same where the challenge `small` is staged."""
    speed: tuple[int, int] = (12, 32)
    """Range of the object's largest ordinary displacement in the frame, an axis and frame, 1/16 pixel of 240 x 180."""
    burst: tuple[int, int] = (9, 14)
    """Range of the sudden displacements of the challenges `fast` and `shake`, in pixels of a frame of 240 x 180."""
    flight: Flight | None = None
    """How the camera moves; without, it drifts a little and independently of everything."""


PLAIN = Style(
    challenges={
        "illumination": 40,
        "scale": 50,
        "occlusion": 40,
        "deformation": 45,
        "blur": 25,
        "fast": 30,
        "rotation": 55,
        "turn": 35,
        "leave": 12,
        "clutter": 40,
        "small": 10,
    }
)
"""GOT-10k and OTB-100."""

DTB70 = Style(
    challenges={
        "illumination": 10,
        "scale": 10,
        "occlusion": 30,
        "deformation": 30,
        "blur": 40,
        "rotation": 35,
        "turn": 25,
        "leave": 10,
        "clutter": 25,
        "small": 20,
        "shake": 50,
        "zoom": 40,
        "roll": 35,
    },
    distractors=(25, 60, 100),
    size=(22, 40),
    small=(15, 20),
    speed=(24, 64),
    burst=(12, 25),
    flight=Flight(pan=(40, 110), reach=220),
)
"""Seen from a drone: nearly all the motion is the camera's, objects are small."""

VOT = Style(
    challenges={
        "illumination": 30,
        "scale": 50,
        "occlusion": 60,
        "deformation": 50,
        "blur": 30,
        "fast": 50,
        "rotation": 60,
        "turn": 40,
        "leave": 12,
        "clutter": 60,
        "small": 15,
        "shake": 20,
        "zoom": 15,
        "roll": 15,
    },
    distractors=(5, 25, 70, 100),
    speed=(16, 48),
    burst=(10, 19),
    flight=Flight(pan=(0, 40), reach=60),
)
"""Chosen to be hard: trackers are expected to fail and to be started again."""

LASOT = Style(
    challenges={
        "illumination": 40,
        "scale": 60,
        "occlusion": 50,
        "deformation": 45,
        "blur": 25,
        "fast": 25,
        "rotation": 60,
        "turn": 40,
        "leave": 10,
        "clutter": 40,
        "small": 10,
        "shake": 10,
        "zoom": 15,
        "roll": 10,
        "vanish": 40,
        "bury": 40,
    },
    flight=Flight(pan=(0, 24), reach=60),
)
"""Long clips whose object is absent now and then."""

TRACKINGNET = Style(
    challenges={
        "illumination": 30,
        "scale": 45,
        "occlusion": 35,
        "deformation": 45,
        "blur": 30,
        "fast": 25,
        "rotation": 45,
        "turn": 40,
        "leave": 20,
        "clutter": 35,
        "small": 10,
        "shake": 20,
        "zoom": 30,
        "roll": 15,
    },
    size=(34, 64),
    speed=(16, 40),
    flight=Flight(pan=(0, 32), reach=60),
)
"""Videos of the kind that people make by hand."""
