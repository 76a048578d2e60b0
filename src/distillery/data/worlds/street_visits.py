"""Who passes which of the six cameras, and when: the plan of a PRW-like training and test split.

An identity visits several cameras, and stays in view for a run of consecutive frames in each: in one camera it is seen
from nearly the same side under the same light, in the next one from another side, in another light and size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import numpy as np

from distillery.config.data import EmbeddedPRW
from distillery.data.worlds.street_frame import Frame, Passer
from distillery.data.worlds.street_looks import Look, draw_look, draw_people
from distillery.data.worlds.street_raster import UNIT, cosine, shuffled, sine
from distillery.data.worlds.street_views import VIEWS, View, frame_size
from distillery.engine.randomness import numpy_generator
from distillery.errors import UserError

_LABELLED, _UNLABELLED = 260, 55
"""Labelled and unlabelled people in a hundred frames (PRW's training split: 261 and 55)."""
_MOST_LABELLED, _MOST = 5, 6
"""Labelled people, and people, in a frame at most."""
_CAMERAS = (2,) * 9 + (3,) * 11 + (4,) * 21 + (5,) * 23 + (6,) * 10
"""Cameras that an identity passes, drawn evenly: the proportions of PRW's training split, with no identity in one."""
_STAYS = (1, 1, 2, 2, 3, 4, 6)
"""How long visits last in proportion to each other, drawn evenly."""
_GAPS = (1,) * 17 + (2, 6, 17)
"""Steps of 25 frames from one annotated frame to the next, drawn evenly."""
_SPLIT_FROM = 8
"""Frames from which a camera's frames fall into two sessions, for cameras 1 and 4 (as in PRW)."""


@dataclass(frozen=True)
class Watch:
    """A split: its frames in the order of their names, and the number of its identities (0 .. n - 1).

    Every identity is seen by two cameras or more. One frame shows somebody with another's label, if there is room for
    it: PRW's training split has ten frames with one id twice.
    """

    frames: tuple[Frame, ...]
    identities: int


def plan_watches(spec: EmbeddedPRW) -> tuple[Watch, Watch]:
    """Plans the training and the test split: the same cameras in other sessions, with other people.

    Raises:
        UserError: When the identities do not fit into the frames.
    """
    train = _plan(spec, "train", spec.train_frames, spec.train_identities)
    return train, _plan(spec, "test", spec.test_frames, spec.test_identities)


def camera_frames(total: int) -> list[int]:
    """How many of `total` >= 12 frames each camera takes: in proportion to PRW's, two at least."""
    left = total - 2 * len(VIEWS)
    weight = sum(view.frames for view in VIEWS)
    counts = [2 + left * view.frames // weight for view in VIEWS]
    by_remainder = sorted(range(len(VIEWS)), key=lambda i: -(left * VIEWS[i].frames % weight))
    for camera in by_remainder[: total - sum(counts)]:
        counts[camera] += 1
    return counts


def _plan(spec: EmbeddedPRW, split: str, total: int, identities: int) -> Watch:
    slots = total * _LABELLED // 100
    if 2 * identities > slots:
        raise UserError(
            f"{identities} identities, each seen by two cameras or more, do not fit into {total} frames "
            f"with {_LABELLED / 100:g} labelled people each",
            place=f"data.prw.{split}_identities",
            remedy=f"raise {split}_frames to {-(-200 * identities // _LABELLED)} or lower the identities",
        )
    frames = _empty_frames(spec, split, total)
    sessions = _sessions(frames)
    present: list[list[Passer]] = [[] for _ in frames]
    generator = numpy_generator(spec.seed, "prw", split, "visits")
    looks = draw_people(numpy_generator(spec.seed, "prw", split, "looks"), identities)
    met: list[set[int]] = [set() for _ in range(identities)]
    for identity, planned, stay in _visits(generator, camera_frames(total), identities, slots):
        # Two cameras a person are certain: where the planned one is full, there is room before another one.
        others_too = range(len(VIEWS)) if len(met[identity]) < 2 else ()
        for camera in (planned, *others_too):
            run = range(0) if camera in met[identity] else _free_run(generator, sessions[camera], present, stay)
            if run:
                met[identity].add(camera)
                _walk(generator, present, run, VIEWS[camera], identity, looks[identity])
                break
    others = numpy_generator(spec.seed, "prw", split, "others")
    for run, camera in _passers_by(others, sessions, present, total * _UNLABELLED // 100):
        _walk(others, present, run, VIEWS[camera], -1, draw_look(others))
    _mislabel(others, frames, present)
    return Watch(
        tuple(
            replace(frame, passers=tuple(people[index] for index in shuffled(generator, len(people))))
            for frame, people in zip(frames, present, strict=True)
        ),
        identities,
    )


def _empty_frames(spec: EmbeddedPRW, split: str, total: int) -> list[Frame]:
    """Frames without people, in the order of their names."""
    frames = []
    for camera, count in enumerate(camera_frames(total), start=1):
        generator = numpy_generator(spec.seed, "prw", split, "times", camera)
        halves = 2 if camera in (1, 4) else 1
        first = 1 if split == "train" else 1 + halves
        width, height = frame_size(VIEWS[camera - 1], spec.width, spec.height)
        begin = count // 2 if halves == 2 and count >= _SPLIT_FROM else count
        for session, length in ((first, begin), (first + 1, count - begin)):
            time = 1 + 25 * int(generator.integers(0, 40))
            for _ in range(length):
                time += 25 * _GAPS[int(generator.integers(0, len(_GAPS)))]
                name = f"c{camera}s{session}_{time:06d}"
                frames.append(Frame(name, spec.seed, camera, session, width, height, ()))
    return frames


def _sessions(frames: Sequence[Frame]) -> list[list[range]]:
    """For each camera, the indices of the frames of its sessions."""
    sessions: list[list[range]] = [[] for _ in VIEWS]
    start = 0
    for index in range(1, len(frames) + 1):
        last = frames[index - 1]
        if index == len(frames) or (frames[index].camera, frames[index].session) != (last.camera, last.session):
            sessions[last.camera - 1].append(range(start, index))
            start = index
    return sessions


def _visits(
    generator: np.random.Generator, counts: Sequence[int], identities: int, slots: int
) -> list[tuple[int, int, int]]:
    """(identity, camera index, frames) of all visits: of different cameras by each identity, `slots` frames at most.

    The first two of everyone come first, so that they find room whatever the others take.
    """
    chosen: list[list[int]] = []
    for _ in range(identities):
        most = max(2, slots // identities)
        wanted = min(_CAMERAS[int(generator.integers(0, len(_CAMERAS)))], most)
        cameras: list[int] = []
        while len(cameras) < wanted:
            lot = int(generator.integers(0, sum(counts)))
            camera = next(index for index in range(len(counts)) if lot < sum(counts[: index + 1]))
            if camera not in cameras:
                cameras.append(camera)
        chosen.append(cameras)
    visits = [(i, camera) for i, cameras in enumerate(chosen) for camera in cameras[:2]]
    visits += [(i, camera) for i, cameras in enumerate(chosen) for camera in cameras[2:]]
    # Busier cameras look longer at everyone; otherwise cameras with few frames would be crowded.
    weights = [_STAYS[int(generator.integers(0, len(_STAYS)))] * counts[camera] for _, camera in visits]
    spare, shares = slots - len(visits), [0, *accumulate(weights)]
    return [
        (identity, camera, 1 + spare * after // shares[-1] - spare * before // shares[-1])
        for (identity, camera), (before, after) in zip(visits, pairwise(shares), strict=True)
    ]


def _free_run(
    generator: np.random.Generator, sessions: Sequence[range], present: Sequence[Sequence[Passer]], stay: int
) -> range:
    """A run of up to `stay` frames of one session that have room for one more, empty if there is none."""
    for length in range(min(stay, max(map(len, sessions))), 0, -1):
        starts = [
            start
            for session in sessions
            for start in range(session.start, session.stop - length + 1)
            if all(len(present[index]) < _MOST_LABELLED for index in range(start, start + length))
        ]
        if starts:
            start = starts[int(generator.integers(0, len(starts)))]
            return range(start, start + length)
    return range(0)


def _passers_by(
    generator: np.random.Generator, sessions: Sequence[Sequence[range]], present: Sequence[Sequence[Passer]], count: int
) -> list[tuple[range, int]]:
    """(run of frames, camera index) of people without a label: one in every empty frame, `count` frames in all."""
    cameras = {index: camera for camera, runs in enumerate(sessions) for run in runs for index in run}
    runs = [(range(index, index + 1), cameras[index]) for index, people in enumerate(present) if not people]
    load = [len(people) or 1 for people in present]
    left = count - len(runs)
    while left > 0:
        start = int(generator.integers(0, len(present)))
        stay = min(int(generator.integers(1, 4)), left)
        session = next(run for run in sessions[cameras[start]] if start in run)
        run = range(start, min(start + stay, session.stop))
        # Not where it is full; the plan's means are far enough below the bounds for this loop to end.
        if all(load[index] < _MOST for index in run):
            runs.append((run, cameras[start]))
            left -= len(run)
            for index in run:
                load[index] += 1
    return runs


def _walk(
    generator: np.random.Generator, present: list[list[Passer]], run: range, view: View, identity: int, look: Look
) -> None:
    """Lets somebody walk through a run of frames, roughly straight on."""
    yaw = int(generator.integers(0, 256))
    low, high = view.smallest, view.tallest
    size = int(min(generator.integers(low, high, 2)))  # more people are far than near
    pace = int(generator.integers(100, 801)) // max(len(run), 4)
    reach = (len(run) - 1) * pace * abs(sine(yaw)) // (2 * UNIT)
    middle = int(generator.integers(40 + reach, 961 - reach))
    for step, index in enumerate(run):
        ahead = 2 * step - (len(run) - 1)  # in half steps from the middle of the visit
        now = yaw + int(generator.integers(-10, 11))
        x = middle + ahead * pace * sine(yaw) // (2 * UNIT)
        grown = size + ahead * size * pace * cosine(yaw) // (1600 * UNIT)
        phase = int(generator.integers(0, 256))
        present[index].append(Passer(identity, look, x, min(max(grown, low), high), now % 256, phase))


def _mislabel(generator: np.random.Generator, frames: Sequence[Frame], present: list[list[Passer]]) -> None:
    """Gives somebody unlabelled the label of another in the same frame, whom the camera sees in a further frame."""
    seen = Counter((frame.camera, p.identity) for frame, people in zip(frames, present, strict=True) for p in people)
    for index in shuffled(generator, len(present)):
        true = [p.identity for p in present[index] if p.identity >= 0 and seen[frames[index].camera, p.identity] > 1]
        wrong = [place for place, p in enumerate(present[index]) if p.identity < 0]
        if true and wrong:
            present[index][wrong[0]] = replace(present[index][wrong[0]], identity=true[0])
            return
