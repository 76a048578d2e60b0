"""Writes the street world seen by six fixed cameras in the layout of PRW, read by every loader that reads the real set.

Layout and types follow PRW-v16.04.20 (Zheng et al., CVPR 2017) and the queries of PRW-mini (Munjal et al., CVPR 2019):
annotations are float64 [id, x, y, w, h] under three names that the real files use in turn, ids have gaps and people
without one are -2, coordinates are fractional and some negative, `query_info.txt` has CRLF line ends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from distillery.config.data import EmbeddedPRW
from distillery.data.worlds.output import run_jobs, write_jpeg
from distillery.data.worlds.street_frame import PARTS, Frame, Sighting, draw_frame
from distillery.data.worlds.street_matlab import column, save
from distillery.data.worlds.street_raster import shuffled
from distillery.data.worlds.street_views import VIEWS
from distillery.data.worlds.street_visits import Watch, plan_watches
from distillery.engine.randomness import numpy_generator
from distillery.errors import UserError
from distillery.files import atomic_folder

CLEAR = 70
"""A sighting of less than this (per cent) of a person is no query, if the camera sees more of the person elsewhere."""
UNLABELLED = -2
"""Id of people without one."""
_VARIANTS = (("anno_file", 30), ("anno_previous", 60))
"""Names of an annotation's matrix beside `box_new`, each in one of this many files."""

Key = tuple[int, int]
"""An identity and a camera: there is one query at most of each."""


def write_prw(root: Path, spec: EmbeddedPRW, workers: int, progress: Callable[[int, int], None] | None = None) -> None:
    """Draws the frames and writes them to `root` in PRW layout; `root` is replaced as a whole.

    The bytes depend on `spec` alone, not on `workers` nor on the machine.

    Args:
        root: The dataset folder (`frames/`, `annotations/`, `query_box/`, `query_info.txt` …).
        spec: Sizes and seed.
        workers: Processes that draw frames; 1 draws in this process.
        progress: Called with (frames done, frames in all) after every frame.

    Raises:
        UserError: When the identities do not fit into the frames, or there are too few people for the queries.
    """
    train, test = plan_watches(spec)
    mini, others = _choose_queries(spec, test)
    train_ids, test_ids = raw_ids(spec.train_identities, spec.test_identities)
    with atomic_folder(root) as folder:
        for name in ("frames", "annotations", "query_box"):
            (folder / name).mkdir()
        frames = [*train.frames, *test.frames]
        drawn = run_jobs(draw_into, [(frame, folder / "frames") for frame in frames], workers, progress)
        ids = [train_ids] * len(train.frames) + [test_ids] * len(test.frames)
        for frame, people, own, variant in zip(frames, drawn, ids, _variants(spec.seed, len(frames)), strict=True):
            save(folder / "annotations" / f"{frame.name}.jpg.mat", variant, _matrix(people, own))
        save(folder / "frame_train.mat", "img_index_train", column([frame.name for frame in train.frames]))
        save(folder / "frame_test.mat", "img_index_test", column([frame.name for frame in test.frames]))
        save(folder / "ID_train.mat", "ID_train", np.array([train_ids], np.float64))
        save(folder / "ID_test.mat", "ID_test2", np.array([test_ids], np.float64))
        seen = dict(zip((frame.name for frame in test.frames), drawn[len(train.frames) :], strict=True))
        candidates = query_candidates(test)
        chosen = {key: _sighting(spec.seed, key, candidates[key], seen) for key in sorted([*mini, *others])}
        lines = {key: _line(test_ids[key[0]], *where) for key, where in chosen.items()}
        _write(folder / "query_info.txt", list(lines.values()), "\r\n")
        _write(folder / "prwmini_query_info.txt", [lines[key] for key in sorted(mini)], "\n")
        for (identity, _), (name, sighting) in chosen.items():
            cut_query(folder, f"{test_ids[identity]}_{name}.jpg", name, sighting)


def draw_into(task: tuple[Frame, Path]) -> list[Sighting]:
    """Draws one frame into a folder; what the worker processes run."""
    frame, folder = task
    pixels, people = draw_frame(frame)
    write_jpeg(folder / f"{frame.name}.jpg", pixels, quality=88)
    return people


def raw_ids(train: int, test: int) -> tuple[list[int], list[int]]:
    """The ids that the files give to the identities 0, 1 … of both splits, ascending.

    As in PRW, whose training ids are 1..478, 480..483 and 932: one number is left out near the end, and the last one
    comes after all test ids.
    """
    left_out = max(train - 4, 2)
    first = train + 1
    ids = [number for number in range(1, first) if number != left_out]
    return [*ids, first + test], list(range(first, first + test))


