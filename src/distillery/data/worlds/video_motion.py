"""Paths and curves of the embedded video world: one whole number a frame, drawn with `Generator.integers` alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from distillery.data.worlds.raster import ONE, SUB, TURN, cos, sin

Path = list[tuple[int, int]]
"""Centre (x, y) in 1/16 pixel, one a frame."""


@dataclass(frozen=True)
class Absence:
    """The object is away from `dwell` frames before `when` until as many after; it takes `half` frames to go."""

    kind: str
    """`vanish`: it leaves the frame; `bury`: something hides it."""
    when: int
    half: int
    dwell: int


def draw_absences(rng: np.random.Generator, frames: int, staged: frozenset[str]) -> tuple[Absence, ...]:
    """Draws when the object is altogether absent: about once in 50 frames where that is staged, never in the first."""
    kinds = [kind for kind in ("vanish", "bury") if kind in staged]
    if not kinds:
        return ()
    count = max(frames // 50, 1)
    slot, turn = max((frames - 1) // count, 1), int(rng.integers(len(kinds)))
    absences = []
    for index in range(count):
        half = max(min(int(rng.integers(5, 10)), slot // 3), 1)
        dwell = min(int(rng.integers(1, 4)), slot // 6)
        early, late = index * slot + slot // 8 + half + dwell, (index + 1) * slot - half - dwell
        when = min(int(rng.integers(early, max(late, early) + 1)), frames - 1)
        absences.append(Absence(kinds[(index + turn) % len(kinds)], when, half, dwell))
    return tuple(absences)


def ease(value: int, end: int) -> int:
    """A smooth step from 0 at `value` <= 0 to 2^14 at `value` >= `end`."""
    return (ONE - cos(TURN // 2 * min(max(value, 0), end) // max(end, 1))) // 2


def ramp(frames: int, first: int, last: int) -> list[int]:
    """A smooth passage from `first` to `last`."""
    return [first + ((last - first) * ease(t, frames - 1) >> 14) for t in range(frames)]


def bump(frames: int, height: int, top: int, half: int, dwell: int = 0) -> list[int]:
    """0, up to `height` at frame `top`, and down to 0 again; each flank takes `half` frames.

    It stays up until `dwell` frames after `top`, and from `dwell` frames before it.
    """
    return [height * ease(half + dwell - abs(t - top), half) >> 14 for t in range(frames)]


def swing(rng: np.random.Generator, frames: int, amplitude: int, cycles: tuple[int, int]) -> list[int]:
    """A sinusoid of `amplitude` that starts at 0 and makes `cycles` (a range, in quarters) over the clip."""
    quarters = int(rng.integers(*cycles))
    sign = 1 if rng.integers(2) else -1
    return [sign * (amplitude * sin(TURN * quarters * t // (4 * max(frames - 1, 1))) >> 14) for t in range(frames)]


def wander(
    rng: np.random.Generator,
    frames: int,
    start: tuple[int, int],
    bounds: tuple[int, int, int, int],
    speed: int,
    bursts: int = 0,
) -> Path:
    """A smooth random walk that is reflected at its bounds.

    Args:
        rng: Source of randomness.
        frames: Number of positions.
        start: First position, 1/16 pixel.
        bounds: Smallest x, y and largest x, y of a position, 1/16 pixel.
        speed: Largest ordinary displacement along an axis a frame, 1/16 pixel.
        bursts: Size of the sudden jumps of fast motion, 1/16 pixel; 0 for none.
    """
    position = [min(max(start[axis], bounds[axis]), bounds[axis + 2]) for axis in (0, 1)]
    velocity = [int(rng.integers(-speed, speed + 1)) for _ in (0, 1)]
    path = [(position[0], position[1])]
    for _ in range(frames - 1):
        jump = [0, 0]
        if bursts and not rng.integers(3):
            heading = int(rng.integers(TURN))
            jump = [bursts * cos(heading) >> 14, bursts * sin(heading) >> 14]
        for axis in (0, 1):
            push = int(rng.integers(-(speed // 3), speed // 3 + 1))
            velocity[axis] = min(max(velocity[axis] + push, -speed), speed)
            low, high = bounds[axis], bounds[axis + 2]
            new = position[axis] + velocity[axis] + jump[axis]
            if not low <= new <= high:
                velocity[axis] = -velocity[axis]
                new = 2 * (low if new < low else high) - new
            position[axis] = min(max(new, low), high)
        path.append((position[0], position[1]))
    return path


def leave(path: Path, size: int, width: int, height: int, away: int) -> Path:
    """Bends a path so that the object partly leaves the frame around frame `away` and comes back.

    Args:
        path: The path to bend; the edge nearest to it at frame `away` is the one that the object crosses.
        size: The object's diameter, 1/16 pixel.
        width: Frame width in pixels.
        height: Frame height in pixels.
        away: Frame at which it is farthest out, at least 1; in the first frame it is where `path` says.
    """
    share = bump(len(path), ONE, away, min(max(len(path) // 3, 2), away))
    # The centre stops a little before the edge: about half of the object stays in view.
    return _bend(path, path[away], (width, height), -(size // 8), share)


def vanish(path: Path, size: int, width: int, height: int, absence: Absence) -> Path:
    """Bends a path so that the object leaves the frame altogether and comes back; arguments as for `leave`."""
    share = bump(len(path), ONE, absence.when, absence.half, absence.dwell)
    return _bend(path, path[absence.when], (width, height), size * 3 // 4, share)


def _bend(path: Path, place: tuple[int, int], frame: tuple[int, int], beyond: int, share: list[int]) -> Path:
    """Moves a path by `share`/2^14 of the way from `place` to `beyond` the nearest edge of the frame."""
    (x, y), (width, height) = place, frame
    edges = ((x, -x, 0), (width * SUB - x, width * SUB - x, 0), (y, 0, -y), (height * SUB - y, 0, height * SUB - y))
    distance, dx, dy = min(edges)
    way, scale = max(distance + beyond, 0), max(distance, 1)
    return [
        (px + ((dx * way // scale) * s >> 14), py + ((dy * way // scale) * s >> 14))
        for (px, py), s in zip(path, share, strict=True)
    ]


def crossing(rng: np.random.Generator, path: Path, when: int, clear: int, offset: int) -> Path:
    """The path of an occluder that meets `path` at frame `when` and is `clear` away from it in the first frame.

    Args:
        rng: Source of randomness.
        path: The target's path.
        when: Frame of the encounter, at least 1.
        clear: Distance in 1/16 pixel that it must keep at frame 0.
        offset: How far its centre misses the target's, sideways, 1/16 pixel.
    """
    heading = int(rng.integers(TURN))
    speed = max(clear // when + 1, int(rng.integers(3 * SUB, 6 * SUB)))
    side = (-sin(heading) * offset >> 14, cos(heading) * offset >> 14)
    meet = path[when]
    # It moves past the target's frame of reference at first, so that frame 0 is surely free, then on its own.
    places = []
    for t in range(len(path)):
        x, y = path[t] if t < when else meet
        along = (t - when) * speed
        places.append((x + side[0] + (cos(heading) * along >> 14), y + side[1] + (sin(heading) * along >> 14)))
    return places


def escort(rng: np.random.Generator, path: Path, absence: Absence, clear: int, speed: int) -> Path:
    """The path of a cover: it comes over `path`, stays for the absence, and goes on in the same direction.

    Args:
        rng: Source of randomness.
        path: The target's path.
        absence: When the target is hidden.
        clear: Distance in 1/16 pixel that it must keep at frame 0.
        speed: Ordinary displacement a frame, 1/16 pixel.
    """
    heading = int(rng.integers(TURN))
    speed = max(clear // max(absence.when - absence.dwell, 1) + 1, speed)
    places = []
    for t, (x, y) in enumerate(path):
        since = t - absence.when
        along = max(abs(since) - absence.dwell, 0) * speed * (1 if since > 0 else -1)
        places.append((x + (cos(heading) * along >> 14), y + (sin(heading) * along >> 14)))
    return places