def _variants(seed: int, count: int) -> list[str]:
    """The name of the matrix in each annotation; every variant occurs."""
    names = ["box_new"] * count
    order = shuffled(numpy_generator(seed, "prw", "variants"), count)
    for variant, rarity in _VARIANTS:
        for _ in range(max(count // rarity, 1)):
            names[order.pop()] = variant
    return names


def _matrix(people: Sequence[Sighting], ids: Sequence[int]) -> npt.NDArray[np.float64]:
    """(N, 5) rows [id, x, y, w, h]."""
    rows = [
        [ids[person.identity] if person.identity >= 0 else UNLABELLED, *(part / PARTS for part in person.box)]
        for person in people
    ]
    return np.array(rows, np.float64)


def query_candidates(test: Watch) -> dict[Key, list[tuple[str, int]]]:
    """For each identity and camera: the frames that show the person once, with the person's place in them."""
    found: dict[Key, list[tuple[str, int]]] = defaultdict(list)
    for frame in test.frames:
        there = [passer.identity for passer in frame.passers]
        for place, identity in enumerate(there):
            if identity >= 0 and there.count(identity) == 1:
                found[identity, frame.camera].append((frame.name, place))
    return found


def _choose_queries(spec: EmbeddedPRW, test: Watch) -> tuple[list[Key], list[Key]]:
    """Draws the queries of PRW-mini, and those that only the full set has."""
    keys = sorted(query_candidates(test))
    if not spec.mini_queries <= spec.queries <= len(keys):
        raise UserError(
            f"{spec.queries} queries cannot be drawn: {spec.mini_queries} are those of PRW-mini, and the cameras see "
            f"{len(keys)} different people all told",
            place="data.prw.queries",
            remedy=f"choose from {spec.mini_queries} to {len(keys)}, or change test_identities and test_frames",
        )
    generator = numpy_generator(spec.seed, "prw", "queries")
    shuffle = [keys[index] for index in shuffled(generator, len(keys))]
    mini = _one_each(shuffle, spec.mini_queries // len(VIEWS))
    if mini is None:
        raise UserError(
            f"{spec.mini_queries} queries of different people, equally many of each camera, are not in the test split",
            place="data.prw.mini_queries",
            remedy="lower them, or raise test_identities or test_frames",
        )
    return mini, [key for key in shuffle if key not in set(mini)][: spec.queries - len(mini)]


def _one_each(keys: Sequence[Key], each: int) -> list[Key] | None:
    """`each` identities for every camera, nobody for two: a bipartite matching by augmenting paths (Kuhn)."""
    seen_by: dict[int, list[int]] = defaultdict(list)
    for identity, camera in keys:
        seen_by[camera].append(identity)
    taken: dict[int, tuple[int, int]] = {}  # identity -> the (camera, number) that has it

    def place(seat: tuple[int, int], asked: set[int]) -> bool:
        for identity in seen_by[seat[0]]:
            if identity not in asked:
                asked.add(identity)
                if identity not in taken or place(taken[identity], asked):
                    taken[identity] = seat
                    return True
        return False

    seats = [(camera, number) for camera in range(1, len(VIEWS) + 1) for number in range(each)]
    if not all(place(seat, set()) for seat in seats):
        return None
    return [(identity, camera) for identity, (camera, _) in taken.items()]


def _sighting(
    seed: int, key: Key, candidates: Sequence[tuple[str, int]], seen: dict[str, list[Sighting]]
) -> tuple[str, Sighting]:
    """The query's frame and person: any that shows the person clearly, else the clearest."""
    sightings = [(name, seen[name][place]) for name, place in candidates]
    clear = [sighting for sighting in sightings if sighting[1].visible >= CLEAR]
    choice = clear or [max(sightings, key=lambda sighting: sighting[1].visible)]
    return choice[int(numpy_generator(seed, "prw", "query", *key).integers(0, len(choice)))]


def _line(number: int, name: str, sighting: Sighting) -> str:
    x, y, w, h = (part / PARTS for part in sighting.box)
    return f"{number} {x:.4f} {y:.4f} {w:.4f} {h:.4f} {name}"


def _write(path: Path, lines: Sequence[str], end: str) -> None:
    path.write_bytes("".join(line + end for line in lines).encode("ascii"))


def cut_query(folder: Path, crop: str, name: str, sighting: Sighting) -> None:
    """Cuts what the frame `name` shows of a person out of the written file, into `query_box/<crop>`."""
    x, y, w, h = (part / PARTS for part in sighting.box)
    with Image.open(folder / "frames" / f"{name}.jpg") as frame:
        box = (max(int(x), 0), max(int(y), 0), min(int(x + w), frame.width), min(int(y + h), frame.height))
        write_jpeg(folder / "query_box" / crop, np.asarray(frame.convert("RGB").crop(box)), quality=88)
